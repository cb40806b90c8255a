import { signal } from "@preact/signals";

export const VIEWS = ["trade", "market", "pipeline", "sql", "alerts"] as const;
export type View = (typeof VIEWS)[number];

export const VIEW_TITLES: Record<View, string> = {
  trade: "Trade",
  market: "Market",
  pipeline: "Pipeline",
  sql: "SQL",
  alerts: "Alerts",
};

function fromAddress(): View {
  const name = location.hash.replace(/^#\/?/, "");
  return VIEWS.find((view) => view === name) ?? "trade";
}

export const view = signal<View>(fromAddress());

window.addEventListener("hashchange", () => {
  view.value = fromAddress();
});

export function show(next: View): void {
  location.hash = `/${next}`;
}
