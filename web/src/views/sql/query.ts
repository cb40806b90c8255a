import { signal } from "@preact/signals";
import { jsonRequest, problemFrom, send, write } from "../../api/http";
import type { ApiProblem, SqlAnswer } from "../../api/types";
import { info } from "../../state/info";
import { query } from "../../state/settings";

export type Run =
  | { state: "none" }
  | { state: "running"; since_ms: number }
  | { state: "cancelled" }
  | { state: "failed"; problem: ApiProblem; isUnbounded: boolean }
  | { state: "done"; answer: SqlAnswer; sql: string; isScanAll: boolean };

export const run = signal<Run>({ state: "none" });
export const downloadProblem = signal<ApiProblem | null>(null);

// Drawn row by row only where looked at, but all of them are held in memory.
const ROWS_SHOWN = 50_000;

let abort: AbortController | null = null;

export async function execute(isScanAll = false): Promise<void> {
  const sql = query.value.trim();
  if (sql === "") return;
  abort?.abort();
  const own = new AbortController();
  abort = own;
  run.value = { state: "running", since_ms: performance.now() };
  try {
    const rows_max = Math.min(ROWS_SHOWN, info.value?.limits.sql_rows_max ?? ROWS_SHOWN);
    const answer = await write<SqlAnswer>("POST", "sql", { sql, rows_max, scan_all: isScanAll }, own.signal);
    if (abort === own) run.value = { state: "done", answer, sql, isScanAll };
  } catch (error) {
    if (abort !== own) return;
    if (own.signal.aborted) {
      run.value = { state: "cancelled" };
      return;
    }
    const problem = problemFrom(error);
    const text = `${problem.what} ${problem.why} ${problem.next_step}`;
    run.value = { state: "failed", problem, isUnbounded: /scan.?all/i.test(text) };
  }
}

/** Stops waiting; the server stops the query when its client has gone. */
export function cancel(): void {
  abort?.abort();
}

/** Fetches the whole result in another form and hands it over as a file. */
export async function download({ sql, isScanAll }: Extract<Run, { state: "done" }>, format: "csv" | "arrow"): Promise<void> {
  downloadProblem.value = null;
  try {
    const body = { sql, format, scan_all: isScanAll, rows_max: info.value?.limits.sql_rows_max };
    const response = await send("sql", jsonRequest("POST", body));
    const url = URL.createObjectURL(await response.blob());
    const link = document.createElement("a");
    link.href = url;
    link.download = `ticktrail.${format}`;
    link.click();
    // The browser reads the address after this task; freeing it at once would lose the file.
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  } catch (error) {
    downloadProblem.value = problemFrom(error);
  }
}
