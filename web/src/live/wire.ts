import type { Alert, Amended, Bar, Columns, Interval, Pipeline, Quote, Row, Tick } from "../api/types";

/** What one connection asks for; each replaces the one before and is answered with a snapshot. */
export interface Subscription {
  symbols: string[] | "*";
  every_ms: number;
  tape: string | null;
  chart: { feed: string; symbol: string; interval: Interval } | null;
  alerts: boolean;
  pipeline: boolean;
}

export interface Snapshot {
  type: "snapshot";
  seq: number;
  id: number;
  now_ns: number;
  symbols: Row[];
  tape?: Tick[];
  quote?: Quote | null;
  /** Many bars come as columns, a few as rows. */
  chart?: { bars: Columns<Bar> | Bar[] } | null;
  alerts?: Alert[];
  pipeline?: Pipeline;
}

export interface Update {
  type: "update";
  seq: number;
  now_ns: number;
  symbols?: Row[];
  trades?: Tick[];
  /** What venues said of trades that were sent before. */
  amended?: ({ event_id: string } & Amended)[];
  quote?: Quote | null;
  bars?: Bar[];
  alerts?: Alert[];
  /** How many more have come than were sent. */
  alerts_skipped?: number;
  pipeline?: Pipeline;
  is_conflated?: boolean;
  skipped?: number;
}

export type ServerMessage =
  | Snapshot
  | Update
  | { type: "conflated"; seq: number; every_ms: number; reason: string }
  | { type: "bye"; seq: number; reason: string }
  | { type: "pong"; t: number };
