import type { Lag } from "../../api/types";
import { whole } from "../../format/numbers";
import { Empty } from "../../parts/states";

// A few records are on their way at any time: only what is far more than that fills a bar.
const FULL_RECORDS = 1_000;

function isGreat(lag: Lag): boolean {
  return lag.lag_records >= FULL_RECORDS;
}

/** How far each partition is behind: one that stands out is a stuck one. */
export function LagTable({ lags }: { lags: Lag[] }) {
  const most = Math.max(FULL_RECORDS, ...lags.map((one) => one.lag_records));
  const sorted = [...lags].sort(
    (a, b) =>
      Number(isGreat(b)) - Number(isGreat(a)) || a.stage.localeCompare(b.stage) || a.topic.localeCompare(b.topic) || a.partition - b.partition,
  );
  return (
    <section class="panel lags" aria-label="Lag per partition">
      <header class="panel-bar">
        <h2>Lag per partition</h2>
      </header>
      <div class="scroll grow" tabIndex={0} aria-label="Lag per partition">
        <table>
          <thead>
            <tr>
              <th scope="col">Stage</th>
              <th scope="col">Topic</th>
              <th scope="col" class="num">Partition</th>
              <th scope="col" class="num">Records</th>
              <th scope="col"><span class="hidden">Share of the greatest</span></th>
            </tr>
          </thead>
          <tbody>
            {sorted.map((one) => (
              <tr key={`${one.stage}|${one.topic}|${one.partition}`}>
                <td>{one.stage}</td>
                <td class="dim">{one.topic}</td>
                <td class="num">{one.partition}</td>
                <td class="num">{whole(one.lag_records)}</td>
                <td class="bar-cell" aria-hidden="true">
                  <span class={isGreat(one) ? "bar great" : "bar"} style={{ width: `${(one.lag_records / most) * 100}%` }} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
        {lags.length === 0 && <Empty title="No partition is read yet" />}
      </div>
    </section>
  );
}
