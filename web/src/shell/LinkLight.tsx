import { milliseconds } from "../format/numbers";
import { boardLink, isCut, isStale } from "../state/live";

/** A light and a word: whether prices are live. */
export function LinkLight() {
  const link = boardLink.value;
  const isSlowed = link.conflated !== null;
  const [kind, word] = isStale.value
    ? link.state === "connecting" && link.heard_ms === 0
      ? ["wait", "Connecting"]
      : ["off", isCut.value ? "Offline" : "Standstill"]
    : isSlowed
      ? ["wait", "Slowed"]
      : ["on", "Live"];
  const title = link.conflated
    ? `Updates every ${link.conflated.every_ms} ms: ${link.conflated.reason}`
    : `Round trip ${milliseconds(link.roundtrip_ms)}`;
  return (
    <span class={`light ${kind}`} title={title} role="status">
      <i aria-hidden="true" /> <span>{word}</span>
    </span>
  );
}
