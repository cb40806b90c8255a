import { useRef } from "preact/hooks";
import type { Bar } from "../../api/types";
import type { ChartSession } from "../../chart/session";
import { price, size, whole } from "../../format/numbers";
import { moment } from "../../format/times";
import { useRowWindow } from "../../parts/window";
import { zone } from "../../state/info";

const ROW_PX = 24;
const HEADS = ["Open", "High", "Low", "Close", "Volume", "VWAP", "Trades", "Revision"];

/** The bars of the chart in numbers, newest first: for reading them exactly, and without seeing the drawing. */
export function BarTable({ session }: { session: ChartSession }) {
  void session.drawn.value;
  const box = useRef<HTMLDivElement>(null);
  const { bars } = session.model.series;
  const { from, to } = useRowWindow(box, bars.length, ROW_PX);
  // Counted from the newest, which is the last of the series.
  const shown = bars.slice(bars.length - to, bars.length - from).reverse();
  return (
    <div class="scroll bar-table" ref={box} tabIndex={0} aria-label="Bars, newest first">
      <table aria-rowcount={bars.length + 1}>
        <thead>
          <tr>
            <th scope="col">Opened</th>
            {HEADS.map((head) => (
              <th key={head} scope="col" class="num">
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {from > 0 && <tr aria-hidden="true" style={{ height: from * ROW_PX }} />}
          {shown.map((bar, i) => (
            <BarRow key={bar.ts_open_ns} bar={bar} rowIndex={from + i + 2} />
          ))}
          {to < bars.length && <tr aria-hidden="true" style={{ height: (bars.length - to) * ROW_PX }} />}
        </tbody>
      </table>
    </div>
  );
}

function BarRow({ bar, rowIndex }: { bar: Bar; rowIndex: number }) {
  return (
    <tr aria-rowindex={rowIndex} data-ts-open-s={bar.ts_open_ns / 1e9}>
      <th scope="row">
        {moment(bar.ts_open_ns, zone.value)} {!bar.is_final && <span class="badge">forming</span>}
      </th>
      {[bar.open, bar.high, bar.low, bar.close].map((value, i) => (
        <td key={i} class="num">
          {price(value)}
        </td>
      ))}
      <td class="num">{size(bar.volume)}</td>
      <td class="num">{price(bar.vwap)}</td>
      <td class="num">{whole(bar.trades)}</td>
      <td class="num">{bar.revision > 0 ? <span class="badge corrected">{bar.revision}</span> : ""}</td>
    </tr>
  );
}
