import { useEffect, useState } from "preact/hooks";
import { moment } from "../format/times";
import { acknowledge, newest } from "../state/alerts";
import { may, zone } from "../state/info";
import { chosen } from "../state/settings";
import { keyOf } from "../state/market";
import { show } from "../state/route";

const SHOWN_MS = 12_000;

/** Shows the newest alert for a while, and tells it to screen readers. */
export function Announcer() {
  const alert = newest.value;
  const [hidden, setHidden] = useState("");
  useEffect(() => {
    if (alert === null || alert.severity === "critical") return;
    const timer = setTimeout(() => setHidden(alert.id), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [alert?.id]);
  const isShown = alert !== null && hidden !== alert.id;
  return (
    <div class="toasts" aria-live={alert?.severity === "critical" ? "assertive" : "polite"} aria-atomic="true">
      {isShown && (
        <div class={`toast ${alert.severity}`}>
          <p>
            <b>{alert.symbol}</b> {alert.message}
          </p>
          <p class="dim num">
            {alert.rule} · {moment(alert.ts_ns, zone.value)}
          </p>
          <div class="row">
            <button
              type="button"
              class="button"
              onClick={() => {
                chosen.value = keyOf(alert);
                show("trade");
                setHidden(alert.id);
              }}
            >
              Show chart
            </button>
            {may("alerts") && (
              <button
                type="button"
                class="button"
                onClick={() => {
                  setHidden(alert.id);
                  // A failed acknowledgement leaves the alert open in the list, where it is seen.
                  acknowledge(alert).catch(() => undefined);
                }}
              >
                Acknowledge
              </button>
            )}
            <button type="button" class="button quiet" onClick={() => setHidden(alert.id)}>
              Dismiss
            </button>
          </div>
        </div>
      )}
    </div>
  );
}
