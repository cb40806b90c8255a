import { useEffect, useState } from "preact/hooks";
import { timeOfDay } from "../format/times";
import { infoProblem, zone } from "../state/info";
import { boardLink, focusLink, isCut, isStale, retryNow, serverTrouble } from "../state/live";
import { newest_ns } from "../state/market";

// A restart of the server is over in a moment; only what lasts deserves a banner.
const PATIENCE_MS = 1_500;

/** The server answers, but nothing reaches it. */
function Standstill() {
  const last_ns = newest_ns();
  return (
    <div class="banner" role="alert">
      <p>
        <b>Nothing new comes.</b> {serverTrouble.value}{" "}
        {last_ns > 0 && <span>The last trade is of {timeOfDay(last_ns, zone.value)}.</span>} The server tries again by itself.
      </p>
    </div>
  );
}

/** Says that prices are old, since when, why, and when the next attempt is. */
export function LinkBanner() {
  const [isShown, setShown] = useState(false);
  const [now_ms, setNow] = useState(Date.now());
  const stale = isStale.value;
  useEffect(() => {
    if (!stale) {
      setShown(false);
      return;
    }
    const patience = setTimeout(() => setShown(true), PATIENCE_MS);
    const clock = setInterval(() => setNow(Date.now()), 500);
    return () => {
      clearTimeout(patience);
      clearInterval(clock);
    };
  }, [stale]);
  if (!isShown || !stale) return null;
  if (!isCut.value) return <Standstill />;
  const link = boardLink.value.state === "live" ? focusLink.value : boardLink.value;
  const wait_s = Math.max(0, Math.ceil((link.retry_ms - now_ms) / 1000));
  return (
    <div class="banner" role="alert">
      <p>
        <b>Not connected.</b>{" "}
        {link.heard_ms > 0
          ? `Prices are those of ${timeOfDay(link.heard_ms * 1e6, zone.value)}`
          : (infoProblem.value?.what ?? "No data has come yet")}
        {link.reason && ` (${link.reason})`}.{" "}
        <span class="num">{link.state === "waiting" ? `Next attempt in ${wait_s} s.` : "Connecting…"}</span>
      </p>
      <button type="button" class="button" disabled={link.state !== "waiting"} onClick={retryNow}>
        Try now
      </button>
    </div>
  );
}
