import { effect, signal } from "@preact/signals";
import { createSeriesMarkers, type ISeriesMarkersPluginApi, type Time } from "lightweight-charts";
import { get } from "../api/http";
import type { BarsAnswer, IndicatorInfo } from "../api/types";
import { holesOf } from "../bars/gaps";
import { ChartModel, type ChartKey } from "../bars/model";
import { alerts } from "../state/alerts";
import { feedChart } from "../state/live";
import { rows, splitKey, ticked } from "../state/market";
import type { Colours } from "./colours";
import { ComparedLines, IndicatorLines, type IndicatorLine } from "./lines";
import { markersOf } from "./markers";
import { PriceChart } from "./priceChart";

export interface SessionOptions {
  key: ChartKey;
  zone: string;
  colours: Colours;
  indicators: readonly string[];
  infos: readonly IndicatorInfo[];
}

const COMPARED_BARS_MAX = 5_000;

/** One chart from its opening to its end: joins data, stream and drawing. */
export class ChartSession {
  readonly model: ChartModel;
  /** The opening under the crosshair, null for the newest bar. */
  readonly hovered = signal<number | null>(null);
  /** Rises with each drawing, for what is written beside the chart. */
  readonly drawn = signal(0);
  readonly #host: HTMLElement;
  readonly #options: SessionOptions;
  readonly #chart: PriceChart;
  readonly #lines: IndicatorLines;
  readonly #compared: ComparedLines;
  readonly #markers: ISeriesMarkersPluginApi<Time>;
  readonly #endings: (() => void)[];
  readonly #abort = new AbortController();
  #comparedKeys: readonly string[] = [];

  constructor(host: HTMLElement, options: SessionOptions) {
    this.#host = host;
    this.#options = options;
    const { key, zone, colours, indicators, infos } = options;
    this.#chart = new PriceChart(host, zone, key.interval, colours, {
      hover: (ts_ns) => {
        this.hovered.value = ts_ns;
      },
      nearOldest: () => void this.#loadOlder(),
    });
    this.#lines = new IndicatorLines(this.#chart, indicators, infos, colours);
    this.#compared = new ComparedLines(this.#chart);
    this.#markers = createSeriesMarkers(this.#chart.candles, []);
    this.model = new ChartModel(key, [...indicators], (from) => this.#draw(from));
    this.#endings = [
      feedChart({
        key,
        renewed: () => void this.#renew(),
        bars: (bars) => this.model.mergeLive(bars),
      }),
      effect(() => {
        void alerts.value;
        this.#mark();
      }),
      effect(() => {
        void ticked.value;
        this.#moveCompared();
      }),
    ];
    void this.model.catchUp();
  }

  get lines(): readonly IndicatorLine[] {
    return this.#lines.lines;
  }

  close(): void {
    for (const end of this.#endings) end();
    this.#abort.abort();
    this.model.close();
    this.#chart.remove();
  }

  compare(keys: readonly string[]): void {
    this.#comparedKeys = keys;
    this.#compared.setColours(keys, this.#options.colours);
    void this.#loadCompared();
  }

  showNewest(): void {
    this.#chart.showNewest();
  }

  move(bars: number, zoom?: number): void {
    this.#chart.move(bars, zoom);
  }

  async #renew(): Promise<void> {
    await this.model.catchUp();
    await this.#loadCompared();
  }

  async #loadOlder(): Promise<void> {
    const first = this.model.series.first;
    await this.model.loadOlder();
    if (this.model.series.first !== first) await this.#loadCompared();
  }

  #draw(from: number): void {
    const { key } = this.#options;
    const { series, gaps, indicators } = this.model;
    const isReplaced = this.#chart.draw(series.bars, holesOf(gaps.values(), key.symbol), key.interval, from);
    this.#lines.draw(indicators, isReplaced);
    const isOnlyNewest = from >= series.bars.length - 1;
    if (!isOnlyNewest) this.#mark();
    this.#host.dataset["bars"] = String(series.bars.length);
    this.drawn.value += 1;
  }

  #mark(): void {
    const { feed, symbol } = this.#options.key;
    // Read first: before the first bars there is nothing to mark, but the effect must know what it depends on.
    const own = alerts.value.filter((alert) => alert.feed === feed && alert.symbol === symbol);
    this.#host.dataset["alerts"] = String(own.length);
    this.#markers.setMarkers(markersOf(this.model.series, own, this.#options.colours));
  }

  async #loadCompared(): Promise<void> {
    const { interval } = this.#options.key;
    const limit = Math.min(Math.max(this.model.series.bars.length, 1), COMPARED_BARS_MAX);
    if (this.model.series.last === undefined) return;
    await Promise.all(
      this.#comparedKeys.map(async (key) => {
        try {
          const answer = await get<BarsAnswer>("bars", { ...splitKey(key), interval, limit }, this.#abort.signal);
          const { ts_open_ns, close } = answer.bars;
          this.#compared.setData(key, ts_open_ns.flatMap((ts_ns, i) => (close[i] == null ? [] : [[ts_ns, close[i]]])));
        } catch {
          // A comparison that cannot be had leaves its line out; the chart's own bars tell of the trouble.
        }
      }),
    );
  }

  #moveCompared(): void {
    const last = this.model.series.last;
    if (last === undefined) return;
    for (const key of this.#comparedKeys) {
      const close = rows.get(key)?.last;
      if (close != null) this.#compared.update(key, last.ts_open_ns, close);
    }
  }
}
