// The two connections of the page and what they fill. The board follows all symbols and stays as it is;
// the focus follows the chosen symbol, so that choosing another one costs no snapshot of the whole market.

import { computed, effect, signal } from "@preact/signals";
import type { Bar } from "../api/types";
import type { ChartKey } from "../bars/model";
import { barsOf } from "../bars/series";
import { LiveSocket, type LinkState } from "../live/socket";
import { addAlerts, announceAlerts, loadNewestAlerts } from "./alerts";
import { info, loadInfo, recheckToken } from "./info";
import { keyOf, replaceRows, rows, splitKey, updateRows } from "./market";
import { pipeline, takePipeline } from "./pipeline";
import { chosen, interval } from "./settings";
import { addTrades, amendTrades, quote, replaceTape } from "./tape";

// Nobody reads 10,000 symbols ten times a second; a slower beat keeps sorting and drawing cheap.
const BEATS: [symbolsMax: number, every_ms: number][] = [
  [500, 100],
  [2_000, 250],
  [Number.POSITIVE_INFINITY, 1_000],
];

/** What a chart needs of the stream. */
export interface ChartSink {
  key: ChartKey;
  /** A new connection or a hole: the bars since the last final one must be fetched. */
  renewed(): void;
  bars(bars: Bar[]): void;
}

let sink: ChartSink | null = null;
let isFocusWhole = false;

/** Registers the one chart that the focus feeds; gives what ends that. */
export function feedChart(next: ChartSink): () => void {
  sink = next;
  if (isFocusWhole) next.renewed();
  return () => {
    if (sink === next) sink = null;
  };
}

/** The chart, unless it still shows what was chosen before and is about to go. */
function currentSink(): ChartSink | null {
  if (sink === null) return null;
  const { feed, symbol } = sink.key;
  return keyOf({ feed, symbol }) === chosen.value && sink.key.interval === interval.value ? sink : null;
}

let lastState: LinkState = "connecting";
let every_ms = BEATS[0]![1];
let hasAlerts = false;

// A server that was just started learns of its symbols one by one: what was chosen may come a little later.
const PATIENCE_MS = 5_000;
let isChoiceKnown = false;
let waitingSince_ms = 0;

/** Chooses the first symbol where none is chosen, or one that this server does not know; else the choice stays. */
function chooseKnown(): void {
  const first = rows.keys().next().value;
  if (first === undefined) return;
  if (rows.has(chosen.value)) isChoiceKnown = true;
  if (isChoiceKnown) return;
  if (waitingSince_ms === 0) waitingSince_ms = Date.now();
  if (chosen.value === "" || Date.now() - waitingSince_ms > PATIENCE_MS) chosen.value = first;
}

const board = new LiveSocket({
  snapshot(message) {
    replaceRows(message.symbols);
    if (hasAlerts) announceAlerts(message.alerts ?? []);
    else addAlerts(message.alerts ?? []);
    hasAlerts = true;
    if (message.pipeline) takePipeline(message.pipeline);
    chooseKnown();
    const beat = BEATS.find(([symbolsMax]) => rows.size <= symbolsMax)![1];
    if (beat !== every_ms) {
      every_ms = beat;
      followBoard();
    }
  },
  update(message) {
    if (message.symbols) updateRows(message.symbols);
    if (message.alerts) announceAlerts(message.alerts);
    if (message.alerts_skipped) void loadNewestAlerts();
    if (message.pipeline) takePipeline(message.pipeline);
    chooseKnown();
  },
});

const focus = new LiveSocket({
  snapshot(message) {
    isFocusWhole = true;
    const { tape, chart } = message;
    replaceTape(tape ?? [], message.quote ?? null);
    if (chart) currentSink()?.bars(Array.isArray(chart.bars) ? chart.bars : barsOf(chart.bars));
    currentSink()?.renewed();
  },
  update(message) {
    if (message.trades) addTrades(message.trades, message.skipped ?? 0);
    if (message.amended) amendTrades(message.amended);
    if (message.quote) quote.value = message.quote;
    if (message.bars) currentSink()?.bars(message.bars);
  },
});

function followBoard(): void {
  board.subscribe({ symbols: "*", every_ms, tape: null, chart: null, alerts: true, pipeline: true });
}

export const boardLink = board.link;
export const focusLink = focus.link;
/** Why the server itself has nothing new, though it answers; null while all is well. */
export const serverTrouble = computed(() => pipeline.value?.trouble ?? null);
/** Whether a connection that the page needs is not there. */
export const isCut = signal(true);
/** Whether what is on the screen may be old. */
export const isStale = computed(() => isCut.value || serverTrouble.value !== null);

/** Opens the connections; called once, when the server has told what it offers. */
export function goLive(): void {
  followBoard();
  effect(() => {
    if (chosen.value === "") return;
    isFocusWhole = false;
    // A feed that began after the page was opened: its zone is not known yet.
    const { feed } = splitKey(chosen.value);
    if (!info.peek()?.feeds.some((one) => one.feed === feed)) void loadInfo();
    focus.subscribe({
      symbols: [],
      every_ms: 100,
      tape: chosen.value,
      chart: { ...splitKey(chosen.value), interval: interval.value },
      alerts: false,
      pipeline: false,
    });
  });
  effect(() => {
    isCut.value = board.link.value.state !== "live" || (chosen.value !== "" && focus.link.value.state !== "live");
  });
  effect(() => {
    const { state } = board.link.value;
    if (state !== lastState && (state === "waiting" || state === "refused")) void recheckToken();
    lastState = state;
  });
  window.addEventListener("online", retryNow);
}

export function retryNow(): void {
  board.retryNow();
  focus.retryNow();
}
