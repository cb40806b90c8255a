import type { Row } from "../../api/types";
import { change, compact, direction, percent, price, priceDecimals, size } from "../../format/numbers";
import { Sparkline } from "../../parts/Sparkline";
import { ways } from "../../state/market";
import { chosen, favourites } from "../../state/settings";

export const ROW_PX = 30;

const GREAT_PRICE = 10_000;

const STATE_TITLES = { halted: "Trading is halted", paused: "Trading is paused" } as const;

export function toggleFavourite(key: string): void {
  const before = favourites.value;
  favourites.value = before.includes(key) ? before.filter((one) => one !== key) : [...before, key];
}

interface Props {
  rowKey: string;
  row: Row;
  rowIndex: number;
}

export function WatchRow({ rowKey, row, rowIndex }: Props) {
  const isChosen = chosen.value === rowKey;
  const isStarred = favourites.value.includes(rowKey);
  const way = direction(row.change);
  // The columns have room for seven figures; a share of 600,000 is not read to the cent here.
  const isGreat = (row.last ?? 0) >= GREAT_PRICE;
  const decimals = isGreat ? 0 : priceDecimals(row.last ?? 1);
  const stop = row.state === "halted" || row.state === "paused" ? row.state : null;
  return (
    <tr
      class={`${isChosen ? "chosen" : ""} ${stop ? "stopped" : ""}`}
      aria-rowindex={rowIndex}
      data-key={rowKey}
      aria-current={isChosen ? "true" : undefined}
      onClick={() => {
        chosen.value = rowKey;
      }}
    >
      <th scope="row" class="c-symbol">
        <button
          type="button"
          class="star"
          aria-label={`${isStarred ? "Unmark" : "Mark"} ${row.symbol} as favourite`}
          aria-pressed={isStarred}
          tabIndex={-1}
          onClick={(event) => {
            event.stopPropagation();
            toggleFavourite(rowKey);
          }}
        >
          {isStarred ? "★" : "☆"}
        </button>
        <span class="symbol" title={`${row.symbol} · ${row.feed}`}>
          {row.symbol}
        </span>
        {stop && (
          <span class="badge stop" title={STATE_TITLES[stop]}>
            {stop === "halted" ? "HALT" : "PAUSE"}
          </span>
        )}
      </th>
      <td class="num c-last">
        <span key={row.last} class={flash(rowKey)}>
          {isGreat ? price(row.last, 0) : price(row.last)}
        </span>
      </td>
      <td class={`num way${way} c-change`}>{change(row.change, decimals)}</td>
      <td class={`num way${way} c-change_pct`} title={row.change_base === "open" ? "since the day's open" : "since the previous close"}>
        {percent(row.change_pct)}
      </td>
      <td class="num c-volume" title={size(row.volume)}>{compact(row.volume)}</td>
      <td class="num c-spread">{price(row.spread, decimals)}</td>
      <td class="c-spark">
        <Sparkline values={row.sparkline} way={way} />
      </td>
    </tr>
  );
}

function flash(key: string): string {
  const way = ways.get(key);
  if (way === undefined) return "";
  return way > 0 ? "flash-up" : "flash-down";
}
