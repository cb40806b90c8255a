import type { Row } from "../../api/types";

export interface Breadth {
  up: number;
  down: number;
  unchanged: number;
  unknown: number;
  aboveVwap: number;
  withVwap: number;
  halted: number;
  turnover: number;
}

/** Money traded today, nearly: the volume at its average price. */
export function turnoverOf(row: Row): number {
  return (row.volume ?? 0) * (row.vwap ?? row.last ?? 0);
}

export function breadthOf(rows: Iterable<Row>): Breadth {
  const sums = { up: 0, down: 0, unchanged: 0, unknown: 0, aboveVwap: 0, withVwap: 0, halted: 0, turnover: 0 };
  for (const row of rows) {
    if (row.change === null) sums.unknown += 1;
    else if (row.change > 0) sums.up += 1;
    else if (row.change < 0) sums.down += 1;
    else sums.unchanged += 1;
    if (row.last !== null && row.vwap !== null) {
      sums.withVwap += 1;
      if (row.last > row.vwap) sums.aboveVwap += 1;
    }
    if (row.state === "halted" || row.state === "paused") sums.halted += 1;
    sums.turnover += turnoverOf(row);
  }
  return sums;
}

const FULL_CHANGES_PCT = [0.5, 1, 2, 3, 5, 10];

/** The change at which a colour is full: what one symbol in ten exceeds, rounded up, so that quiet days show too. */
export function fullChange(rows: Iterable<Row>): number {
  const sizes = [...rows].flatMap((row) => (row.change_pct === null ? [] : [Math.abs(row.change_pct)])).sort((a, b) => a - b);
  const great = sizes[Math.floor(sizes.length * 0.9)] ?? 0;
  return FULL_CHANGES_PCT.find((one) => one >= great) ?? FULL_CHANGES_PCT.at(-1)!;
}

/** The `count` rows with the greatest score; rows scored null take no part. */
export function leaders(rows: Iterable<Row>, count: number, score: (row: Row) => number | null): Row[] {
  const scored: [number, Row][] = [];
  for (const row of rows) {
    const value = score(row);
    if (value !== null && Number.isFinite(value)) scored.push([value, row]);
  }
  return scored.sort((a, b) => b[0] - a[0]).slice(0, count).map(([, row]) => row);
}
