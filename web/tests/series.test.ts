import { describe, expect, it } from "vitest";
import { BarSeries } from "../src/bars/series";
import { bar, minutesOf } from "./bars";

function seriesOf(...minutes: number[]): BarSeries {
  const series = new BarSeries();
  series.merge(minutes.map((minute) => bar(minute)));
  return series;
}

describe("merging", () => {
  it("keeps each opening once, rising, whatever the order of arrival", () => {
    const series = seriesOf(3, 5);
    series.merge([bar(6), bar(1), bar(5), bar(4), bar(4)]);
    expect(minutesOf(series.bars)).toEqual([1, 3, 4, 5, 6]);
  });

  it("tells the first bar that changed, and -1 when all was known", () => {
    const series = seriesOf(1, 2, 3);
    expect(series.merge([bar(2), bar(4)])).toBe(3);
    expect(series.merge([bar(0)])).toBe(0);
    expect(series.merge([bar(2), bar(3)])).toBe(-1);
    expect(series.merge([])).toBe(-1);
  });

  it("takes a higher revision and never goes back to a lower one", () => {
    const series = seriesOf(1, 2, 3);
    expect(series.merge([bar(2, { revision: 2, close: 7 })])).toBe(1);
    series.merge([bar(2, { revision: 1, close: 8 })]);
    expect(series.bars[1]).toMatchObject({ revision: 2, close: 7 });
  });

  it("lets the final bar stand against a forming one that comes late", () => {
    const series = seriesOf(1);
    series.merge([bar(2, { is_final: false, close: 1 })]);
    series.merge([bar(2, { close: 2 })]);
    series.merge([bar(2, { is_final: false, close: 3, trades: 99 })]);
    expect(series.last).toMatchObject({ is_final: true, close: 2 });
  });

  it("takes of two forming bars the one that has seen more trades", () => {
    const series = seriesOf(1);
    series.merge([bar(2, { is_final: false, trades: 8, close: 8 })]);
    series.merge([bar(2, { is_final: false, trades: 6, close: 6 })]);
    expect(series.last?.close).toBe(8);
    expect(series.lastFinal?.ts_open_ns).toBe(bar(1).ts_open_ns);
  });

  it("finds the bar that contains a moment", () => {
    const series = seriesOf(1, 2, 5);
    expect(series.barAt(bar(2).ts_open_ns + 30e9)).toBe(series.bars[1]);
    expect(series.barAt(bar(5).ts_open_ns)).toBe(series.bars[2]);
    expect(series.barAt(bar(0).ts_open_ns)).toBeUndefined();
  });
});
