import { signal } from "@preact/signals";
import { Dialog } from "../parts/Dialog";
import { info } from "../state/info";

export const isHelpOpen = signal(false);

const KEYS: [keys: string, what: string][] = [
  ["/", "search symbols"],
  ["↑ ↓", "previous or next symbol of the watchlist"],
  ["1 – 5", "Trade, Market, Pipeline, SQL, Alerts"],
  ["← → + − End", "in the chart: move, zoom, go to now"],
  ["f", "mark the symbol as favourite"],
  ["t", "theme: as the system, dark, light"],
  ["Ctrl Enter", "in the SQL editor: run"],
  ["Esc", "close what is open, leave a field"],
  ["?", "this page"],
];

const SIGNS: [sign: string, what: string][] = [
  ["hatch", "a hole in the record: trades may be missing there. Amber: still open"],
  ["shade", "before or after regular hours"],
  ["dot", "a bar that was corrected later"],
  ["arrow", "an alert"],
];

export function Help() {
  return (
    <Dialog
      title="Help"
      onClose={() => {
        isHelpOpen.value = false;
      }}
    >
      <h3>Keys</h3>
      <dl class="keys">
        {KEYS.map(([keys, what]) => (
          <div key={keys}>
            <dt>
              <kbd>{keys}</kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <h3>Signs in the chart</h3>
      <dl class="keys">
        {SIGNS.map(([sign, what]) => (
          <div key={sign}>
            <dt>
              <span class={`sign ${sign}`} aria-hidden="true" />
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <p class="dim">
        ticktrail {info.value?.version}. Charts are drawn with TradingView Lightweight Charts™, © TradingView, Inc.,{" "}
        <a href="https://www.tradingview.com/" rel="noreferrer noopener" target="_blank">
          www.tradingview.com
        </a>
        . <a href="metrics">Metrics</a> · <a href="api/v1/openapi.json">Interface</a>
      </p>
    </Dialog>
  );
}
