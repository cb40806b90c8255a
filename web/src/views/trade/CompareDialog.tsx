import { useState } from "preact/hooks";
import { Dialog } from "../../parts/Dialog";
import { rows } from "../../state/market";
import { chosen, compared } from "../../state/settings";
import { orderRows } from "./order";

const COMPARED_MAX = 5;
const OFFERED = 30;

/** Chooses the symbols that are drawn beside the chosen one, as change in percent. */
export function CompareDialog({ onClose }: { onClose: () => void }) {
  const [search, setSearch] = useState("");
  const picked = compared.value;
  const offered = orderRows(rows.values(), search, { column: "symbol", isDescending: false })
    .filter((key) => key !== chosen.value && !picked.includes(key))
    .slice(0, OFFERED);
  return (
    <Dialog title="Compare with" onClose={onClose}>
      <p class="dim">Each line shows the change in percent since the left edge of the chart.</p>
      {picked.length > 0 && (
        <ul class="chips" aria-label="Compared now">
          {picked.map((key) => (
            <li key={key}>
              <button type="button" class="chip" onClick={() => (compared.value = picked.filter((one) => one !== key))}>
                {key.slice(key.indexOf("|") + 1)} <span aria-label="remove">✕</span>
              </button>
            </li>
          ))}
        </ul>
      )}
      <input
        class="input"
        type="search"
        placeholder="Search symbols"
        aria-label="Search symbols to compare"
        value={search}
        onInput={(event) => setSearch(event.currentTarget.value)}
      />
      <ul class="options" aria-label="Symbols">
        {offered.map((key) => (
          <li key={key}>
            <button
              type="button"
              disabled={picked.length >= COMPARED_MAX}
              onClick={() => (compared.value = [...picked, key])}
            >
              {key.slice(key.indexOf("|") + 1)} <span class="dim">{rows.get(key)?.feed}</span>
            </button>
          </li>
        ))}
      </ul>
    </Dialog>
  );
}
