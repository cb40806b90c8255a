import { computed, signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { whole } from "../../format/numbers";
import { Empty, Loading } from "../../parts/states";
import { revealRow, useRowWindow } from "../../parts/window";
import { beat } from "../../state/beat";
import { isKnown, listed, rows, ticked } from "../../state/market";
import { chosen, favourites, onlyFavourites, sort, type SortColumn } from "../../state/settings";
import { orderRows } from "./order";
import { ROW_PX, WatchRow } from "./WatchRow";

const HEADER_PX = 28;

export const search = signal("");

export const order = computed(() => {
  void listed.value;
  // The order follows the values once a second: rows that jump about with each trade cannot be read.
  if (sort.value.column !== "symbol") void beat.value;
  const starred = new Set(favourites.value);
  const wanted = onlyFavourites.value ? [...rows].filter(([key]) => starred.has(key)) : [...rows];
  return orderRows(wanted.map(([, row]) => row), search.value, sort.value);
});

const COLUMNS: { column: SortColumn; title: string; name: string }[] = [
  { column: "symbol", title: "Symbol", name: "symbol" },
  { column: "last", title: "Last", name: "last price" },
  { column: "change", title: "Chg", name: "change" },
  { column: "change_pct", title: "Chg %", name: "change in percent" },
  { column: "volume", title: "Volume", name: "volume" },
  { column: "spread", title: "Spread", name: "spread" },
];

function sortBy(column: SortColumn): void {
  const { column: before, isDescending } = sort.value;
  // Names are looked for from A, numbers from the greatest.
  sort.value = { column, isDescending: column === before ? !isDescending : column !== "symbol" };
}

/** Moves the choice by `step` rows of the list as it is shown. */
export function step(by: number): void {
  const keys = order.value;
  if (keys.length === 0) return;
  const at = keys.indexOf(chosen.value);
  const next = at < 0 ? 0 : Math.max(0, Math.min(keys.length - 1, at + by));
  chosen.value = keys[next]!;
}

export function Watchlist() {
  const box = useRef<HTMLDivElement>(null);
  const keys = order.value;
  void ticked.value;
  const { from, to } = useRowWindow(box, keys.length, ROW_PX);
  const index = keys.indexOf(chosen.value);
  useEffect(() => {
    if (box.current && index >= 0) revealRow(box.current, index, ROW_PX, HEADER_PX);
    // Only a new choice moves the list, not every new order.
  }, [chosen.value]);
  return (
    <section class="panel watchlist" aria-label="Watchlist">
      <div class="panel-bar">
        <input
          id="symbol-search"
          class="input grow"
          type="search"
          placeholder="Search symbols  ( / )"
          aria-label="Search symbols"
          autocomplete="off"
          spellcheck={false}
          value={search.value}
          onInput={(event) => {
            search.value = event.currentTarget.value;
          }}
          onKeyDown={(event) => {
            if (event.key === "Enter" && keys[0] !== undefined) {
              chosen.value = keys[0];
              event.currentTarget.blur();
            }
          }}
        />
        <button
          type="button"
          class="button quiet"
          aria-pressed={onlyFavourites.value}
          title="Only favourites"
          aria-label="Only favourites"
          onClick={() => {
            onlyFavourites.value = !onlyFavourites.value;
          }}
        >
          {onlyFavourites.value ? "★" : "☆"}
        </button>
      </div>
      <div class="scroll grow" ref={box} tabIndex={0} aria-label="Symbols, arrow keys choose">
        <table class="watch" aria-rowcount={keys.length + 1}>
          <thead>
            <tr>
              {COLUMNS.map(({ column, title, name }) => (
                <th key={column} scope="col" class={`c-${column}`} aria-sort={ariaSort(column)}>
                  <button type="button" title={`Sort by ${name}`} onClick={() => sortBy(column)}>
                    {title}
                    {sort.value.column === column && <i aria-hidden="true">{sort.value.isDescending ? "▾" : "▴"}</i>}
                  </button>
                </th>
              ))}
              <th scope="col" class="c-spark">
                Trend
              </th>
            </tr>
          </thead>
          <tbody>
            {from > 0 && <tr class="spacer" aria-hidden="true" style={{ height: from * ROW_PX }} />}
            {keys.slice(from, to).map((key, i) => (
              <WatchRow key={key} rowKey={key} row={rows.get(key)!} rowIndex={from + i + 2} />
            ))}
            {to < keys.length && <tr class="spacer" aria-hidden="true" style={{ height: (keys.length - to) * ROW_PX }} />}
          </tbody>
        </table>
        {keys.length === 0 && <NoRows />}
      </div>
      <footer class="panel-foot num">
        {keys.length === rows.size ? `${whole(rows.size)} symbols` : `${whole(keys.length)} of ${whole(rows.size)} symbols`}
      </footer>
    </section>
  );
}

function ariaSort(column: SortColumn): "ascending" | "descending" | "none" {
  if (sort.value.column !== column) return "none";
  return sort.value.isDescending ? "descending" : "ascending";
}

function NoRows() {
  if (!isKnown.value) return <Loading what="Waiting for the market" />;
  if (rows.size === 0) {
    return (
      <Empty title="No symbol has traded yet">
        Rows appear with the first trade. <a href="#/pipeline">Pipeline</a> shows whether a feed is connected.
      </Empty>
    );
  }
  return <Empty title="No symbol matches">Clear the search or the favourites filter.</Empty>;
}
