import { defaultHorzScaleBehavior, type TickMark, type TickMarkWeightValue, type TimeScalePoint } from "lightweight-charts";
import { offsetSeconds } from "../format/times";

// The library's own weights of marks, coarsest first.
const WEIGHTS: [divisor_s: number, weight: number][] = [
  [43_200, 33],
  [21_600, 32],
  [10_800, 31],
  [3_600, 30],
  [1_800, 22],
  [300, 21],
  [60, 20],
  [1, 10],
];
const MINUTE = 20;
const DAY = 50;
const MONTH = 60;
const YEAR = 70;

function weightOf(wall_s: number, before_s: number): number {
  const now = new Date(wall_s * 1000);
  const before = new Date(before_s * 1000);
  if (now.getUTCFullYear() !== before.getUTCFullYear()) return YEAR;
  if (now.getUTCMonth() !== before.getUTCMonth()) return MONTH;
  if (now.getUTCDate() !== before.getUTCDate()) return DAY;
  for (const [divisor_s, weight] of WEIGHTS) {
    if (Math.floor(before_s / divisor_s) !== Math.floor(wall_s / divisor_s)) return weight;
  }
  return 0;
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

function markText(wall_s: number, weight: number): string {
  const wall = new Date(wall_s * 1000);
  const month = MONTHS[wall.getUTCMonth()]!;
  if (weight >= YEAR) return String(wall.getUTCFullYear());
  if (weight >= MONTH) return month;
  if (weight >= DAY) return `${wall.getUTCDate()} ${month}`;
  return wall.toISOString().slice(11, weight >= MINUTE ? 16 : 19);
}

const Base = defaultHorzScaleBehavior();

/**
 * A time axis whose days and hours begin where the shown zone begins them. Shifting the times themselves,
 * as is often advised, would put two bars into one place when clocks are set back.
 */
export class ZonedAxis extends Base {
  readonly #zone: () => string;

  constructor(zone: () => string) {
    super();
    this.#zone = zone;
  }

  override fillWeightsForPoints(
    points: readonly { -readonly [K in keyof TimeScalePoint]: TimeScalePoint[K] }[],
    startIndex: number,
  ): void {
    const zone = this.#zone();
    for (let i = Math.max(startIndex, 0); i < points.length; i += 1) {
      const point = points[i]!;
      const utc_s = point.originalTime as number;
      const before_s = points[i - 1]?.originalTime as number | undefined;
      const wall_s = utc_s + offsetSeconds(zone, utc_s);
      // Before the first point is unknown; a day's mark there tells at least which day it is.
      const weight = before_s === undefined ? DAY : weightOf(wall_s, before_s + offsetSeconds(zone, before_s));
      point.timeWeight = weight as TickMarkWeightValue;
    }
  }

  override formatTickmark(mark: TickMark): string {
    const utc_s = mark.originalTime as number;
    return markText(utc_s + offsetSeconds(this.#zone(), utc_s), mark.weight);
  }
}
