import { signal } from "@preact/signals";
import { info } from "../../state/info";
import { rows, splitKey, ticked } from "../../state/market";
import { change, direction, percent, price } from "../../format/numbers";
import { chosen, compared, indicators, interval } from "../../state/settings";
import { CompareDialog } from "./CompareDialog";
import { IndicatorDialog } from "./IndicatorDialog";

/** Whether the bars are shown as a table instead of as candles. */
export const isTable = signal(false);
const open = signal<"indicators" | "compare" | null>(null);

/** The chosen symbol with its price, and what is to be drawn. */
export function ChartBar() {
  return (
    <div class="panel-bar chart-bar">
      <Headline />
      <div class="segments" role="group" aria-label="Interval">
        {(info.value?.intervals ?? []).map((one) => (
          <button
            key={one}
            type="button"
            aria-pressed={interval.value === one}
            onClick={() => {
              interval.value = one;
            }}
          >
            {one}
          </button>
        ))}
      </div>
      <button type="button" class="button quiet" onClick={() => (open.value = "indicators")}>
        Indicators{indicators.value.length > 0 && <span class="count">{indicators.value.length}</span>}
      </button>
      <button type="button" class="button quiet" onClick={() => (open.value = "compare")}>
        Compare{compared.value.length > 0 && <span class="count">{compared.value.length}</span>}
      </button>
      <button
        type="button"
        class="button quiet as-table"
        aria-pressed={isTable.value}
        aria-label="Bars as a table"
        title="Bars as a table"
        onClick={() => (isTable.value = !isTable.value)}
      >
        ▤
      </button>
      {open.value === "indicators" && <IndicatorDialog onClose={() => (open.value = null)} />}
      {open.value === "compare" && <CompareDialog onClose={() => (open.value = null)} />}
    </div>
  );
}

function Headline() {
  void ticked.value;
  const { symbol, feed } = splitKey(chosen.value);
  const row = rows.get(chosen.value);
  const way = direction(row?.change);
  return (
    <div class="headline">
      <h1 title={feed}>{symbol || "–"}</h1>
      <span class="num headline-price">{price(row?.last)}</span>
      <span class={`num way${way}`}>
        {change(row?.change)} <span class="headline-percent">{percent(row?.change_pct)}</span>
      </span>
      {(row?.state === "halted" || row?.state === "paused") && <span class="badge stop">{row.state.toUpperCase()}</span>}
    </div>
  );
}
