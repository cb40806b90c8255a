import { useEffect, useState } from "preact/hooks";
import { get, problemFrom } from "../../api/http";
import type { ApiProblem, Gap } from "../../api/types";
import { whole } from "../../format/numbers";
import { moment, span } from "../../format/times";
import { Empty, Loading, Problem } from "../../parts/states";
import { zone } from "../../state/info";

const DAYS = 7;
const KINDS: Record<Gap["state"], string> = { open: "warning", repaired: "good", permanent: "critical" };

/** The holes of the last days: what is missing from the record, and why. */
export function GapTable({ openGaps }: { openGaps: number }) {
  const [gaps, setGaps] = useState<Gap[] | null>(null);
  const [problem, setProblem] = useState<ApiProblem | null>(null);
  const load = () => {
    get<{ gaps: Gap[] }>("gaps", { days: DAYS }).then(
      (answer) => {
        setGaps([...answer.gaps].sort((a, b) => b.from_ns - a.from_ns));
        setProblem(null);
      },
      (error: unknown) => setProblem(problemFrom(error)),
    );
  };
  // A gap that opens or closes changes their number.
  useEffect(load, [openGaps]);
  return (
    <section class="panel gaps" aria-label="Gaps of the record">
      <header class="panel-bar">
        <h2>Gaps of the last {DAYS} days</h2>
        <button type="button" class="button quiet" onClick={load}>
          Read again
        </button>
      </header>
      <div class="scroll grow" tabIndex={0} aria-label="Gaps of the record">
        {problem !== null && <Problem problem={problem} retry={load} />}
        {problem === null && gaps === null && <Loading what="Reading gaps" />}
        {problem === null && gaps?.length === 0 && <Empty title="No gap">Nothing is missing from the record.</Empty>}
        {problem === null && gaps !== null && gaps.length > 0 && <Table gaps={gaps} />}
      </div>
    </section>
  );
}

function Table({ gaps }: { gaps: Gap[] }) {
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">From</th>
          <th scope="col" class="num">Length</th>
          <th scope="col">Feed</th>
          <th scope="col">Channel</th>
          <th scope="col">Cause</th>
          <th scope="col">State</th>
          <th scope="col" class="num">Missing</th>
          <th scope="col">Detail</th>
        </tr>
      </thead>
      <tbody>
        {gaps.map((gap) => (
          <tr key={`${gap.feed}|${gap.channel}|${gap.from_ns}|${gap.cause}`}>
            <td class="nowrap">{moment(gap.from_ns, zone.value)}</td>
            <td class="num nowrap">{span(gap.to_ns - gap.from_ns)}</td>
            <td>{gap.feed}</td>
            <td>{gap.channel === "*" ? "whole feed" : gap.channel}</td>
            <td>{gap.cause.replaceAll("_", " ")}</td>
            <td>
              <span class={`badge ${KINDS[gap.state]}`}>{gap.state}</span>
            </td>
            <td class="num">{gap.missing === null || gap.missing < 0 ? "unknown" : whole(gap.missing)}</td>
            <td class="dim">{gap.detail}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
