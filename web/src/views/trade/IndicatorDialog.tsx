import { useState } from "preact/hooks";
import type { IndicatorInfo } from "../../api/types";
import { indicatorName, indicatorNumbers, indicatorRequest } from "../../bars/indicators";
import { Dialog } from "../../parts/Dialog";
import { info } from "../../state/info";
import { indicators } from "../../state/settings";

/** Chooses indicators and their numbers from what the server calculates. */
export function IndicatorDialog({ onClose }: { onClose: () => void }) {
  const picked = indicators.value;
  return (
    <Dialog title="Indicators" onClose={onClose}>
      {picked.length > 0 && (
        <ul class="chips" aria-label="Drawn now">
          {picked.map((request) => (
            <li key={request}>
              <button type="button" class="chip" onClick={() => (indicators.value = picked.filter((one) => one !== request))}>
                {request} <span aria-label="remove">✕</span>
              </button>
            </li>
          ))}
        </ul>
      )}
      <ul class="offers" aria-label="Indicators offered">
        {(info.value?.indicators ?? []).map((one) => (
          <Offer key={one.name} indicator={one} />
        ))}
      </ul>
    </Dialog>
  );
}

function Offer({ indicator }: { indicator: IndicatorInfo }) {
  const names = Object.keys(indicator.parameters);
  const drawn = indicators.value.find((request) => indicatorName(request) === indicator.name);
  const [numbers, setNumbers] = useState(drawn ? indicatorNumbers(drawn) : Object.values(indicator.parameters));
  const request = indicatorRequest(indicator, numbers);
  const isDrawn = indicators.value.includes(request);
  return (
    <li>
      <b>{indicator.name.toUpperCase()}</b>
      {names.map((name, i) => (
        <label key={name}>
          {name}
          <input
            class="input narrow num"
            type="number"
            min="0"
            step="any"
            value={numbers[i]}
            onInput={(event) => {
              const changed = [...numbers];
              changed[i] = event.currentTarget.valueAsNumber;
              setNumbers(changed);
            }}
          />
        </label>
      ))}
      <span class="dim grow">{indicator.pane === "own" ? "own pane" : ""}</span>
      <button type="button" class="button" disabled={isDrawn} onClick={() => (indicators.value = [...indicators.value, request])}>
        {isDrawn ? "Drawn" : "Draw"}
      </button>
    </li>
  );
}
