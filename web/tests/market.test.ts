import { beforeEach, expect, test, vi } from "vitest";
import type { Row } from "../src/api/types";
import { replaceRows, rows, updateRows } from "../src/state/market";
import { fullChange } from "../src/views/market/statistics";

const MINUTE_NS = 60e9;

function row(minute: number, last: number, fields: Partial<Row> = {}): Row {
  return { feed: "sim", symbol: "AAPL", ts_ns: minute * MINUTE_NS, last, ...fields } as Row;
}

beforeEach(() => {
  vi.stubGlobal("requestAnimationFrame", () => 0);
});

test("a sparkline follows its minute, and goes on with the next ones", () => {
  replaceRows([row(10, 5, { sparkline: [null, 4, 5] })]);
  const line = () => rows.get("sim|AAPL")?.sparkline;
  updateRows([row(10, 6, { ts_ns: 10 * MINUTE_NS + 1 })]);
  expect(line()).toEqual([null, 4, 6]);
  updateRows([row(11, 7)]);
  expect(line()).toEqual([null, 4, 6, 7]);
  updateRows([row(14, 8)]);
  expect(line()).toEqual([null, 4, 6, 7, null, null, 8]);
  updateRows([row(14, 8)]);
  expect(line()).toEqual([null, 4, 6, 7, null, null, 8]);
  updateRows([row(200, 9)]);
  expect(line()).toHaveLength(40);
});

test("the sparkline of a quiet symbol ends at the newest minute of all", () => {
  replaceRows([row(5, 5, { sparkline: [5, null, null] }), row(7, 1, { symbol: "MSFT", sparkline: [1, 1, 1] })]);
  updateRows([row(8, 6)]);
  expect(rows.get("sim|AAPL")?.sparkline).toEqual([5, null, null, 6]);
});

test.each([
  [[], 0.5],
  [[0.1, -0.2, 0.3], 0.5],
  [[-0.9, 0.1, 0.7], 1],
  [[2.5, -4, 4.5], 5],
  [[50], 10],
])("the full colour of %j is at %s", (changes, expected) => {
  expect(fullChange(changes.map((change_pct) => ({ change_pct }) as Row))).toBe(expected);
});
