import { useEffect, useState } from "preact/hooks";
import { moment } from "../format/times";
import { acknowledge, announced, happening } from "../state/alerts";
import { may, zone } from "../state/info";
import { keyOf } from "../state/market";
import { show, view } from "../state/route";
import { chosen } from "../state/settings";

const SHOWN_MS = 12_000;
// A new one every second would move under the hand that wants to press one of its buttons.
const STEADY_MS = 4_000;

function dismiss(): void {
  announced.value = [];
}

/** Shows the newest alert for a while, and how many more there are; tells it to screen readers. */
export function Announcer() {
  const fresh = announced.value;
  const [shown, setShown] = useState<string | null>(null);
  const alert = fresh.find((one) => one.id === shown) ?? fresh[0];
  const isCritical = alert?.severity === "critical";
  const newestId = fresh[0]?.id;
  useEffect(() => {
    if (alert === undefined) return;
    setShown(alert.id);
    if (newestId === alert.id) return;
    const timer = setTimeout(() => setShown(newestId!), STEADY_MS);
    return () => clearTimeout(timer);
  }, [alert?.id, newestId === alert?.id]);
  useEffect(() => {
    // The list has all of them; critical ones stay until somebody has seen them.
    if (alert === undefined || isCritical) return;
    const timer = setTimeout(() => {
      announced.value = announced.value.filter((one) => one.severity === "critical");
    }, SHOWN_MS);
    return () => clearTimeout(timer);
  }, [alert?.id]);
  return (
    <div class="toasts" aria-live={isCritical ? "assertive" : "polite"} aria-atomic="true">
      {alert && view.value !== "alerts" && (
        <div class={`toast ${alert.severity}`}>
          <p>
            <b>{alert.symbol}</b> {happening(alert)}
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
                dismiss();
              }}
            >
              Show chart
            </button>
            {may("alerts") && (
              <button
                type="button"
                class="button"
                // A failed acknowledgement leaves the alert open in the list, where it is seen.
                onClick={() => void acknowledge(alert).catch(dismiss)}
              >
                Acknowledge
              </button>
            )}
            {fresh.length > 1 && (
              <button
                type="button"
                class="button quiet"
                onClick={() => {
                  show("alerts");
                  dismiss();
                }}
              >
                {fresh.length - 1} more
              </button>
            )}
            <button type="button" class="button quiet push" aria-label="Dismiss" title="Dismiss" onClick={dismiss}>
              ✕
            </button>
          </div>
        </div>
      )}
    </div>
  );
}
