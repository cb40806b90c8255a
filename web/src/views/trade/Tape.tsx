import type { Row, Tick } from "../../api/types";
import { MISSING, price, priceDecimals, size, whole } from "../../format/numbers";
import { timeOfDay } from "../../format/times";
import { Empty } from "../../parts/states";
import { zone } from "../../state/info";
import { rows, ticked } from "../../state/market";
import { chosen } from "../../state/settings";
import { quote, tape, type TapeTick } from "../../state/tape";

const SIDES: Record<string, string> = { B: "buyer took", S: "seller took" };

/** Best bid and ask, and the trades as they happen, of the chosen symbol. */
export function Tape() {
  void ticked.value;
  const row = rows.get(chosen.value);
  return (
    <section class="panel tape" aria-label="Tape and best quote">
      <BestQuote row={row} />
      <div class="scroll grow" tabIndex={0} aria-label="Trades, newest first">
        <table class="ticks">
          <thead>
            <tr>
              <th scope="col">Time</th>
              <th scope="col" class="num">
                Price
              </th>
              <th scope="col" class="num">
                Size
              </th>
              <th scope="col">Venue</th>
            </tr>
          </thead>
          <tbody>
            {tape.value.map((tick, i) => (
              <TapeRow key={tick.place} tick={tick} before={tape.value[i + 1]} />
            ))}
          </tbody>
        </table>
        {tape.value.length === 0 && <Empty title="No trades yet">They appear here as they happen.</Empty>}
      </div>
    </section>
  );
}

function TapeRow({ tick, before }: { tick: TapeTick; before: Tick | undefined }) {
  const way = before === undefined ? 0 : Math.sign(tick.price - before.price);
  const { amended } = tick;
  const said = amended && (amended.action === "correct" ? "corrected by the venue" : "taken back by the venue");
  const notes = [said, SIDES[tick.side ?? ""], tick.conditions && `conditions ${tick.conditions}`]
    .filter(Boolean)
    .join(", ");
  const row = (
    <tr title={notes || undefined} data-ts-ns={tick.ts_ns}>
      <td class="num dim">{timeOfDay(tick.ts_ns, zone.value, "millisecond")}</td>
      <td class={`num way${way}`}>
        {amended ? <s>{price(tick.price)}</s> : price(tick.price)} {amended?.price != null && price(amended.price)}
      </td>
      <td class="num">
        {amended ? <s>{size(tick.size)}</s> : size(tick.size)} {amended?.size != null && size(amended.size)}
      </td>
      <td class="dim">{tick.venue ?? MISSING}</td>
    </tr>
  );
  if (tick.skipped === 0) return row;
  return (
    <>
      {row}
      <tr>
        <td class="dim" colSpan={4}>
          {whole(tick.skipped)} trades not shown
        </td>
      </tr>
    </>
  );
}

function BestQuote({ row }: { row: Row | undefined }) {
  // Until the first quote of the stream, the row of the watchlist knows the best prices, without venues.
  const best = quote.value ?? (row ? { ...row, bid_venue: null, ask_venue: null } : null);
  const bid = best?.bid_size ?? 0;
  const ask = best?.ask_size ?? 0;
  const share = bid + ask > 0 ? bid / (bid + ask) : 0.5;
  const decimals = priceDecimals(row?.last ?? 1);
  const spread = best?.bid != null && best.ask != null ? best.ask - best.bid : null;
  return (
    <div class="best">
      <dl>
        <div class="bid">
          <dt>Bid {best?.bid_venue && <small>{best.bid_venue}</small>}</dt>
          <dd class="num">
            <b>{price(best?.bid)}</b> <span>{size(best?.bid_size)}</span>
          </dd>
        </div>
        <div class="ask">
          <dt>Ask {best?.ask_venue && <small>{best.ask_venue}</small>}</dt>
          <dd class="num">
            <b>{price(best?.ask)}</b> <span>{size(best?.ask_size)}</span>
          </dd>
        </div>
      </dl>
      <div class="balance" aria-hidden="true">
        <span style={{ width: `${share * 100}%` }} />
      </div>
      <p class="best-note num">
        <span>Spread {price(spread, decimals)}</span> <span>VWAP {price(row?.vwap, decimals)}</span>{" "}
        <span>High {price(row?.high, decimals)}</span> <span>Low {price(row?.low, decimals)}</span>
      </p>
    </div>
  );
}
