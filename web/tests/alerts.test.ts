import { beforeEach, expect, test } from "vitest";
import type { Alert } from "../src/api/types";
import { addAlerts, alerts, announceAlerts, announced, happening } from "../src/state/alerts";

function alert(fields: Partial<Alert>): Alert {
  return {
    id: "0-a",
    rule: "Sharp move",
    rule_kind: "percent_move",
    feed: "sim",
    symbol: "AAPL",
    ts_ns: 1,
    recorded_ns: 1,
    value: 0.3,
    threshold: 0.3,
    message: "AAPL up 0.30 % within 60 s (Sharp move)",
    severity: "warning",
    acknowledged_ns: null,
    is_quiet: false,
    ...fields,
  };
}

beforeEach(() => {
  alerts.value = [];
  announced.value = [];
});

test.each([
  ["AAPL up 0.30 % within 60 s (Sharp move)", "Sharp move", "up 0.30 % within 60 s"],
  ["AAPL halted: P (News) (A (b) c)", "A (b) c", "halted: P (News)"],
  [`AAPL up (${"long name ".repeat(4)})`, "long name ".repeat(6), "up"],
  ["something else", "Sharp move", "something else"],
])("of %s happened", (message, rule, expected) => {
  expect(happening(alert({ message, rule }))).toBe(expected);
});

test("what is new is announced, newest first; what is known, seen or quiet is not", () => {
  addAlerts([alert({ id: "1-a" })]);
  announceAlerts([
    alert({ id: "1-a" }),
    alert({ id: "2-a" }),
    alert({ id: "3-a" }),
    alert({ id: "4-a", acknowledged_ns: 5 }),
    alert({ id: "5-a", is_quiet: true }),
  ]);
  expect(announced.value.map((one) => one.id)).toEqual(["3-a", "2-a"]);
  expect(alerts.value.map((one) => one.id)).toEqual(["5-a", "4-a", "3-a", "2-a", "1-a"]);
});
