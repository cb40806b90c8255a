import type { Bar, Gap } from "../api/types";
import type { Band } from "./bands";

/** Every place on the axis: the openings of bars and of blanks, both rising. */
export function timelineOf(bars: readonly Bar[], blanks: readonly number[]): number[] {
  if (blanks.length === 0) return bars.map((bar) => bar.ts_open_ns);
  const openings: number[] = [];
  let at = 0;
  for (const bar of bars) {
    while (at < blanks.length && blanks[at]! < bar.ts_open_ns) openings.push(blanks[at++]!);
    openings.push(bar.ts_open_ns);
  }
  return openings;
}

/**
 * What a compared symbol stood at, at each place of the axis: its last close until then. The axis stays that of
 * the chart's own bars; places of its own would push what is drawn by place to the side.
 */
export function closesAt(
  timeline: readonly number[],
  points: readonly ClosePoint[],
  blanks: ReadonlySet<number>,
): (number | null)[] {
  let at = 0;
  let close: number | null = null;
  return timeline.map((ts_ns) => {
    for (; at < points.length && points[at]![0] <= ts_ns; at += 1) close = points[at]![1];
    return blanks.has(ts_ns) ? null : close;
  });
}

export type ClosePoint = readonly [ts_ns: number, close: number];

/** The closes of bars, and behind them those points of the stream that are newer. */
export function pointsOf(bars: readonly Bar[], live: readonly ClosePoint[]): ClosePoint[] {
  const points = bars.flatMap((bar) => (bar.close === null ? [] : [[bar.ts_open_ns, bar.close] as const]));
  const last_ns = bars.at(-1)?.ts_open_ns ?? 0;
  return [...points, ...live.filter(([ts_ns]) => ts_ns > last_ns)];
}

function placeAtOrBefore(timeline: readonly number[], ts_ns: number): number {
  let low = 0;
  let high = timeline.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (timeline[middle]! <= ts_ns) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** Where the sessions outside of regular hours lie: runs of bars, so that nights without bars take no room. */
export function sessionBands(bars: readonly Bar[], timeline: readonly number[]): Band[] {
  const bands: Band[] = [];
  let open: Band | null = null;
  let place = 0;
  for (const bar of bars) {
    while (timeline[place]! < bar.ts_open_ns) place += 1;
    const isShaded = bar.session === "pre" || bar.session === "post" || bar.session === "closed";
    // A bar that is forming does not tell its session yet: it is drawn as the one before.
    if (!bar.session) {
      if (open !== null) open.to = place;
    } else if (!isShaded) open = null;
    else if (open === null) bands.push((open = { kind: "session", from: place, to: place }));
    else open.to = place;
  }
  return bands;
}

/** Where the holes lie on the axis; what lies before the first bar or after the last is clipped. */
export function holeBands(holes: readonly Gap[], timeline: readonly number[]): Band[] {
  const first_ns = timeline[0];
  if (first_ns === undefined) return [];
  return holes
    .filter((hole) => hole.to_ns > first_ns)
    .map((hole) => ({
      kind: "hole",
      isOpen: hole.state === "open",
      from: Math.max(0, placeAtOrBefore(timeline, hole.from_ns)),
      to: Math.max(0, placeAtOrBefore(timeline, hole.to_ns - 1)),
    }));
}
