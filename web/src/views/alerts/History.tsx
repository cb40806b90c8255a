import { signal } from "@preact/signals";
import { useState } from "preact/hooks";
import { problemFrom } from "../../api/http";
import type { Alert, ApiProblem } from "../../api/types";
import { price } from "../../format/numbers";
import { moment } from "../../format/times";
import { Empty, Problem } from "../../parts/states";
import { acknowledge, alerts, happening, hasOlder, loadOlderAlerts, unacknowledged, WHOLE_FEED } from "../../state/alerts";
import { may, zone } from "../../state/info";
import { keyOf } from "../../state/market";
import { show } from "../../state/route";
import { chosen } from "../../state/settings";

const onlyOpen = signal(false);
const search = signal("");

function matches(alert: Alert): boolean {
  if (onlyOpen.value && alert.acknowledged_ns != null) return false;
  const text = search.value.trim().toLowerCase();
  return text === "" || `${alert.symbol} ${alert.rule} ${alert.rule_kind} ${alert.message}`.toLowerCase().includes(text);
}

/** What fired, newest first. */
export function History() {
  const [problem, setProblem] = useState<ApiProblem | null>(null);
  const [isBusy, setBusy] = useState(false);
  const shown = alerts.value.filter(matches);
  const attempt = (work: Promise<void>) => {
    setBusy(true);
    setProblem(null);
    work.catch((error: unknown) => setProblem(problemFrom(error))).finally(() => setBusy(false));
  };
  return (
    <section class="panel history" aria-label="History of alerts">
      <header class="panel-bar">
        <h2>
          History <span class="count">{unacknowledged.value} open</span>
        </h2>
        <input
          class="input"
          type="search"
          placeholder="Symbol, rule, text"
          aria-label="Search alerts"
          value={search.value}
          onInput={(event) => (search.value = event.currentTarget.value)}
        />
        <label class="check">
          <input type="checkbox" checked={onlyOpen.value} onChange={(event) => (onlyOpen.value = event.currentTarget.checked)} />
          only open
        </label>
      </header>
      {problem && <Problem problem={problem} />}
      <div class="scroll grow" tabIndex={0} aria-label="Alerts, newest first">
        <table>
          <thead>
            <tr>
              <th scope="col">Time</th>
              <th scope="col">Symbol</th>
              <th scope="col">Message</th>
              <th scope="col">Rule</th>
              <th scope="col" class="num">Value</th>
              <th scope="col">
                <span class="hidden">Acknowledge</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {shown.map((alert) => (
              <AlertRow key={alert.id} alert={alert} onAcknowledge={() => attempt(acknowledge(alert))} />
            ))}
          </tbody>
        </table>
        {shown.length === 0 && (
          <Empty title={alerts.value.length === 0 ? "Nothing has fired" : "No alert matches"}>
            {alerts.value.length === 0 && "Alerts appear here the moment a rule fires."}
          </Empty>
        )}
        {alerts.value.length > 0 && hasOlder.value && (
          <p class="centred">
            <button type="button" class="button" disabled={isBusy} onClick={() => attempt(loadOlderAlerts())}>
              Older alerts
            </button>
          </p>
        )}
      </div>
    </section>
  );
}

function AlertRow({ alert, onAcknowledge }: { alert: Alert; onAcknowledge: () => void }) {
  const isOpen = alert.acknowledged_ns == null;
  return (
    <tr class={isOpen ? "" : "done"} data-alert={alert.id}>
      <td class="nowrap">{moment(alert.ts_ns, zone.value)}</td>
      <th scope="row">
        {alert.symbol === WHOLE_FEED ? (
          <span title={`All of ${alert.feed}`}>{alert.symbol}</span>
        ) : (
          <button
            type="button"
            class="link"
            onClick={() => {
              chosen.value = keyOf(alert);
              show("trade");
            }}
          >
            {alert.symbol}
          </button>
        )}
      </th>
      <td class="message">
        <span class={`badge ${alert.severity}`}>{alert.severity}</span> {happening(alert)}
      </td>
      <td class="dim" title={alert.rule}>{alert.rule}</td>
      <td class="num">{price(alert.value)}</td>
      <td class="num">
        {isOpen && may("alerts") ? (
          <button type="button" class="button" aria-label={`Acknowledge ${alert.symbol}, ${alert.rule}`} onClick={onAcknowledge}>
            <span class="if-wide">Acknowledge</span>
            <span class="if-narrow">✓</span>
          </button>
        ) : (
          <span class="dim if-wide">{isOpen ? "" : "acknowledged"}</span>
        )}
      </td>
    </tr>
  );
}
