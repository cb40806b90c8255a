import { describe, expect, it } from "vitest";
import { refill } from "../src/bars/refill";
import { BarSeries, barsOf } from "../src/bars/series";
import { bar, historyOf, minutesOf } from "./bars";

async function afterReconnect(known: number, count: number, page: number, pagesMax?: number) {
  const series = new BarSeries();
  series.merge(Array.from({ length: known + 1 }, (_, minute) => bar(minute)));
  const answer = await refill(series.lastFinal!.ts_open_ns, historyOf(count, page), pagesMax);
  if (!answer.isJoined) series.clear();
  for (const one of answer.pages) series.merge(barsOf(one.bars));
  return { ...answer, minutes: minutesOf(series.bars) };
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}

describe("filling the hole after a reconnect", () => {
  it("joins what was missed to what is known, without a hole or a double", async () => {
    const { minutes, pages } = await afterReconnect(9, 40, 12);
    expect(minutes).toEqual(range(0, 40));
    expect(pages).toHaveLength(3);
  });

  it("asks once when nothing or little was missed", async () => {
    const { minutes, pages } = await afterReconnect(9, 12, 12);
    expect(minutes).toEqual(range(0, 12));
    expect(pages).toHaveLength(1);
  });

  it("gives up what is known when it cannot be reached, instead of leaving a hole", async () => {
    const { minutes, isJoined } = await afterReconnect(9, 100, 10, 3);
    expect(isJoined).toBe(false);
    expect(minutes).toEqual(range(70, 100));
  });

  it("stops where the history begins", async () => {
    const answer = await refill(bar(-50).ts_open_ns, historyOf(25, 10));
    expect(answer).toMatchObject({ isJoined: true });
    expect(answer.pages.map((page) => page.bars.ts_open_ns.length)).toEqual([10, 10, 5]);
  });
});
