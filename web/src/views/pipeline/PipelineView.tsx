import type { ComponentChildren } from "preact";
import type { Pipeline, Stage } from "../../api/types";
import { bytes, milliseconds, MISSING, whole } from "../../format/numbers";
import { span } from "../../format/times";
import { Sparkline } from "../../parts/Sparkline";
import { Loading } from "../../parts/states";
import { history, pipeline, type Sample } from "../../state/pipeline";
import { GapTable } from "./GapTable";
import { LagTable } from "./LagTable";
import "../../styles/pipeline.css";

export default function PipelineView() {
  const now = pipeline.value;
  if (now === null) return <Loading what="Waiting for the stages" />;
  return (
    <div class="pipeline">
      <h1 class="hidden">Pipeline</h1>
      <Totals now={now} />
      <StageTable stages={now.stages} />
      <LagTable lags={now.lags} />
      <GapTable openGaps={now.open_gaps ?? 0} />
    </div>
  );
}

function Totals({ now }: { now: Pipeline }) {
  // Sums of several processes stand beside the processes themselves.
  const processes = now.stages.filter((stage) => stage.pid !== undefined);
  const rate = (kind: string) =>
    processes.filter((stage) => stage.kind === kind).reduce((sum, stage) => sum + (stage.records_per_s ?? 0), 0);
  const storing = processes.filter((stage) => stage.kind === "persist");
  const slowest = (of: (stage: Stage) => number | null) =>
    storing.length > 0 ? milliseconds(Math.max(...storing.map((stage) => of(stage) ?? 0))) : MISSING;
  const lag = processes.reduce((sum, stage) => sum + (stage.lag_records ?? 0), 0);
  return (
    <section class="cards" aria-label="In short">
      <Card name="Captured" note="records a second">{whole(rate("capture"))}</Card>
      <Card name="Stored" note="records a second">{whole(rate("persist"))}</Card>
      <Card name="Venue to stored" note="99 of 100 within">{slowest((stage) => stage.venue_p99_ms)}</Card>
      <Card name="Receipt to stored" note="99 of 100 within">{slowest((stage) => stage.latency_p99_ms)}</Card>
      <Card name="Lag" note="records behind">{whole(lag)}</Card>
      <Card name="Dead letters" note="records set aside" isAlarm={now.dead_letters > 0}>{whole(now.dead_letters)}</Card>
      <Card name="Spool" note="waiting on disk" isAlarm={now.spool_bytes > 0}>{bytes(now.spool_bytes)}</Card>
      <Card name="Open gaps" note="not repaired yet" isAlarm={(now.open_gaps ?? 0) > 0}>{whole(now.open_gaps)}</Card>
      {now.servers.map((server) => (
        <Card key={server.name} name={server.name} note={server.address} isAlarm={server.state === "away"}>
          <span class="card-word">{server.state}</span>
        </Card>
      ))}
    </section>
  );
}

function isWell(state: string): boolean {
  return /^(run|up|ready|health|(\d+)\/\2 )/.test(state);
}

interface CardProps {
  name: string;
  note: string;
  isAlarm?: boolean;
  children: ComponentChildren;
}

function Card({ name, note, isAlarm = false, children }: CardProps) {
  return (
    <div class={isAlarm ? "panel card alarm" : "panel card"}>
      <h2>{name}</h2>
      <p class="card-value num">{children}</p>
      <p class="dim">{note}</p>
    </div>
  );
}

function StageTable({ stages }: { stages: Stage[] }) {
  return (
    <section class="panel stages" aria-label="Stages">
      <header class="panel-bar">
        <h2>Stages</h2>
      </header>
      <div class="scroll" tabIndex={0} aria-label="Stages">
        <table>
          <thead>
            <tr>
              <th scope="col">Stage</th>
              <th scope="col">State</th>
              <th scope="col" class="num">Records/s</th>
              <th scope="col">3 minutes</th>
              <th scope="col" class="num">p50</th>
              <th scope="col" class="num">p99</th>
              <th scope="col">3 minutes</th>
              <th scope="col" class="num">Lag</th>
              <th scope="col" class="num">Behind</th>
              <th scope="col" class="num">Batch</th>
              <th scope="col" class="num">Retries</th>
              <th scope="col" class="num">Dead letters</th>
              <th scope="col" class="num">Spool</th>
              <th scope="col" class="num">Checkpoint</th>
              <th scope="col" class="num">Memory</th>
            </tr>
          </thead>
          <tbody>
            {stages.map((stage) => (
              <StageLine key={`${stage.stage}|${stage.pid}`} stage={stage} samples={history.get(stage.stage) ?? []} />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function StageLine({ stage, samples }: { stage: Stage; samples: Sample[] }) {
  const age = stage.checkpoint_age_s;
  return (
    <tr>
      <th scope="row">
        <b>{stage.stage}</b> <span class="dim">{stage.pid}</span>
      </th>
      <td>
        <span class={isWell(stage.state) ? "badge good" : "badge warning"}>{stage.state}</span>
      </td>
      <td class="num">{whole(stage.records_per_s)}</td>
      <td class="trend"><Sparkline values={samples.map((one) => one.records_per_s)} way={0} /></td>
      <td class="num">{milliseconds(stage.latency_p50_ms)}</td>
      <td class="num">{milliseconds(stage.latency_p99_ms)}</td>
      <td class="trend"><Sparkline values={samples.map((one) => one.latency_p99_ms)} way={0} /></td>
      <td class="num">{whole(stage.lag_records ?? stage.queued_frames)}</td>
      <td class="num">{stage.lag_s === null ? MISSING : span(stage.lag_s * 1e9)}</td>
      <td class="num">{whole(stage.batch_records)}</td>
      <td class="num">{whole(stage.retries)}</td>
      <td class="num">{whole(stage.dead_letters)}</td>
      <td class="num">{bytes(stage.spool_bytes)}</td>
      <td class="num">{age === null ? MISSING : span(age * 1e9)}</td>
      <td class="num">{bytes(stage.rss_bytes)}</td>
    </tr>
  );
}
