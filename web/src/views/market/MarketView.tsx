import type { Row } from "../../api/types";
import { compact, direction, percent, price, whole } from "../../format/numbers";
import { Empty, Loading } from "../../parts/states";
import { beat } from "../../state/beat";
import { isKnown, keyOf, rows } from "../../state/market";
import { show } from "../../state/route";
import { chosen } from "../../state/settings";
import { HeatMap } from "./HeatMap";
import { breadthOf, fullChange, leaders, turnoverOf } from "./statistics";
import "../../styles/market.css";

const LISTED = 10;

export default function MarketView() {
  void beat.value;
  if (!isKnown.value) return <Loading what="Waiting for the market" />;
  const all = [...rows.values()];
  const full_pct = fullChange(all);
  return (
    <div class="market">
      <h1 class="hidden">Market</h1>
      <BreadthStrip all={all} />
      <section class="panel heat-panel" aria-label="Heat map">
        <header class="panel-bar">
          <h2>Heat map</h2>
          <span class="dim">area: root of money traded · colour: change, full at {full_pct} %</span>
        </header>
        <HeatMap full_pct={full_pct} />
      </section>
      <Leaders title="Gainers" all={all} score={(row) => ((row.change_pct ?? 0) > 0 ? row.change_pct : null)} />
      <Leaders title="Losers" all={all} score={(row) => ((row.change_pct ?? 0) < 0 ? -row.change_pct! : null)} />
      <Leaders title="Most traded" all={all} score={turnoverOf} isTurnover />
    </div>
  );
}

function BreadthStrip({ all }: { all: Row[] }) {
  const breadth = breadthOf(all);
  const known = breadth.up + breadth.down + breadth.unchanged || 1;
  const above = breadth.withVwap > 0 ? (breadth.aboveVwap / breadth.withVwap) * 100 : null;
  return (
    <section class="panel breadth" aria-label="Breadth">
      <dl class="figures num">
        <Figure name="Advancing" value={whole(breadth.up)} kind="way1" />
        <Figure name="Declining" value={whole(breadth.down)} kind="way-1" />
        <Figure name="Unchanged" value={whole(breadth.unchanged)} />
        <Figure name="Above VWAP" value={above === null ? "–" : `${above.toFixed(0)} %`} />
        <Figure name="Halted or paused" value={whole(breadth.halted)} kind={breadth.halted > 0 ? "alarm" : ""} />
        <Figure name="Money traded" value={compact(breadth.turnover)} />
      </dl>
      <div class="breadth-bar" aria-hidden="true">
        <span class="up" style={{ width: `${(breadth.up / known) * 100}%` }} />
        <span class="same" style={{ width: `${(breadth.unchanged / known) * 100}%` }} />
        <span class="down" style={{ width: `${(breadth.down / known) * 100}%` }} />
      </div>
    </section>
  );
}

function Figure({ name, value, kind = "" }: { name: string; value: string; kind?: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd class={kind}>{value}</dd>
    </div>
  );
}

interface LeadersProps {
  title: string;
  all: Row[];
  score: (row: Row) => number | null;
  isTurnover?: boolean;
}

function Leaders({ title, all, score, isTurnover = false }: LeadersProps) {
  const best = leaders(all, LISTED, score);
  return (
    <section class="panel leaders" aria-label={title}>
      <header class="panel-bar">
        <h2>{title}</h2>
      </header>
      <div class="scroll grow" tabIndex={0} aria-label={title}>
        <table>
          <thead>
            <tr>
              <th scope="col">Symbol</th>
              <th scope="col" class="num">Last</th>
              <th scope="col" class="num">Chg %</th>
              <th scope="col" class="num">{isTurnover ? "Traded" : "Volume"}</th>
            </tr>
          </thead>
          <tbody>
            {best.map((row) => (
              <LeaderRow key={keyOf(row)} row={row} amount={isTurnover ? turnoverOf(row) : row.volume} />
            ))}
          </tbody>
        </table>
        {best.length === 0 && <Empty title="None yet" />}
      </div>
    </section>
  );
}

function LeaderRow({ row, amount }: { row: Row; amount: number | null }) {
  return (
    <tr>
      <th scope="row">
        <button
          type="button"
          class="link"
          onClick={() => {
            chosen.value = keyOf(row);
            show("trade");
          }}
        >
          {row.symbol}
        </button>
      </th>
      <td class="num">{price(row.last)}</td>
      <td class={`num way${direction(row.change_pct)}`}>{percent(row.change_pct)}</td>
      <td class="num dim">{compact(amount)}</td>
    </tr>
  );
}
