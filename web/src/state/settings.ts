import { effect, signal, type Signal } from "@preact/signals";
import type { Interval } from "../api/types";

const PREFIX = "ticktrail.";

/** A signal that outlives the page; a stored value of another form is given up for the default. */
function persisted<T>(name: string, initial: T, isValid: (value: unknown) => value is T): Signal<T> {
  let start = initial;
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(PREFIX + name) ?? "null");
    if (isValid(stored)) start = stored;
  } catch {
    // Storage may be forbidden or hold something else: the default does.
  }
  const value = signal(start);
  effect(() => {
    const text = JSON.stringify(value.value);
    try {
      localStorage.setItem(PREFIX + name, text);
    } catch {
      // A full or forbidden storage costs the memory of a setting, nothing else.
    }
  });
  return value;
}

function oneOf<T extends string>(...choices: T[]): (value: unknown) => value is T {
  return (value): value is T => (choices as unknown[]).includes(value);
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((one) => typeof one === "string");
}

export type Theme = "auto" | "dark" | "light";
export type ZoneChoice = "exchange" | "local" | "UTC";
export type SortColumn = "symbol" | "last" | "change" | "change_pct" | "volume" | "spread";
export interface Sort {
  column: SortColumn;
  isDescending: boolean;
}

const COLUMNS: SortColumn[] = ["symbol", "last", "change", "change_pct", "volume", "spread"];

function isSort(value: unknown): value is Sort {
  if (typeof value !== "object" || value === null) return false;
  const { column, isDescending } = value as Partial<Sort>;
  return COLUMNS.includes(column as SortColumn) && typeof isDescending === "boolean";
}

export const theme = persisted<Theme>("theme", "auto", oneOf("auto", "dark", "light"));
export const zoneChoice = persisted<ZoneChoice>("zone", "exchange", oneOf("exchange", "local", "UTC"));
export const interval = persisted<Interval>("interval", "1m", oneOf("1s", "1m", "5m", "1h", "1d"));
export const indicators = persisted<string[]>("indicators", ["vwap"], isTexts);
export const compared = persisted<string[]>("compared", [], isTexts);
export const favourites = persisted<string[]>("favourites", [], isTexts);
export const onlyFavourites = persisted<boolean>("only-favourites", false, (v): v is boolean => typeof v === "boolean");
export const sort = persisted<Sort>("sort", { column: "symbol", isDescending: false }, isSort);
/** The key "feed|symbol" of what is looked at; empty until something is known. */
export const chosen = persisted<string>("symbol", "", (v): v is string => typeof v === "string");
export const query = persisted<string>("sql", "", (v): v is string => typeof v === "string");

const prefersDark = window.matchMedia("(prefers-color-scheme: dark)");
const systemIsDark = signal(prefersDark.matches);
prefersDark.addEventListener("change", (event) => {
  systemIsDark.value = event.matches;
});

/** "dark" or "light" as shown; drawings on canvas read their colours anew when it changes. */
export const shownTheme = signal<"dark" | "light">("dark");
effect(() => {
  const isDark = theme.value === "auto" ? systemIsDark.value : theme.value === "dark";
  document.documentElement.dataset["theme"] = isDark ? "dark" : "light";
  shownTheme.value = isDark ? "dark" : "light";
});
