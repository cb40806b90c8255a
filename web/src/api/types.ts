// The shapes of the server's HTTP and WebSocket interface, version 1.
// Times are nanoseconds since 1970 UTC; JSON numbers keep them to 256 ns, and whole seconds exactly.

export type Interval = "1s" | "1m" | "5m" | "1h" | "1d";
export type TradingState = "trading" | "halted" | "paused" | "unknown";
export type Severity = "info" | "warning" | "critical";

export interface FeedInfo {
  feed: string;
  zone: string;
}

export interface IndicatorInfo {
  name: string;
  parameters: Record<string, number>;
  pane: "price" | "own";
  outputs: string[];
}

export interface RuleParameter {
  name: string;
  kind: "number" | "text" | "choice" | "list";
  default: number | string | string[] | null;
  is_required: boolean;
  unit: string;
  choices: string[];
  note: string;
}

export interface RuleKind {
  kind: string;
  note: string;
  source: string;
  unit: string;
  params: RuleParameter[];
}

export interface Info {
  version: string;
  feeds: FeedInfo[];
  intervals: Interval[];
  indicators: IndicatorInfo[];
  limits: { sql_rows_max: number; sql_seconds_max: number; bars_max: number };
  now_ns: number;
  /** What the token allows. */
  scopes: string[];
  rule_kinds: RuleKind[];
  /** Names of the targets that rules may notify, and of the lists of symbols, of the settings. */
  notifiers: string[];
  watchlists: string[];
}

export interface Row {
  feed: string;
  symbol: string;
  last: number | null;
  size: number | null;
  ts_ns: number | null;
  change: number | null;
  change_pct: number | null;
  change_base?: "close" | "open";
  open: number | null;
  high: number | null;
  low: number | null;
  volume: number | null;
  trades: number | null;
  vwap: number | null;
  bid: number | null;
  ask: number | null;
  bid_size: number | null;
  ask_size: number | null;
  spread: number | null;
  state: TradingState;
  /** The closes of the last minutes; null where none is known. With snapshots only. */
  sparkline?: (number | null)[];
}

export interface Tick {
  ts_ns: number;
  price: number;
  size: number;
  side: string | null;
  venue: string | null;
  conditions: string | null;
  flags: number;
  trade_id: string | null;
  event_id: string;
  /** What the venue said of it afterwards; absent where it said nothing. */
  amended?: Amended;
}

/** A trade as it should have been; without a price where it was taken back. */
export interface Amended {
  action: "correct" | "cancel" | "error";
  price: number | null;
  size: number | null;
}

export interface Quote {
  ts_ns: number;
  bid: number | null;
  bid_size: number | null;
  bid_venue: string | null;
  ask: number | null;
  ask_size: number | null;
  ask_venue: string | null;
}

export interface Bar {
  ts_open_ns: number;
  ts_close_ns: number;
  open: number | null;
  high: number | null;
  low: number | null;
  close: number | null;
  volume: number | null;
  vwap: number | null;
  trades: number;
  /** Absent while the bar is forming. */
  session?: string;
  revision: number;
  is_final: boolean;
  flags: number;
}

/** Columns of equal length, one value a row. */
export type Columns<T> = { [K in keyof T]: T[K][] };

export interface Gap {
  feed: string;
  channel: string;
  from_ns: number;
  to_ns: number;
  cause: string;
  state: "open" | "repaired" | "permanent";
  missing: number | null;
  detail: string;
}

export interface BarsAnswer {
  feed: string;
  symbol: string;
  interval: Interval;
  has_more: boolean;
  bars: Columns<Bar>;
  /** By request text, then by output: as long as the bars, null where undefined. */
  indicators: Record<string, Record<string, (number | null)[]>>;
  gaps: Gap[];
  sessions: { kind: "pre" | "regular" | "post"; from_ns: number; to_ns: number }[];
}

export interface Stage {
  stage: string;
  /** Absent for the sum of several processes of a kind. */
  pid?: number;
  kind: string;
  state: string;
  age_s: number;
  records_per_s: number | null;
  lag_records: number | null;
  queued_frames: number | null;
  lag_s: number | null;
  latency_p50_ms: number | null;
  latency_p99_ms: number | null;
  /** From the venue's own time on; of stages that store only. */
  venue_p50_ms: number | null;
  venue_p99_ms: number | null;
  batch_records: number | null;
  retries: number | null;
  dead_letters: number | null;
  spool_bytes: number | null;
  spool_age_s: number | null;
  checkpoint_age_s: number | null;
  rss_bytes: number | null;
}

export interface Pipeline {
  stages: Stage[];
  servers: { name: string; state: "up" | "away" | "unknown"; address: string }[];
  lags: Lag[];
  dead_letters: number;
  spool_bytes: number;
  /** Null where the store does not tell. */
  open_gaps: number | null;
  /** Another text whenever the gap ledger is another; null where the store does not tell. */
  ledger: string | null;
  /** Why nothing comes from Kafka; null while all is well. */
  trouble: string | null;
}

export interface Lag {
  stage: string;
  topic: string;
  partition: number;
  lag_records: number;
}

export interface SqlColumn {
  name: string;
  type: string;
}

export interface SqlSchema {
  tables: { name: string; columns: SqlColumn[]; note?: string }[];
  functions: string[];
  examples: { title: string; sql: string }[];
}

export type Cell = string | number | boolean | null;

export interface SqlAnswer {
  columns: SqlColumn[];
  rows: Cell[][];
  rows_count: number;
  is_truncated: boolean;
  elapsed_ms: number;
}

export interface Alert {
  id: string;
  rule: string;
  rule_kind: string;
  feed: string;
  symbol: string;
  ts_ns: number;
  recorded_ns: number;
  value: number | null;
  threshold: number | null;
  message: string;
  severity: Severity;
  /** Null also where the stream does not know: what the history says stands. */
  acknowledged_ns: number | null;
  /** Whether it fell into the quiet hours of its rule: recorded, but nobody is told. */
  is_quiet: boolean;
}

export interface QuietHours {
  from: string;
  to: string;
  zone: string;
}

export type RuleValue = number | string | string[] | null;

export interface Rule {
  name: string;
  kind: string;
  feed: string;
  symbols: string[];
  params: Record<string, RuleValue>;
  interval: Interval;
  cooldown_s: number;
  hysteresis: number;
  quiet: QuietHours[];
  severity: Severity;
  notify: string[];
  is_enabled: boolean;
  muted_until_ns?: number | null;
  source: "file" | "page";
}

export interface ApiProblem {
  what: string;
  why: string;
  next_step: string;
}
