import { signal } from "@preact/signals";
import { get, problemFrom } from "../api/http";
import { Backoff } from "../live/backoff";
import type { ApiProblem, Bar, BarsAnswer, Gap, Interval } from "../api/types";
import { INTERVAL_NS } from "./gaps";
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
  // False while only the stream has brought bars: what came before them is not known yet.
  #hasHistory = false;
  readonly #backoff = new Backoff();
  #retryTimer = 0;

  constructor(key: ChartKey, indicators: string[], onChange: Listener) {
    this.key = key;
    this.#wanted = indicators;
    this.#onChange = onChange;
  }

  /** Stops all requests; the model is of no use afterwards. */
  close(): void {
    clearTimeout(this.#tailTimer);
    clearTimeout(this.#retryTimer);
    this.#abort.abort();
  }

  /** Makes the series reach from what is known to now: at first, after a reconnect, after a hole. Tries until it has. */
  catchUp(): Promise<void> {
    clearTimeout(this.#retryTimer);
    return this.#oneByOne(async () => {
      try {
        await this.#readMissed();
        this.#backoff.reset();
      } catch (error) {
        if (!this.#abort.signal.aborted) {
          clearTimeout(this.#retryTimer);
          this.#retryTimer = window.setTimeout(() => void this.catchUp(), this.#backoff.nextMs());
        }
        throw error;
      }
    });
  }

  async #readMissed(): Promise<void> {
    const known = this.#hasHistory ? this.series.lastFinal : undefined;
    if (known === undefined) {
      const page = await this.#page(null, PAGE_BARS);
      this.hasMore = page.has_more;
      this.#hasHistory = true;
      this.#take([page]);
      return;
    }
    const { pages, isJoined } = await refill(known.ts_open_ns, (end_ns) => this.#page(end_ns, PAGE_BARS));
    if (!isJoined) {
      // What the stream has brought meanwhile may be ahead of the store.
      const ahead = this.series.bars.slice(this.series.indexAt(pages[0]?.bars.ts_open_ns.at(-1) ?? 0));
      this.series.clear();
      this.series.merge(ahead);
      this.hasMore = true;
    }
    this.#take(pages);
  }

  /** Reads the holes of the record anew: some have come, or were filled. */
  reloadGaps(): Promise<void> {
    const first = this.series.first;
    if (first === undefined || !this.#hasHistory) return Promise.resolve();
    return this.#oneByOne(async () => {
      const { feed, symbol } = this.key;
      const days = Math.max(1, Math.ceil((Date.now() * 1e6 - first.ts_open_ns) / INTERVAL_NS["1d"]));
      const answer = await get<{ gaps: Gap[] }>("gaps", { feed, symbol, days }, this.#abort.signal);
      this.gaps.clear();
      this.#noteGaps(answer.gaps);
      this.#onChange(-1);
    });
  }

  loadOlder(): Promise<void> {
    const first = this.series.first;
    if (first === undefined || !this.#hasHistory || !this.hasMore || this.isLoadingOlder.value) return Promise.resolve();
    this.isLoadingOlder.value = true;
    return this.#oneByOne(async () => {
      const page = await this.#page(first.ts_open_ns, PAGE_BARS);
      this.hasMore = page.has_more;
      this.#take([page]);
    }).finally(() => {
      this.isLoadingOlder.value = false;
    });
  }

  /** Takes bars of the stream, also before the history is here: a slow store must not hold them up. */
  mergeLive(bars: readonly Bar[]): void {
    const from = this.series.merge(bars);
    if (from < 0) return;
    this.#onChange(from);
    if (this.#hasHistory && this.#wanted.length > 0 && this.#tailTimer === 0) {
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
      this.#noteGaps(page.gaps);
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

  #noteGaps(gaps: readonly Gap[]): void {
    for (const gap of gaps) this.gaps.set(`${gap.channel}|${gap.from_ns}|${gap.cause}`, gap);
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
