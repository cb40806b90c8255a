import { signal } from "@preact/signals";
import { get, problemFrom } from "../api/http";
import type { ApiProblem, Bar, BarsAnswer, Gap, Interval } from "../api/types";
import { refill } from "./refill";
import { BarSeries, barsOf } from "./series";

const PAGE_BARS = 500;
const TAIL_BARS = 5;
const TAIL_BARS_MAX = 5_000;
// The newest values of indicators come from the server, which has the bars that warm them up.
const TAIL_EVERY_MS = 2_000;

export interface ChartKey {
  feed: string;
  symbol: string;
  interval: Interval;
}

/** What a change means for the drawing: `from` is the first changed bar, -1 only the overlays changed. */
export type Listener = (from: number) => void;

/** One chart's data: bars, indicators and holes, kept whole over reconnects. */
export class ChartModel {
  readonly key: ChartKey;
  readonly series = new BarSeries();
  /** By "sma(20).sma", then by opening. */
  readonly indicators = new Map<string, Map<number, number | null>>();
  readonly gaps = new Map<string, Gap>();
  readonly state = signal<"loading" | "ready" | "failed">("loading");
  readonly problem = signal<ApiProblem | null>(null);
  readonly isLoadingOlder = signal(false);
  hasMore = true;
  readonly #wanted: string[];
  readonly #onChange: Listener;
  readonly #abort = new AbortController();
  #busy: Promise<void> = Promise.resolve();
  #tailTimer = 0;

  constructor(key: ChartKey, indicators: string[], onChange: Listener) {
    this.key = key;
    this.#wanted = indicators;
    this.#onChange = onChange;
  }

  /** Stops all requests; the model is of no use afterwards. */
  close(): void {
    clearTimeout(this.#tailTimer);
    this.#abort.abort();
  }

  /** Makes the series reach from what is known to now: at first, after a reconnect, after a hole. */
  catchUp(): Promise<void> {
    return this.#oneByOne(async () => {
      const known = this.series.lastFinal;
      if (known === undefined) {
        const page = await this.#page(null, PAGE_BARS);
        this.hasMore = page.has_more;
        this.#take([page]);
        return;
      }
      const { pages, isJoined } = await refill(known.ts_open_ns, (end_ns) => this.#page(end_ns, PAGE_BARS));
      if (!isJoined) {
        this.series.clear();
        this.hasMore = true;
      }
      this.#take(pages);
    });
  }

  loadOlder(): Promise<void> {
    const first = this.series.first;
    if (first === undefined || !this.hasMore || this.isLoadingOlder.value) return Promise.resolve();
    this.isLoadingOlder.value = true;
    return this.#oneByOne(async () => {
      const page = await this.#page(first.ts_open_ns, PAGE_BARS);
      this.hasMore = page.has_more;
      this.#take([page]);
    }).finally(() => {
      this.isLoadingOlder.value = false;
    });
  }

  /** Takes bars of the stream. */
  mergeLive(bars: readonly Bar[]): void {
    // Before the first page there is nothing they could be joined to; that page has them too.
    if (this.state.value !== "ready") return;
    const from = this.series.merge(bars);
    if (from < 0) return;
    this.#onChange(from);
    if (this.#wanted.length > 0 && this.#tailTimer === 0) {
      this.#tailTimer = window.setTimeout(() => {
        this.#tailTimer = 0;
        void this.#oneByOne(async () => this.#take([await this.#page(null, this.#tailBars())]));
      }, TAIL_EVERY_MS);
    }
  }

  /** How many bars reach back to the last one whose indicators are known; a page in the background may lag. */
  #tailBars(): number {
    const known = this.indicators.values().next().value;
    const unknown = this.series.bars.length - 1 - this.series.bars.findLastIndex((bar) => known?.has(bar.ts_open_ns));
    return Math.min(unknown + TAIL_BARS, TAIL_BARS_MAX);
  }

  #page(end_ns: number | null, limit: number): Promise<BarsAnswer> {
    const { feed, symbol, interval } = this.key;
    const indicators = this.#wanted.join(",") || null;
    return get<BarsAnswer>("bars", { feed, symbol, interval, limit, end_ns, indicators }, this.#abort.signal);
  }

  #take(pages: BarsAnswer[]): void {
    let from = -1;
    for (const page of pages) {
      const first = this.series.merge(barsOf(page.bars));
      if (first >= 0) from = from < 0 ? first : Math.min(from, first);
      for (const gap of page.gaps) this.gaps.set(`${gap.channel}|${gap.from_ns}|${gap.cause}`, gap);
      for (const [request, outputs] of Object.entries(page.indicators)) {
        for (const [output, values] of Object.entries(outputs)) {
          this.#putIndicator(`${request}.${output}`, page.bars.ts_open_ns, values);
        }
      }
    }
    this.state.value = "ready";
    this.problem.value = null;
    this.#onChange(from);
  }

  #putIndicator(name: string, openings: number[], values: (number | null)[]): void {
    let known = this.indicators.get(name);
    if (known === undefined) {
      known = new Map();
      this.indicators.set(name, known);
    }
    for (const [i, ts_ns] of openings.entries()) known.set(ts_ns, values[i] ?? null);
  }

  /** Requests follow each other: two pages that cross could leave a hole that neither sees. */
  #oneByOne(work: () => Promise<void>): Promise<void> {
    this.#busy = this.#busy.then(work).catch((error: unknown) => {
      if (this.#abort.signal.aborted) return;
      this.problem.value = problemFrom(error);
      if (this.state.value === "loading") this.state.value = "failed";
    });
    return this.#busy;
  }
}
