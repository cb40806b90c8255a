import { signal } from "@preact/signals";
import type { Quote, Tick } from "../api/types";

const KEPT = 200;

/** A trade and its place in the order of arrival: some venues give their trades no id, or the same one. */
export interface TapeTick extends Tick {
  place: number;
}

/** Trades of the chosen symbol, newest first. */
export const tape = signal<TapeTick[]>([]);
export const quote = signal<Quote | null>(null);

let placed = 0;

function place(fresh: Tick[]): TapeTick[] {
  return fresh.slice(-KEPT).map((tick) => ({ ...tick, place: (placed += 1) })).reverse();
}

/** `fresh` is oldest first, as it comes. */
export function replaceTape(fresh: Tick[], best: Quote | null): void {
  tape.value = place(fresh);
  quote.value = best;
}

export function addTrades(fresh: Tick[]): void {
  tape.value = [...place(fresh), ...tape.value].slice(0, KEPT);
}
