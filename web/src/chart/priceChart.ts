import {
  CandlestickSeries,
  ColorType,
  createChartEx,
  CrosshairMode,
  HistogramSeries,
  PriceScaleMode,
  type CandlestickData,
  type HistogramData,
  type IChartApiBase,
  type ISeriesApi,
  type MouseEventParams,
  type Time,
  type UTCTimestamp,
  type WhitespaceData,
} from "lightweight-charts";
import type { Bar, Gap, Interval } from "../api/types";
import { blankOpenings } from "../bars/gaps";
import { price, priceDecimals } from "../format/numbers";
import { day, moment, timeOfDay } from "../format/times";
import { Bands } from "./bands";
import type { Colours } from "./colours";
import { holeBands, sessionBands, timelineOf } from "./timeline";
import { ZonedAxis } from "./zonedAxis";

const NS_PER_S = 1e9;
// Older bars are asked for while this many are still to come, so that a drag meets no edge.
const AHEAD_BARS = 60;
// The part of the pane that volume takes, from below.
const VOLUME_TOP = 0.84;

export function chartTime(ts_ns: number): UTCTimestamp {
  return Math.round(ts_ns / NS_PER_S) as UTCTimestamp;
}

function candleOf(bar: Bar): CandlestickData | WhitespaceData {
  const time = chartTime(bar.ts_open_ns);
  const { open, high, low, close } = bar;
  // Only odd lots traded: volume without a price that may be shown.
  if (open === null || high === null || low === null || close === null) return { time };
  return { time, open, high, low, close };
}

export interface ChartEvents {
  /** The opening under the crosshair; null when it leaves. */
  hover(ts_ns: number | null): void;
  /** The left edge is near the oldest bar. */
  nearOldest(): void;
}

/** The drawing of one symbol: candles, volume, bands. Lines and markers are added by their own modules. */
export class PriceChart {
  readonly api: IChartApiBase<Time>;
  readonly candles: ISeriesApi<"Candlestick">;
  readonly #volume: ISeriesApi<"Histogram">;
  readonly #bands = new Bands();
  #colours: Colours;
  #timeline: number[] = [];
  #blanks: ReadonlySet<number> = new Set();
  #decimals = -1;

  constructor(host: HTMLElement, zone: string, interval: Interval, colours: Colours, events: ChartEvents) {
    this.#colours = colours;
    this.api = createChartEx<Time, ZonedAxis>(host, new ZonedAxis(() => zone), {
      autoSize: true,
      // The mark would inject a style sheet, which the page's policy forbids; the help page names the library.
      layout: { attributionLogo: false },
      crosshair: { mode: CrosshairMode.Normal },
      localization: {
        priceFormatter: (value: number) => price(value, Math.max(this.#decimals, 2)),
        timeFormatter: (time: Time) => hoverText((time as number) * NS_PER_S, zone, interval),
      },
      timeScale: {
        timeVisible: interval !== "1d",
        secondsVisible: interval === "1s",
        rightOffset: 6,
        minBarSpacing: 1,
      },
    });
    this.candles = this.api.addSeries(CandlestickSeries, { borderVisible: false });
    this.candles.priceScale().applyOptions({ scaleMargins: { top: 0.12, bottom: 1 - VOLUME_TOP + 0.04 } });
    this.#volume = this.api.addSeries(HistogramSeries, {
      priceScaleId: "volume",
      priceFormat: { type: "volume" },
      lastValueVisible: false,
      priceLineVisible: false,
    });
    this.#volume.priceScale().applyOptions({ scaleMargins: { top: VOLUME_TOP, bottom: 0 } });
    this.api.panes()[0]?.attachPrimitive(this.#bands);
    this.setColours(colours);
    this.api.subscribeCrosshairMove((event: MouseEventParams<Time>) => {
      events.hover(event.time === undefined ? null : (event.time as number) * NS_PER_S);
    });
    this.api.timeScale().subscribeVisibleLogicalRangeChange((range) => {
      if (range !== null && range.from < AHEAD_BARS && this.#timeline.length > 0) events.nearOldest();
    });
  }

  remove(): void {
    this.api.remove();
  }

  setColours(colours: Colours): void {
    this.#colours = colours;
    const { up, down, text, grid, line, background } = colours;
    this.api.applyOptions({
      layout: {
        background: { type: ColorType.Solid, color: background },
        textColor: text,
        fontFamily: getComputedStyle(document.body).fontFamily,
        fontSize: 11,
        panes: { separatorColor: line, separatorHoverColor: line },
      },
      grid: { vertLines: { color: grid }, horzLines: { color: grid } },
      rightPriceScale: { borderColor: line },
      timeScale: { borderColor: line },
    });
    this.candles.applyOptions({ upColor: up, downColor: down, wickUpColor: up, wickDownColor: down });
  }

  /** Shows changes since the first one of a comparison instead of prices. */
  setPercentage(isPercentage: boolean): void {
    this.candles.priceScale().applyOptions({
      mode: isPercentage ? PriceScaleMode.Percentage : PriceScaleMode.Normal,
    });
  }

  /** The places of the axis, as drawn last. */
  get timeline(): readonly number[] {
    return this.#timeline;
  }

  /** Draws the bars from index `from` on (-1: none changed), and the holes; tells whether all was drawn anew. */
  draw(bars: readonly Bar[], holes: Gap[], interval: Interval, from: number): boolean {
    const blanks = new Set(blankOpenings(bars, holes, interval));
    const timeline = timelineOf(bars, [...blanks]);
    this.#setPrecision(bars.at(-1));
    // The library's updates of older points overwrite a neighbour where the place was blank before: only the
    // last bar and newer ones are updated, anything older is set as a whole.
    const isOlder = from >= 0 && bars[from]!.ts_open_ns < (this.#timeline.at(-1) ?? Number.POSITIVE_INFINITY);
    const isReplaced = isOlder || blanks.size !== this.#blanks.size;
    if (isReplaced) this.#replace(bars, timeline, blanks.size);
    else if (from >= 0) this.#update(bars.slice(from));
    this.#timeline = timeline;
    this.#blanks = blanks;
    const sessions = interval === "1d" ? [] : sessionBands(bars, timeline);
    const { session, text, warning } = this.#colours;
    this.#bands.set([...sessions, ...holeBands(holes, timeline)], { session, hole: text, openHole: warning });
    return isReplaced;
  }

  /** Those of the places at which nothing is known, because of a hole of the record. */
  get blanks(): ReadonlySet<number> {
    return this.#blanks;
  }

  showNewest(): void {
    this.api.timeScale().scrollToRealTime();
  }

  /** Moves by bars, or zooms by a factor: for the keyboard. */
  move(bars: number, zoom = 1): void {
    const scale = this.api.timeScale();
    const range = scale.getVisibleLogicalRange();
    if (range === null) return;
    const width = (range.to - range.from) * zoom;
    scale.setVisibleLogicalRange({ from: range.to + bars - width, to: range.to + bars });
  }

  #replace(bars: readonly Bar[], timeline: readonly number[], blanks: number): void {
    const candles: (CandlestickData | WhitespaceData)[] = bars.map(candleOf);
    if (blanks > 0) {
      const byTime = new Map(candles.map((candle) => [candle.time, candle]));
      this.candles.setData(timeline.map((ts_ns) => byTime.get(chartTime(ts_ns)) ?? { time: chartTime(ts_ns) }));
    } else {
      this.candles.setData(candles);
    }
    this.#volume.setData(bars.map((bar) => this.#volumeOf(bar)));
  }

  #update(bars: readonly Bar[]): void {
    for (const bar of bars) {
      this.candles.update(candleOf(bar));
      this.#volume.update(this.#volumeOf(bar));
    }
  }

  #volumeOf(bar: Bar): HistogramData {
    const isUp = (bar.close ?? 0) >= (bar.open ?? 0);
    return {
      time: chartTime(bar.ts_open_ns),
      value: bar.volume ?? 0,
      color: isUp ? this.#colours.upSoft : this.#colours.downSoft,
    };
  }

  #setPrecision(bar: Bar | undefined): void {
    const decimals = bar?.close == null ? this.#decimals : priceDecimals(bar.close);
    if (decimals === this.#decimals || decimals < 0) return;
    this.#decimals = decimals;
    this.candles.applyOptions({ priceFormat: { type: "price", precision: decimals, minMove: 10 ** -decimals } });
  }
}

function hoverText(ts_ns: number, zone: string, interval: Interval): string {
  if (interval === "1d") return day(ts_ns, zone);
  return interval === "1s" ? moment(ts_ns, zone) : `${day(ts_ns, zone)} ${timeOfDay(ts_ns, zone, "minute")}`;
}
