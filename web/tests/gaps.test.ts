import { describe, expect, it } from "vitest";
import { blankOpenings, holesOf } from "../src/bars/gaps";
import { closesAt, holeBands, pointsOf, sessionBands, timelineOf } from "../src/chart/timeline";
import { bar, gap, MINUTE_NS, START_NS } from "./bars";

function minutes(openings: number[]): number[] {
  return openings.map((ts_ns) => (ts_ns - START_NS) / MINUTE_NS);
}

describe("holes of the record", () => {
  const bars = [0, 1, 5, 6].map((minute) => bar(minute));

  it("get room on the axis where no bar is known", () => {
    expect(minutes(blankOpenings(bars, [gap(1.5, 4.2)], "1m"))).toEqual([2, 3, 4]);
  });

  it("leave quiet intervals without room", () => {
    expect(timelineOf(bars, [])).toHaveLength(4);
  });

  it("do not push the rest off the screen when they are long", () => {
    const far = [bar(0), bar(5_000)];
    expect(blankOpenings(far, [gap(1, 5_000)], "1m").length).toBeLessThanOrEqual(60);
  });

  it("are those of the symbol or the whole feed that were not repaired", () => {
    const gaps = [gap(1, 2), gap(1, 2, { state: "repaired" }), gap(1, 2, { channel: "MSFT" }), gap(1, 2, { channel: "AAPL" })];
    expect(holesOf(gaps, "AAPL").map((one) => one.channel)).toEqual(["*", "AAPL"]);
  });

  it("are hatched over the places they cover", () => {
    const holes = [gap(1.5, 4.2, { state: "open" })];
    const timeline = timelineOf(bars, blankOpenings(bars, holes, "1m"));
    expect(minutes(timeline)).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(holeBands(holes, timeline)).toEqual([{ kind: "hole", isOpen: true, from: 1, to: 4 }]);
  });
});

describe("sessions", () => {
  it("are shaded in runs outside of regular hours", () => {
    const sessions = ["pre", "pre", "regular", "regular", "post"];
    const bars = sessions.map((session, minute) => bar(minute, { session }));
    expect(sessionBands(bars, timelineOf(bars, []))).toEqual([
      { kind: "session", from: 0, to: 1 },
      { kind: "session", from: 4, to: 4 },
    ]);
  });
});

describe("a compared symbol", () => {
  const bars = [bar(1, { close: 1 }), bar(3, { close: 3 }), bar(4, { close: null }), bar(9, { close: 9 })];
  const its = pointsOf(bars, []);
  const places = (minutes: number[]) => minutes.map((minute) => START_NS + minute * MINUTE_NS);

  it("stands at its last close at each place of the chart's own axis", () => {
    expect(closesAt(places([0, 1, 2, 5, 6]), its, new Set())).toEqual([null, 1, 1, 3, 3]);
  });

  it("goes on with what was live after its last bar", () => {
    const [old, live] = places([8, 10]) as [number, number];
    expect(pointsOf(bars, [[old, 8], [live, 10]]).map(([, close]) => close)).toEqual([1, 3, 9, 10]);
  });

  it("is not drawn through a hole of the record", () => {
    expect(closesAt(places([1, 2, 5]), its, new Set(places([2])))).toEqual([1, null, 3]);
  });
});
