// Times of day in a chosen zone. Everything inside is nanoseconds or seconds since 1970 UTC.

import { MISSING } from "./numbers";

const NS_PER_MS = 1e6;
const QUARTER_HOUR_S = 900;

const formats = new Map<string, Intl.DateTimeFormat>();

function formatter(zone: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = zone + JSON.stringify(options);
  let format = formats.get(key);
  if (format === undefined) {
    format = new Intl.DateTimeFormat("en-GB", { timeZone: zone, hourCycle: "h23", ...options });
    formats.set(key, format);
  }
  return format;
}

export function localZone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}

/** The zone itself if this browser knows it, else UTC: a server may name one that is newer. */
export function knownZone(zone: string | undefined): string {
  try {
    return Intl.DateTimeFormat("en", { timeZone: zone ?? "UTC" }).resolvedOptions().timeZone;
  } catch {
    return "UTC";
  }
}

const offsets = new Map<string, number>();

/** Seconds to add to UTC for the wall clock of `zone`; zones change only at full quarters of an hour. */
export function offsetSeconds(zone: string, utc_s: number): number {
  if (zone === "UTC") return 0;
  const quarter = Math.floor(utc_s / QUARTER_HOUR_S);
  const key = `${zone}${quarter}`;
  let offset = offsets.get(key);
  if (offset === undefined) {
    if (offsets.size > 50_000) offsets.clear();
    const parts = formatter(zone, {
      year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit",
    }).formatToParts(quarter * QUARTER_HOUR_S * 1000);
    const part = (type: string) => Number(parts.find((one) => one.type === type)?.value);
    const wall_ms = Date.UTC(part("year"), part("month") - 1, part("day"), part("hour"), part("minute"), part("second"));
    offset = wall_ms / 1000 - quarter * QUARTER_HOUR_S;
    offsets.set(key, offset);
  }
  return offset;
}

export type Precision = "minute" | "second" | "millisecond";

/** "14:30:05.123" */
export function timeOfDay(ts_ns: number | null | undefined, zone: string, precision: Precision = "second"): string {
  if (ts_ns == null) return MISSING;
  const ms = Math.floor(ts_ns / NS_PER_MS);
  const wall_s = Math.floor(ms / 1000) + offsetSeconds(zone, Math.floor(ms / 1000));
  const text = new Date(wall_s * 1000).toISOString().slice(11, precision === "minute" ? 16 : 19);
  return precision === "millisecond" ? `${text}.${String(ms % 1000).padStart(3, "0")}` : text;
}

/** "Mon 23 Nov 2026" */
export function day(ts_ns: number | null | undefined, zone: string): string {
  if (ts_ns == null) return MISSING;
  return formatter(zone, { weekday: "short", day: "2-digit", month: "short", year: "numeric" })
    .format(ts_ns / NS_PER_MS)
    .replace(",", "");
}

/** "23 Nov 14:30:05" */
export function moment(ts_ns: number | null | undefined, zone: string): string {
  if (ts_ns == null) return MISSING;
  const date = formatter(zone, { day: "2-digit", month: "short" }).format(ts_ns / NS_PER_MS);
  return `${date} ${timeOfDay(ts_ns, zone)}`;
}

/** "EST", "UTC", "GMT+1": how people call the zone at that moment. */
export function zoneName(zone: string, at_ms: number): string {
  const parts = new Intl.DateTimeFormat("en-US", { timeZone: zone, timeZoneName: "short" }).formatToParts(at_ms);
  return parts.find((part) => part.type === "timeZoneName")?.value ?? zone;
}

/** "45 s", "3 min", "2 h 05 min", "4 d 3 h" */
export function span(ns: number): string {
  const seconds = Math.max(0, ns / 1e9);
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${String(minutes % 60).padStart(2, "0")} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}
