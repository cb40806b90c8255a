import { describe, expect, it } from "vitest";
import { blankOpenings, holesOf } from "../src/bars/gaps";
import { holeBands, sessionBands, timelineOf } from "../src/chart/timeline";
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
    expect(timelineOf(bars, [], "1m")).toHaveLength(4);
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
    const timeline = timelineOf(bars, holes, "1m");
    expect(minutes(timeline)).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(holeBands(holes, timeline)).toEqual([{ kind: "hole", isOpen: true, from: 1, to: 4 }]);
  });
});

describe("sessions", () => {
  it("are shaded in runs outside of regular hours", () => {
    const sessions = ["pre", "pre", "regular", "regular", "post"];
    const bars = sessions.map((session, minute) => bar(minute, { session }));
    expect(sessionBands(bars, timelineOf(bars, [], "1m"))).toEqual([
      { kind: "session", from: 0, to: 1 },
      { kind: "session", from: 4, to: 4 },
    ]);
  });
});
