import type { Bar, BarsAnswer, Columns, Gap } from "../src/api/types";

export const MINUTE_NS = 60e9;
/** A full minute of November 2023. */
export const START_NS = 1_700_000_040e9;

/** The bar of a minute after the start; what is not given is of no matter. */
export function bar(minute: number, given: Partial<Bar> = {}): Bar {
  const ts_open_ns = START_NS + minute * MINUTE_NS;
  return {
    ts_open_ns,
    ts_close_ns: ts_open_ns + MINUTE_NS,
    open: 10,
    high: 11,
    low: 9,
    close: 10.5,
    volume: 100,
    vwap: 10.2,
    trades: 5,
    session: "regular",
    revision: 0,
    is_final: true,
    flags: 0,
    ...given,
  };
}

export function gap(from: number, to: number, given: Partial<Gap> = {}): Gap {
  return {
    feed: "sim",
    channel: "*",
    from_ns: START_NS + from * MINUTE_NS,
    to_ns: START_NS + to * MINUTE_NS,
    cause: "disconnect",
    state: "permanent",
    missing: null,
    detail: "",
    ...given,
  };
}

export function minutesOf(bars: readonly Bar[]): number[] {
  return bars.map((one) => (one.ts_open_ns - START_NS) / MINUTE_NS);
}

/** A server that has the bars of minutes 0 to `count`, without some. */
export function historyOf(count: number, page: number, without: number[] = []) {
  const all = Array.from({ length: count }, (_, minute) => minute).filter((minute) => !without.includes(minute));
  return (end_ns: number | null): Promise<BarsAnswer> => {
    const before = all.filter((minute) => end_ns === null || START_NS + minute * MINUTE_NS < end_ns);
    const chosen = before.slice(-page).map((minute) => bar(minute));
    return Promise.resolve({
      feed: "sim",
      symbol: "AAPL",
      interval: "1m",
      has_more: before.length > chosen.length,
      bars: columnsOf(chosen),
      indicators: {},
      gaps: [],
      sessions: [],
    });
  };
}

function columnsOf(bars: Bar[]): Columns<Bar> {
  const names = Object.keys(bar(0)) as (keyof Bar)[];
  return Object.fromEntries(names.map((name) => [name, bars.map((one) => one[name])])) as unknown as Columns<Bar>;
}
