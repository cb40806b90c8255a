import type { Bar, Gap, Interval } from "../api/types";

export const INTERVAL_NS: Record<Interval, number> = {
  "1s": 1e9,
  "1m": 60e9,
  "5m": 300e9,
  "1h": 3_600e9,
  "1d": 86_400e9,
};

// The axis counts bars, not time: a night without capture must not push the day off the screen.
const BLANKS_MAX = 60;

/** The holes that concern `symbol`: those of the whole feed and its own, but for the repaired ones. */
export function holesOf(gaps: Iterable<Gap>, symbol: string): Gap[] {
  return [...gaps].filter(
    (gap) => gap.state !== "repaired" && (gap.channel === "*" || gap.channel === symbol) && gap.to_ns > gap.from_ns,
  );
}

/**
 * Openings at which nothing is known, because they lie in a hole of the record: the axis keeps room for
 * them, so that the hole is seen. An interval without trades outside of holes gets no room.
 */
export function blankOpenings(bars: readonly Bar[], holes: readonly Gap[], interval: Interval): number[] {
  const step_ns = INTERVAL_NS[interval];
  const first = bars[0];
  const last = bars.at(-1);
  if (first === undefined || last === undefined || interval === "1d") return [];
  const taken = new Set(bars.map((bar) => bar.ts_open_ns));
  const blanks = new Set<number>();
  for (const hole of holes) {
    const from_ns = Math.max(Math.floor(hole.from_ns / step_ns) * step_ns, first.ts_open_ns);
    const to_ns = Math.min(hole.to_ns, last.ts_open_ns);
    const stride = Math.max(1, Math.ceil((to_ns - from_ns) / step_ns / BLANKS_MAX));
    for (let at_ns = from_ns; at_ns < to_ns; at_ns += step_ns * stride) {
      if (!taken.has(at_ns)) blanks.add(at_ns);
    }
  }
  return [...blanks].sort((a, b) => a - b);
}
