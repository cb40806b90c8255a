import { signal } from "@preact/signals";
import type { Row } from "../api/types";

/** "feed|symbol" */
export function keyOf(row: { feed: string; symbol: string }): string {
  return `${row.feed}|${row.symbol}`;
}

export function splitKey(key: string): { feed: string; symbol: string } {
  const bar = key.indexOf("|");
  return { feed: key.slice(0, bar), symbol: key.slice(bar + 1) };
}

// One map for 10,000 symbols, and one number that says it changed: a signal a row would cost more than
// drawing the forty rows that are in sight.
export const rows = new Map<string, Row>();
/** Rises when values changed, at most once a frame. */
export const ticked = signal(0);
/** Rises when symbols came or went. */
export const listed = signal(0);
/** Whether a first snapshot came, even an empty one. */
export const isKnown = signal(false);
/** The way of the last price of each symbol: 1 up, -1 down. */
export const ways = new Map<string, -1 | 0 | 1>();

/** When the last of all trades was made; 0 where none is known. */
export function newest_ns(): number {
  let newest = 0;
  for (const row of rows.values()) newest = Math.max(newest, row.ts_ns ?? 0);
  return newest;
}

const MINUTE_NS = 60e9;
const SPARKLINE_MINUTES = 40;
/** The minute that the last value of all sparklines belongs to. */
let sparklineMinute = 0;

let isFrameDue = false;

export function tickSoon(): void {
  if (isFrameDue) return;
  isFrameDue = true;
  requestAnimationFrame(() => {
    isFrameDue = false;
    ticked.value += 1;
  });
}

export function replaceRows(fresh: Row[]): void {
  rows.clear();
  ways.clear();
  sparklineMinute = 0;
  for (const row of fresh) {
    rows.set(keyOf(row), row);
    sparklineMinute = Math.max(sparklineMinute, minuteOf(row));
  }
  isKnown.value = true;
  listed.value += 1;
  tickSoon();
}

export function updateRows(changed: Row[]): void {
  let isNew = false;
  for (const row of changed) {
    const key = keyOf(row);
    const before = rows.get(key);
    if (before === undefined) isNew = true;
    else {
      // Sparklines come with snapshots only; until the next one they grow here.
      if (row.sparkline === undefined) row.sparkline = grown(before, row);
      if (row.last !== before.last) ways.set(key, (row.last ?? 0) > (before.last ?? 0) ? 1 : -1);
    }
    rows.set(key, row);
  }
  if (isNew) listed.value += 1;
  tickSoon();
}

function minuteOf(row: Row): number {
  return Math.floor((row.ts_ns ?? 0) / MINUTE_NS);
}

function grown(before: Row, row: Row): (number | null)[] {
  const values = before.sparkline ?? [];
  if (row.ts_ns === before.ts_ns) return values;
  // A symbol without trades has its last value at an older minute than the others.
  const from = Math.max(minuteOf(before), sparklineMinute);
  const passed = Math.min(Math.max(minuteOf(row) - from, 0), SPARKLINE_MINUTES);
  if (passed === 0) return [...values.slice(0, -1), row.last];
  return [...values, ...new Array<null>(passed - 1).fill(null), row.last].slice(-SPARKLINE_MINUTES);
}
