import { useState } from "preact/hooks";
import { problemFrom, write } from "../../api/http";
import type { Alert, ApiProblem, Rule } from "../../api/types";
import { price, whole } from "../../format/numbers";
import { moment } from "../../format/times";
import { Problem } from "../../parts/states";
import { happening } from "../../state/alerts";
import { zone } from "../../state/info";

const SPANS: [title: string, hours: number][] = [
  ["the last hour", 1],
  ["the last day", 24],
  ["the last 7 days", 168],
];
const LISTED = 200;

type State = { kind: "none" } | { kind: "busy" } | { kind: "failed"; problem: ApiProblem } | Done;
interface Done {
  kind: "done";
  fired: Alert[];
  from_ns: number;
  to_ns: number;
}

/** Says when the rule, as it stands in the form, would have fired. */
export function RuleTest({ read }: { read: () => Rule | null }) {
  const [hours, setHours] = useState(24);
  const [state, setState] = useState<State>({ kind: "none" });
  const test = async () => {
    const rule = read();
    if (rule === null) return;
    setState({ kind: "busy" });
    const to_ns = Date.now() * 1e6;
    const from_ns = to_ns - hours * 3_600e9;
    try {
      const body = { rule, start_ns: Math.round(from_ns), end_ns: Math.round(to_ns) };
      const { fired } = await write<{ fired: Alert[] }>("POST", "rule-tests", body);
      setState({ kind: "done", fired, from_ns, to_ns });
    } catch (error) {
      setState({ kind: "failed", problem: problemFrom(error) });
    }
  };
  return (
    <section class="rule-test" aria-label="Test against history">
      <div class="row">
        <h3>Test against</h3>
        <select class="input" aria-label="Span of the test" value={hours} onChange={(event) => setHours(Number(event.currentTarget.value))}>
          {SPANS.map(([title, value]) => <option key={value} value={value}>{title}</option>)}
        </select>
        <button type="button" class="button" disabled={state.kind === "busy"} onClick={() => void test()}>
          {state.kind === "busy" ? "Testing…" : "Test"}
        </button>
      </div>
      {state.kind === "failed" && <Problem problem={state.problem} />}
      {state.kind === "done" && <Outcome {...state} />}
    </section>
  );
}

function Outcome({ fired, from_ns, to_ns }: Done) {
  return (
    <div role="status">
      <p>{fired.length === 0 ? "It would not have fired." : `It would have fired ${whole(fired.length)} times.`}</p>
      {fired.length > 0 && (
        <>
          <svg class="firings" viewBox="0 0 1000 22" preserveAspectRatio="none" aria-hidden="true">
            {fired.map((one, i) => {
              const x = ((one.ts_ns - from_ns) / (to_ns - from_ns)) * 1000;
              return <line key={i} x1={x} x2={x} y1={2} y2={20} vector-effect="non-scaling-stroke" />;
            })}
          </svg>
          <div class="scroll fired" tabIndex={0} aria-label="Firings">
            <table>
              <thead>
                <tr>
                  <th scope="col">Time</th>
                  <th scope="col">Symbol</th>
                  <th scope="col" class="num">Value</th>
                  <th scope="col">Message</th>
                </tr>
              </thead>
              <tbody>
                {fired.slice(0, LISTED).map((one, i) => (
                  <tr key={i}>
                    <td class="nowrap">{moment(one.ts_ns, zone.value)}</td>
                    <td>{one.symbol}</td>
                    <td class="num">{price(one.value)}</td>
                    <td class="message">{happening(one)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
          {fired.length > LISTED && <p class="dim">The first {LISTED} are listed.</p>}
        </>
      )}
    </div>
  );
}
