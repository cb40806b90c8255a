import { describe, expect, it } from "vitest";
import { bytes, change, compact, MISSING, percent, price } from "../src/format/numbers";
import { day, moment, offsetSeconds, span, timeOfDay } from "../src/format/times";

// 9:30 in New York on the day after clocks were set back in 2023.
const OPEN_NS = Date.UTC(2023, 10, 6, 14, 30) * 1e6;

describe("numbers", () => {
  it("show prices to the cent, finer ones whole", () => {
    expect([price(189.5), price(189.5025), price(0.0123), price(612_345.5)]).toEqual(["189.50", "189.5025", "0.0123", "612,345.50"]);
  });

  it("show what is missing as a dash, never as zero", () => {
    expect([price(null), change(undefined), percent(Number.NaN), compact(null)]).toEqual(Array(4).fill(MISSING));
  });

  it("sign changes, but not one that rounds to nothing", () => {
    expect([change(1.2), change(-1.2), change(-0.001), percent(0.001)]).toEqual(["+1.20", "−1.20", "0.00", "0.00%"]);
  });

  it("shorten great numbers to three figures", () => {
    expect([9_999, 10_000, 999_950, 15_840_000, 2.5e12].map(compact)).toEqual(["9,999", "10.0K", "1.00M", "15.8M", "2.50T"]);
  });

  it("give bytes in powers of 1024", () => {
    expect([bytes(0), bytes(1536), bytes(200 * 2 ** 20)]).toEqual(["0 B", "1.5 KiB", "200 MiB"]);
  });
});

describe("times", () => {
  it("are those of the zone, over a change of the clocks", () => {
    expect(timeOfDay(OPEN_NS, "America/New_York", "minute")).toBe("09:30");
    expect(timeOfDay(OPEN_NS - 4 * 86_400e9, "America/New_York", "minute")).toBe("10:30");
    expect(timeOfDay(OPEN_NS + 5.25e8, "UTC", "millisecond")).toBe("14:30:00.525");
  });

  it("know zones with half hours and the change within a night", () => {
    expect(offsetSeconds("Asia/Kolkata", 1_700_000_000)).toBe(19_800);
    const back_s = Date.UTC(2023, 10, 5, 6) / 1000;
    expect([offsetSeconds("America/New_York", back_s - 1), offsetSeconds("America/New_York", back_s)]).toEqual([-14_400, -18_000]);
  });

  it("name days and moments", () => {
    expect(day(OPEN_NS, "America/New_York")).toBe("Mon 06 Nov 2023");
    expect(moment(OPEN_NS, "UTC")).toBe("06 Nov 14:30:00");
  });

  it("tell spans in the unit that is read most easily", () => {
    expect([0.2e9, 45e9, 600e9, 7_500e9, 270_000e9].map(span)).toEqual(["200 ms", "45 s", "10 min", "2 h 05 min", "3 d 3 h"]);
  });
});
