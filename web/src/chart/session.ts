import { computed, effect, signal } from "@preact/signals";
import { createSeriesMarkers, type ISeriesMarkersPluginApi, type Time } from "lightweight-charts";
import { get, problemFrom } from "../api/http";
import type { Alert, ApiProblem, BarsAnswer, IndicatorInfo } from "../api/types";
import { holesOf } from "../bars/gaps";
import { ChartModel, type ChartKey } from "../bars/model";
import { refill } from "../bars/refill";
import { barsOf } from "../bars/series";
import { alerts, WHOLE_FEED } from "../state/alerts";
import { feedChart } from "../state/live";
import { rows, splitKey, ticked } from "../state/market";
import { pipeline } from "../state/pipeline";
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

const COMPARED_PAGE_BARS = 5_000;
const ALERTS_MAX = 1_000;

/** One chart from its opening to its end: joins data, stream and drawing. */
export class ChartSession {
  readonly model: ChartModel;
  /** The opening under the crosshair, null for the newest bar. */
  readonly hovered = signal<number | null>(null);
  /** Rises with each drawing, for what is written beside the chart. */
  readonly drawn = signal(0);
  /** Why a compared symbol is missing. */
  readonly comparedProblem = signal<ApiProblem | null>(null);
  readonly #host: HTMLElement;
  readonly #options: SessionOptions;
  readonly #chart: PriceChart;
  readonly #lines: IndicatorLines;
  readonly #compared: ComparedLines;
  readonly #markers: ISeriesMarkersPluginApi<Time>;
  readonly #endings: (() => void)[];
  readonly #abort = new AbortController();
  #comparedKeys: readonly string[] = [];
  /** Those of the bars' time by id, older than what the list of alerts holds. */
  readonly #olderAlerts = new Map<string, Alert>();
  #alertsFrom_ns = Number.POSITIVE_INFINITY;

  constructor(host: HTMLElement, options: SessionOptions) {
    this.#host = host;
    this.#options = options;
    const { key, zone, colours, indicators, infos } = options;
    const ledger = computed(() => pipeline.value?.ledger);
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
      effect(() => {
        if (ledger.value != null) void this.model.reloadGaps();
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
    if (isReplaced) this.#compared.draw();
    const isOnlyNewest = from >= series.bars.length - 1;
    if (!isOnlyNewest) {
      this.#mark();
      void this.#loadAlerts();
    }
    this.#host.dataset["bars"] = String(series.bars.length);
    this.drawn.value += 1;
  }

  #mark(): void {
    const { feed, symbol } = this.#options.key;
    // Read first: before the first bars there is nothing to mark, but the effect must know what it depends on.
    const listed = alerts.value.filter(
      (alert) => alert.feed === feed && (alert.symbol === symbol || alert.symbol === WHOLE_FEED),
    );
    const own = [...new Map([...this.#olderAlerts, ...listed.map((alert) => [alert.id, alert] as const)]).values()];
    this.#host.dataset["alerts"] = String(own.length);
    this.#markers.setMarkers(markersOf(this.model.series, own, this.#options.colours));
  }

  /** Reads the alerts of the time that the bars have reached. */
  async #loadAlerts(): Promise<void> {
    const { feed, symbol } = this.#options.key;
    const from_ns = this.model.series.first?.ts_open_ns ?? Number.POSITIVE_INFINITY;
    const to_ns = this.#alertsFrom_ns;
    if (this.model.state.value !== "ready" || from_ns >= to_ns) return;
    this.#alertsFrom_ns = from_ns;
    const span = { start_ns: from_ns, end_ns: Number.isFinite(to_ns) ? to_ns : null };
    try {
      const asked = { feed, symbol, ...span, limit: ALERTS_MAX };
      const answer = await get<{ alerts: Alert[] }>("alerts", asked, this.#abort.signal);
      for (const alert of answer.alerts) this.#olderAlerts.set(alert.id, alert);
      this.#mark();
    } catch {
      // The bars come from the same store, and tell of its trouble; the next drawing asks again.
      this.#alertsFrom_ns = to_ns;
    }
  }

  async #loadCompared(): Promise<void> {
    const { interval } = this.#options.key;
    const first = this.model.series.first;
    if (first === undefined) return;
    const failures = await Promise.all(
      this.#comparedKeys.map(async (key) => {
        const asked = { ...splitKey(key), interval, limit: COMPARED_PAGE_BARS };
        const page = (end_ns: number | null) => get<BarsAnswer>("bars", { ...asked, end_ns }, this.#abort.signal);
        try {
          const { pages } = await refill(first.ts_open_ns, page);
          this.#compared.setBars(key, pages.reverse().flatMap((answer) => barsOf(answer.bars)));
          return null;
        } catch (error) {
          const problem = problemFrom(error);
          return { ...problem, what: `${splitKey(key).symbol} cannot be compared: ${problem.what}` };
        }
      }),
    );
    if (!this.#abort.signal.aborted) this.comparedProblem.value = failures.find((one) => one !== null) ?? null;
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
