import type { Cell, SqlAnswer } from "../../api/types";

export interface Point {
  x: number;
  y: number;
}

/** A cell as a place on an axis: numbers as they are, texts that are times as milliseconds, others not at all. */
export function placeOf(value: Cell | undefined): number | null {
  if (typeof value === "number") return value;
  if (typeof value !== "string" || value === "") return null;
  const number = Number(value);
  if (Number.isFinite(number)) return number;
  const time_ms = Date.parse(value.replace(" ", "T"));
  return Number.isNaN(time_ms) ? null : time_ms;
}

/** Points of two columns, rising in x; `x` of -1 is the number of the row. */
export function pointsOf(answer: SqlAnswer, x: number, y: number): Point[] {
  const points: Point[] = [];
  for (const [i, row] of answer.rows.entries()) {
    const place = x < 0 ? i + 1 : placeOf(row[x]);
    const value = placeOf(row[y]);
    if (place !== null && value !== null) points.push({ x: place, y: value });
  }
  return points.sort((a, b) => a.x - b.x);
}

/** About `count` round numbers that cover a range. */
export function ticksOf(low: number, high: number, count: number): number[] {
  if (!(high > low)) return [low];
  const raw = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = ([1, 2, 5].find((factor) => factor * power >= raw) ?? 10) * power;
  const ticks: number[] = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-9; at += step) ticks.push(at);
  return ticks;
}
