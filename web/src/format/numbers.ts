// Numbers as traders write them. A missing one is an en dash, never 0 or "NaN".

export const MISSING = "–";
const MINUS = "−";

const formats = new Map<string, Intl.NumberFormat>();

function fixed(value: number, least: number, most: number = least): string {
  const key = `${least}/${most}`;
  let format = formats.get(key);
  if (format === undefined) {
    format = new Intl.NumberFormat("en-US", { minimumFractionDigits: least, maximumFractionDigits: most });
    formats.set(key, format);
  }
  // The true minus sign is as wide as a digit, so that columns stay aligned.
  const text = format.format(value).replace("-", MINUS);
  // What rounds to nothing has no sign.
  return /[1-9]/.test(text) ? text : text.replace(MINUS, "");
}

function isNumber(value: number | null | undefined): value is number {
  return value != null && Number.isFinite(value);
}

/** How many decimals a price of this size is shown with: cents from 1 up, more below. */
export function priceDecimals(price: number): number {
  const size = Math.abs(price);
  if (size >= 1 || size === 0) return 2;
  return size >= 0.01 ? 4 : 6;
}

/** `decimals` for a spread or a change, which are shown as finely as the price they belong to. */
export function price(value: number | null | undefined, decimals?: number): string {
  if (!isNumber(value)) return MISSING;
  if (decimals !== undefined) return fixed(value, decimals);
  const least = priceDecimals(value);
  // Sub-penny executions are shown whole, not rounded to a price that never was.
  return fixed(value, least, Math.max(least, 4));
}

export function change(value: number | null | undefined, decimals = 2): string {
  if (!isNumber(value)) return MISSING;
  const text = fixed(value, decimals);
  return value > 0 && /[1-9]/.test(text) ? `+${text}` : text;
}

export function percent(value: number | null | undefined): string {
  return isNumber(value) ? `${change(value)}%` : MISSING;
}

const STEPS: [number, string][] = [
  [1e12, "T"],
  [1e9, "B"],
  [1e6, "M"],
  [1e3, "K"],
];

/** 1,234 stays; from 10,000 on three digits and a letter, so that a column never grows. */
export function compact(value: number | null | undefined): string {
  if (!isNumber(value)) return MISSING;
  const size = Math.abs(value);
  if (size < 10_000) return fixed(value, 0, size < 10 ? 2 : 0);
  for (const [step, letter] of STEPS) {
    // 999,950 would round to "1000K".
    if (size < step * 0.9995) continue;
    const scaled = value / step;
    const decimals = Math.abs(scaled) < 9.995 ? 2 : Math.abs(scaled) < 99.95 ? 1 : 0;
    return fixed(scaled, decimals) + letter;
  }
  return fixed(value, 0);
}

export function whole(value: number | null | undefined): string {
  return isNumber(value) ? fixed(value, 0) : MISSING;
}

export function size(value: number | null | undefined): string {
  return isNumber(value) ? fixed(value, 0, value < 100 ? 4 : 0) : MISSING;
}

export function milliseconds(value: number | null | undefined): string {
  if (!isNumber(value)) return MISSING;
  if (value >= 10_000) return `${fixed(value / 1000, 0)} s`;
  return value >= 1000 ? `${fixed(value / 1000, 1)} s` : `${fixed(value, value < 10 ? 1 : 0)} ms`;
}

export function bytes(value: number | null | undefined): string {
  if (!isNumber(value)) return MISSING;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let scaled = value;
  let unit = 0;
  while (scaled >= 1024 && unit < units.length - 1) {
    scaled /= 1024;
    unit += 1;
  }
  return `${fixed(scaled, unit === 0 || scaled >= 100 ? 0 : 1)} ${units[unit]}`;
}

/** -1, 0 or 1; a missing value counts as unchanged. */
export function direction(value: number | null | undefined): -1 | 0 | 1 {
  return isNumber(value) ? (Math.sign(value) as -1 | 0 | 1) : 0;
}
