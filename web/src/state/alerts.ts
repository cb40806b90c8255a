import { computed, signal } from "@preact/signals";
import { get, write } from "../api/http";
import type { Alert } from "../api/types";

/** The symbol of alerts that concern all symbols of a feed. */
export const WHOLE_FEED = "*";

const PAGE = 200;
// What stays in memory of a day with many alerts; older ones are a request away.
const KEPT_MAX = 5_000;
// More are not counted one by one: the list tells the rest.
const ANNOUNCED_MAX = 100;

/** Newest first, each id once. */
export const alerts = signal<Alert[]>([]);
export const hasOlder = signal(true);
/** Alerts of the stream that nobody has looked at or waved away yet, newest first; for the announcement. */
export const announced = signal<Alert[]>([]);

export const unacknowledged = computed(
  () => alerts.value.filter((alert) => alert.acknowledged_ns == null).length,
);

// Messages hold the beginning of a rule's name only, where it is long.
const NAME_CHARS = 16;

/** What happened, without symbol and rule, which messages name for those who see nothing else. */
export function happening({ message, symbol, rule }: Alert): string {
  const from = message.startsWith(`${symbol} `) ? symbol.length + 1 : 0;
  const to = message.lastIndexOf(` (${rule.slice(0, NAME_CHARS)}`);
  return message.slice(from, to > from ? to : undefined);
}

/** Adds alerts; one that is known is replaced, because acknowledging changes it. Nothing takes that back. */
export function addAlerts(fresh: Alert[]): void {
  if (fresh.length === 0) return;
  const byId = new Map(alerts.value.map((alert) => [alert.id, alert]));
  for (const alert of fresh) {
    const acknowledged_ns = alert.acknowledged_ns ?? byId.get(alert.id)?.acknowledged_ns ?? null;
    byId.set(alert.id, { ...alert, acknowledged_ns });
  }
  alerts.value = [...byId.values()].sort((a, b) => (a.id < b.id ? 1 : -1)).slice(0, KEPT_MAX);
}

/** Takes alerts of the stream and announces those that are not known. */
export function announceAlerts(fresh: Alert[]): void {
  const known = new Set(alerts.value.map((alert) => alert.id));
  const unknown = fresh.filter((alert) => !known.has(alert.id) && alert.acknowledged_ns == null && !alert.is_quiet);
  addAlerts(fresh);
  if (unknown.length === 0) return;
  announced.value = [...unknown.sort((a, b) => (a.id < b.id ? 1 : -1)), ...announced.value].slice(0, ANNOUNCED_MAX);
}

export async function loadOlderAlerts(): Promise<void> {
  await load(alerts.value.at(-1)?.id ?? null);
}

/** Reads the newest from the history, which knows what is acknowledged. */
export async function loadNewestAlerts(): Promise<void> {
  await load(null);
}

async function load(before: string | null): Promise<void> {
  const page = await get<{ alerts: Alert[] }>("alerts", { limit: PAGE, before });
  hasOlder.value = page.alerts.length === PAGE;
  addAlerts(page.alerts);
}

export async function acknowledge(alert: Alert): Promise<void> {
  await write("POST", `alerts/${encodeURIComponent(alert.id)}/acknowledge`);
  addAlerts([{ ...alert, acknowledged_ns: Date.now() * 1e6 }]);
  announced.value = announced.value.filter((one) => one.id !== alert.id);
}
