import type { Bar, Columns } from "../api/types";

/** Turns columns into rows, which the chart and the merging need. */
export function barsOf(columns: Columns<Bar>): Bar[] {
  return columns.ts_open_ns.map((ts_open_ns, i) => ({
    ts_open_ns,
    ts_close_ns: columns.ts_close_ns[i]!,
    open: columns.open[i]!,
    high: columns.high[i]!,
    low: columns.low[i]!,
    close: columns.close[i]!,
    volume: columns.volume[i]!,
    vwap: columns.vwap[i]!,
    trades: columns.trades[i]!,
    session: columns.session?.[i],
    revision: columns.revision[i]!,
    is_final: columns.is_final[i]!,
    flags: columns.flags[i]!,
  }));
}

/**
 * Whether `next` replaces `current` of the same opening. History and live stream overtake each other, so
 * the order of arrival says nothing: a higher revision wins, then the final bar, then the one that has
 * seen more trades.
 */
export function supersedes(next: Bar, current: Bar): boolean {
  if (next.revision !== current.revision) return next.revision > current.revision;
  if (next.is_final !== current.is_final) return next.is_final;
  return !next.is_final && next.trades >= current.trades;
}

/** The bars of one symbol and interval, rising, each opening once. */
export class BarSeries {
  readonly #bars: Bar[] = [];

  get bars(): readonly Bar[] {
    return this.#bars;
  }

  get first(): Bar | undefined {
    return this.#bars[0];
  }

  get last(): Bar | undefined {
    return this.#bars.at(-1);
  }

  get lastFinal(): Bar | undefined {
    return this.#bars.findLast((bar) => bar.is_final);
  }

  clear(): void {
    this.#bars.length = 0;
  }

  /** Index of the first bar that opens at or after `ts_ns`. */
  indexAt(ts_ns: number): number {
    let low = 0;
    let high = this.#bars.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#bars[middle]!.ts_open_ns < ts_ns) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The bar that contains `ts_ns`, else the last one before it. */
  barAt(ts_ns: number): Bar | undefined {
    const index = this.indexAt(ts_ns);
    return this.#bars[index]?.ts_open_ns === ts_ns ? this.#bars[index] : this.#bars[index - 1];
  }

  /** Takes bars in any order; gives the index of the first that is new or changed, or -1 if none is. */
  merge(incoming: readonly Bar[]): number {
    if (incoming.length === 0) return -1;
    const fresh = [...incoming].sort((a, b) => a.ts_open_ns - b.ts_open_ns);
    const start = this.indexAt(fresh[0]!.ts_open_ns);
    const old = this.#bars.splice(start);
    let changed = -1;
    let at = 0;
    for (const bar of fresh) {
      while (at < old.length && old[at]!.ts_open_ns < bar.ts_open_ns) this.#bars.push(old[at++]!);
      const current = this.#bars.at(-1)?.ts_open_ns === bar.ts_open_ns ? this.#bars.pop() : undefined;
      const known = current ?? (old[at]?.ts_open_ns === bar.ts_open_ns ? old[at++] : undefined);
      const isTaken = known === undefined || supersedes(bar, known);
      this.#bars.push(isTaken ? bar : known);
      if (isTaken && changed < 0) changed = this.#bars.length - 1;
    }
    while (at < old.length) this.#bars.push(old[at++]!);
    return changed;
  }
}
