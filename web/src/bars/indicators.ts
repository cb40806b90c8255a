import type { IndicatorInfo } from "../api/types";

/** "sma(20)" → "sma" */
export function indicatorName(request: string): string {
  return request.split("(")[0]!;
}

/** "macd(12,26,9)" → [12, 26, 9] */
export function indicatorNumbers(request: string): number[] {
  const inside = /\((.*)\)/.exec(request)?.[1];
  return inside ? inside.split(",").map(Number) : [];
}

/** The text that asks for an indicator with these numbers; without any it is the bare name. */
export function indicatorRequest(info: IndicatorInfo, numbers: readonly number[]): string {
  const defaults = Object.values(info.parameters);
  if (defaults.length === 0) return info.name;
  return `${info.name}(${defaults.map((value, i) => (Number.isFinite(numbers[i]) ? numbers[i] : value)).join(",")})`;
}
