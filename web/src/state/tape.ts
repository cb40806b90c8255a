import { signal } from "@preact/signals";
import type { Amended, Quote, Tick } from "../api/types";

const KEPT = 200;

/** A trade and its place in the order of arrival: some venues give their trades no id, or the same one. */
export interface TapeTick extends Tick {
  place: number;
  /** How many trades before this one the server has left out, because this page was slow. */
  skipped: number;
}

/** Trades of the chosen symbol, newest first. */
export const tape = signal<TapeTick[]>([]);
export const quote = signal<Quote | null>(null);

let placed = 0;

function place(fresh: Tick[], skipped: number): TapeTick[] {
  return fresh
    .slice(-KEPT)
    .map((tick, i) => ({ ...tick, place: (placed += 1), skipped: i === 0 ? skipped : 0 }))
    .reverse();
}

/** `fresh` is oldest first, as it comes. */
export function replaceTape(fresh: Tick[], best: Quote | null): void {
  tape.value = place(fresh, 0);
  quote.value = best;
}

/** Marks trades that were corrected or taken back since they came. */
export function amendTrades(words: readonly ({ event_id: string } & Amended)[]): void {
  const byId = new Map(words.map(({ event_id, ...amended }) => [event_id, amended]));
  tape.value = tape.value.map((tick) => {
    const amended = byId.get(tick.event_id);
    return amended ? { ...tick, amended } : tick;
  });
}

export function addTrades(fresh: Tick[], skipped: number): void {
  tape.value = [...place(fresh, skipped), ...tape.value].slice(0, KEPT);
}
