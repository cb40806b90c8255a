import { signal } from "@preact/signals";
import { ChartPanel } from "./ChartPanel";
import { Tape } from "./Tape";
import { Watchlist } from "./Watchlist";

const PANES = ["List", "Chart", "Tape"] as const;
/** Which pane a phone shows; a desk shows all. */
const pane = signal<(typeof PANES)[number]>("Chart");

export default function TradeView() {
  return (
    <div class="trade" data-pane={pane.value}>
      <div class="segments panes" role="group" aria-label="Part of the view">
        {PANES.map((name) => (
          <button key={name} type="button" aria-pressed={pane.value === name} onClick={() => (pane.value = name)}>
            {name}
          </button>
        ))}
      </div>
      <Watchlist />
      <ChartPanel />
      <Tape />
    </div>
  );
}
