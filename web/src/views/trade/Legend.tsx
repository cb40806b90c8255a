import type { Bar } from "../../api/types";
import { indicatorName, indicatorNumbers } from "../../bars/indicators";
import type { ChartSession } from "../../chart/session";
import { change, compact, direction, percent, price, priceDecimals, whole } from "../../format/numbers";
import { moment } from "../../format/times";
import { zone } from "../../state/info";

/** The numbers of the bar under the crosshair, else of the newest. */
export function Legend({ session }: { session: ChartSession }) {
  void session.drawn.value;
  const { series, indicators, isLoadingOlder } = session.model;
  const ts_ns = session.hovered.value;
  const bar = ts_ns === null ? series.last : series.barAt(ts_ns);
  if (bar === undefined) return null;
  return (
    <div class="legend num">
      <Candle bar={bar} isHovered={ts_ns !== null} />
      {session.lines.length > 0 && (
        <p class="legend-lines">
          {[...Map.groupBy(session.lines, (line) => line.name.split(".")[0]!)].map(([request, lines]) => (
            <span key={request}>
              <span class="dim">{requestTitle(request)}</span>{" "}
              {lines.map((line) => (
                <b key={line.name} title={line.name} style={{ color: line.colour }}>
                  {price(valueAt(indicators.get(line.name), bar, series.bars), decimalsOf(bar))}{" "}
                </b>
              ))}
            </span>
          ))}
        </p>
      )}
      {isLoadingOlder.value && <p class="dim">Reading older bars…</p>}
    </div>
  );
}

function Candle({ bar, isHovered }: { bar: Bar; isHovered: boolean }) {
  const moved = bar.close !== null && bar.open !== null ? bar.close - bar.open : null;
  const way = direction(moved);
  const decimals = decimalsOf(bar);
  return (
    <p>
      {isHovered && <span class="dim">{moment(bar.ts_open_ns, zone.value)}</span>}
      <Value name="O" value={price(bar.open, decimals)} way={way} />
      <Value name="H" value={price(bar.high, decimals)} way={way} />
      <Value name="L" value={price(bar.low, decimals)} way={way} />
      <Value name="C" value={price(bar.close, decimals)} way={way} />
      {moved !== null && bar.open !== null && (
        <span class={`way${way}`}>
          {change(moved, decimals)} ({percent((moved / bar.open) * 100)})
        </span>
      )}
      <Value name="Vol" value={compact(bar.volume)} />
      <Value name="VWAP" value={price(bar.vwap, decimals)} />
      <Value name="Trades" value={whole(bar.trades)} />
      {bar.revision > 0 && <span class="badge corrected">corrected, revision {bar.revision}</span>}
      {isHovered && !bar.is_final && <span class="badge">forming</span>}
    </p>
  );
}

/** The value at a bar; the newest bar is ahead of its indicators by some seconds, and shows the last known ones. */
function valueAt(values: ReadonlyMap<number, number | null> | undefined, bar: Bar, bars: readonly Bar[]): number | null {
  const own = values?.get(bar.ts_open_ns);
  if (own !== undefined || bar !== bars.at(-1)) return own ?? null;
  const known = bars.findLast((one) => values?.has(one.ts_open_ns));
  return (known && values?.get(known.ts_open_ns)) ?? null;
}

function Value({ name, value, way = 0 }: { name: string; value: string; way?: number }) {
  return (
    <span>
      <span class="dim">{name}</span> <b class={`way${way}`}>{value}</b>
    </span>
  );
}

function decimalsOf(bar: Bar): number {
  return priceDecimals(bar.close ?? bar.vwap ?? 1);
}

/** "macd(12,26,9)" → "MACD 12 26 9" */
function requestTitle(request: string): string {
  return [indicatorName(request).toUpperCase(), ...indicatorNumbers(request)].join(" ");
}
