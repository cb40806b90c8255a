import {
  HistogramSeries,
  LineSeries,
  LineStyle,
  type ISeriesApi,
  type LineData,
  type Time,
  type WhitespaceData,
} from "lightweight-charts";
import type { Bar, IndicatorInfo } from "../api/types";
import { indicatorName } from "../bars/indicators";
import type { Colours } from "./colours";
import { chartTime, type PriceChart } from "./priceChart";
import { closesAt, pointsOf, type ClosePoint } from "./timeline";

type Values = ReadonlyMap<number, number | null>;
type Series = ISeriesApi<"Line" | "Histogram">;

// How many of the newest values are compared with what is drawn.
const TAIL = 8;
// Wilder's own marks of a market that has risen or fallen too far.
const RSI_MARKS = [30, 70];
// How many times the height of an indicator's pane the prices get.
const PRICE_SHARE = 4;

/** One line of an indicator, with the colour that the legend repeats. */
export interface IndicatorLine {
  /** "macd(12,26,9).signal" */
  name: string;
  colour: string;
}

interface Drawn extends IndicatorLine {
  series: Series;
  /** The newest values as drawn, by opening; empty before the first drawing. */
  tail: Map<number, number | null>;
}

function pointAt(values: Values, ts_ns: number): LineData<Time> | WhitespaceData<Time> {
  const value = values.get(ts_ns);
  return value == null ? { time: chartTime(ts_ns) } : { time: chartTime(ts_ns), value };
}

/** The lines of the chosen indicators, in the price pane or in panes of their own. */
export class IndicatorLines {
  readonly #chart: PriceChart;
  readonly #drawn: Drawn[] = [];
  readonly #markColour: string;

  constructor(chart: PriceChart, requests: readonly string[], infos: readonly IndicatorInfo[], colours: Colours) {
    this.#chart = chart;
    this.#markColour = colours.line;
    let pane = 0;
    let colour = 0;
    for (const request of requests) {
      const info = infos.find((one) => one.name === indicatorName(request));
      if (info === undefined) continue;
      if (info.pane === "own") pane += 1;
      for (const output of info.outputs) {
        const shown = colours.series[colour++ % colours.series.length]!;
        const series = this.#add(output, info.pane === "own" ? pane : 0, shown);
        if (output === "rsi") this.#showRange(series);
        this.#drawn.push({ name: `${request}.${output}`, colour: shown, series, tail: new Map() });
      }
    }
    chart.api.panes()[0]?.setStretchFactor(PRICE_SHARE);
    for (const own of chart.api.panes().slice(1)) own.setStretchFactor(1);
  }

  get lines(): readonly IndicatorLine[] {
    return this.#drawn;
  }

  /** Draws what is new; all of it if the places of the axis are others than before. */
  draw(values: ReadonlyMap<string, Values>, isReplaced: boolean): void {
    const timeline = this.#chart.timeline;
    const newest = timeline.slice(-TAIL);
    for (const line of this.#drawn) {
      const known = values.get(line.name);
      if (known === undefined) continue;
      const before = line.tail;
      const last_ns = [...before.keys()].at(-1) ?? Number.POSITIVE_INFINITY;
      // As with the bars: only the last point and newer ones can be updated.
      const isOlder = newest.some((ts_ns) => ts_ns < last_ns && before.get(ts_ns) !== (known.get(ts_ns) ?? null));
      if (isReplaced || isOlder) line.series.setData(timeline.map((ts_ns) => pointAt(known, ts_ns)));
      else {
        const first = timeline.findLastIndex((ts_ns) => ts_ns < last_ns) + 1;
        for (const ts_ns of timeline.slice(first)) line.series.update(pointAt(known, ts_ns));
      }
      line.tail = new Map(newest.map((ts_ns) => [ts_ns, known.get(ts_ns) ?? null]));
    }
  }

  /** Shows all of the range from 0 to 100, which is what makes two charts comparable. */
  #showRange(series: Series): void {
    series.applyOptions({ autoscaleInfoProvider: () => ({ priceRange: { minValue: 0, maxValue: 100 } }) });
    for (const price of RSI_MARKS) {
      series.createPriceLine({ price, color: this.#markColour, lineWidth: 1, lineStyle: LineStyle.Dashed, axisLabelVisible: false });
    }
  }

  #add(output: string, pane: number, colour: string): Series {
    const shared = { color: colour, lastValueVisible: false, priceLineVisible: false } as const;
    if (output === "histogram") return this.#chart.api.addSeries(HistogramSeries, shared, pane) as Series;
    return this.#chart.api.addSeries(
      LineSeries,
      { ...shared, lineWidth: 1, crosshairMarkerVisible: false },
      pane,
    ) as Series;
  }
}

/** Lines of other symbols over the candles, all as change in percent. */
export class ComparedLines {
  readonly #chart: PriceChart;
  readonly #series = new Map<string, ISeriesApi<"Line">>();
  readonly #points = new Map<string, ClosePoint[]>();

  constructor(chart: PriceChart) {
    this.#chart = chart;
  }

  setColours(keys: readonly string[], colours: Colours): void {
    const fromBehind = [...colours.series].reverse();
    for (const [key, series] of this.#series) {
      if (keys.includes(key)) continue;
      this.#chart.api.removeSeries(series);
      this.#series.delete(key);
      this.#points.delete(key);
    }
    for (const [i, key] of keys.entries()) {
      const options = { color: fromBehind[i % fromBehind.length]!, title: key.slice(key.indexOf("|") + 1) };
      const series = this.#series.get(key);
      if (series) series.applyOptions(options);
      else {
        this.#series.set(
          key,
          this.#chart.api.addSeries(LineSeries, { ...options, lineWidth: 2, lineStyle: LineStyle.Solid, priceLineVisible: false }),
        );
      }
    }
    this.#chart.setPercentage(keys.length > 0);
  }

  /** Takes a symbol's bars, rising. */
  setBars(key: string, bars: readonly Bar[]): void {
    this.#points.set(key, pointsOf(bars, this.#points.get(key) ?? []));
    this.#drawOne(key);
  }

  /** Draws all lines anew, because the places of the axis are others than before. */
  draw(): void {
    for (const key of this.#points.keys()) this.#drawOne(key);
  }

  /** Moves the newest point along with the stream. */
  update(key: string, ts_ns: number, close: number): void {
    const points = this.#points.get(key);
    const last_ns = points?.at(-1)?.[0];
    if (points === undefined || last_ns === undefined || last_ns > ts_ns) return;
    if (last_ns === ts_ns) points.pop();
    points.push([ts_ns, close]);
    this.#series.get(key)?.update({ time: chartTime(ts_ns), value: close });
  }

  #drawOne(key: string): void {
    const { timeline, blanks } = this.#chart;
    const closes = closesAt(timeline, this.#points.get(key) ?? [], blanks);
    this.#series.get(key)?.setData(
      timeline.map((ts_ns, i) => {
        const value = closes[i];
        return value == null ? { time: chartTime(ts_ns) } : { time: chartTime(ts_ns), value };
      }),
    );
  }
}
