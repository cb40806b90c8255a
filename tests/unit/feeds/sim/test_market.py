"""The market: deterministic however time is sliced, and shaped as a market is."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from ticktrail.clock import NS_PER_SECOND
from ticktrail.feeds.sim import MarketBatch, MarketModel, SimSettings, Universe
from ticktrail.feeds.sim.incidents import CORRECTED_ID_MIN
from ticktrail.feeds.sim.messages import CONDITIONS, VENUES, Cancel, Correction, Event, Luld, Status
from ticktrail.feeds.sim.prices import PriceWalk
from ticktrail.feeds.sim.universe import TAPES, shares

START_NS = 1_767_623_400 * NS_PER_SECOND


def run(settings: SimSettings, until_s: Iterable[float]) -> MarketBatch:
    market = MarketModel(settings, START_NS)
    batches = [market.advance(START_NS + round(at_s * NS_PER_SECOND)) for at_s in until_s]
    return MarketBatch(
        trades=np.concatenate([batch.trades for batch in batches]),
        quotes=np.concatenate([batch.quotes for batch in batches]),
        events=tuple(event for batch in batches for event in batch.events),
    )


@pytest.fixture(scope="module")
def minute() -> MarketBatch:
    """A minute of an even, busy market."""
    return run(SimSettings(rate=10_000, session_s=0, halts_per_hour=600, halt_s=5), [60])


def test_equal_settings_give_equal_messages_however_time_is_sliced() -> None:
    settings = SimSettings(rate=3_000, symbols=50, session_s=8, halts_per_hour=3_000, halt_s=0.7)
    whole = run(settings, [10])
    cuts = np.random.default_rng(7).uniform(0, 10, 300)
    sliced = run(settings, [*sorted(cuts), 10])
    assert len(whole.trades) > 20_000
    assert np.array_equal(whole.trades, sliced.trades)
    assert np.array_equal(whole.quotes, sliced.quotes)
    assert whole.events == sliced.events


def test_another_seed_gives_another_market() -> None:
    one, other = (run(SimSettings(seed=seed, rate=1_000), [1]) for seed in (1, 2))
    assert not np.array_equal(one.trades["price_e4"][:100], other.trades["price_e4"][:100])


def test_nothing_is_handed_out_before_it_is_due() -> None:
    market = MarketModel(SimSettings(rate=5_000), START_NS)
    assert not len(market.advance(START_NS - 1).trades)
    batch = market.advance(START_NS + 33_000_000)
    assert len(batch.trades)
    assert batch.trades["due_ns"].max() <= START_NS + 33_000_000
    assert market.advance(START_NS + 50_000_000).trades["due_ns"].min() > START_NS + 33_000_000


def test_rate_is_the_mean_rate(minute: MarketBatch) -> None:
    assert len(minute.trades) == pytest.approx(600_000, rel=0.01)
    assert len(minute.quotes) == pytest.approx(600_000, rel=0.01)
    day = run(SimSettings(rate=2_000, session_s=10, symbols=50, quotes_per_trade=0), [40])
    # The activity's own waves move the mean of 40 seconds by some per cent.
    assert len(day.trades) == pytest.approx(80_000, rel=0.2)


def test_the_largest_symbol_has_about_four_per_cent(minute: MarketBatch) -> None:
    share = np.bincount(minute.trades["symbol"], minlength=500) / len(minute.trades)
    assert share.argmax() == 0
    assert share[0] == pytest.approx(0.04, abs=0.003)
    assert share.min() > 0
    assert shares(5_000)[0] == pytest.approx(0.04, abs=1e-6)
    assert shares(5_000).sum() == pytest.approx(1)


def test_half_the_trades_are_odd_lots_and_say_so(minute: MarketBatch) -> None:
    odd = minute.trades["size"] < 100
    assert odd.mean() == pytest.approx(0.5, abs=0.03)
    says_odd = np.array(["I" in conditions for conditions in CONDITIONS])[minute.trades["conditions"]]
    assert np.array_equal(odd, says_odd)


def test_trade_ids_are_contiguous_per_symbol(minute: MarketBatch) -> None:
    for symbol in (0, 17, 499):
        ids = minute.trades["id"][minute.trades["symbol"] == symbol]
        assert np.array_equal(ids, np.arange(1, len(ids) + 1))


def test_trades_leave_in_the_order_of_time_and_only_late_ones_are_older(minute: MarketBatch) -> None:
    trades = minute.trades
    assert (np.diff(trades["due_ns"]) >= 0).all()
    says_late = np.array(["Z" in conditions for conditions in CONDITIONS])[trades["conditions"]]
    lateness_s = (trades["due_ns"] - trades["ts_event_ns"]) / NS_PER_SECOND
    assert np.array_equal(lateness_s > 0, says_late)
    assert says_late.mean() == pytest.approx(0.002, rel=0.35)  # fewer near the market's start
    assert lateness_s[says_late].min() >= 1
    assert lateness_s.max() <= 90
    assert trades["ts_event_ns"].min() >= START_NS


def test_conditions_fit_the_tape(minute: MarketBatch) -> None:
    universe = Universe.of(1, 500)
    for row in minute.trades[:2_000]:
        tape = TAPES[universe.tape[row["symbol"]]]
        assert TAPES[row["conditions"] % 3] == tape
        assert CONDITIONS[row["conditions"]][0] == ("@" if tape == "C" else " ")
        assert VENUES[row["venue"]] != ("T" if tape == "C" else "Q")


def test_finra_reports_two_fifths_and_only_it_trades_between_the_cents(minute: MarketBatch) -> None:
    is_finra = minute.trades["venue"] == VENUES.index("D")
    assert is_finra.mean() == pytest.approx(0.4, abs=0.02)
    between = minute.trades["price_e4"] % 100 != 0
    assert between[is_finra].mean() > 0.2
    assert not between[~is_finra].any()


def test_each_symbol_opens_with_one_auction(minute: MarketBatch) -> None:
    opening = np.array(["O" in conditions for conditions in CONDITIONS])[minute.trades["conditions"]]
    assert np.array_equal(opening, minute.trades["id"] == 1)


def test_quotes_never_cross_and_trades_stay_near_them(minute: MarketBatch) -> None:
    quotes = minute.quotes
    assert (quotes["bid_e4"] < quotes["ask_e4"]).all()
    assert (quotes["bid_e4"] > 0).all()
    assert (quotes["bid_e4"] % 100 == 0).all()
    price = Universe.of(1, 500).price
    ratio = minute.trades["price_e4"] / 1e4 / price[minute.trades["symbol"]]
    assert 0.9 < ratio.min() < ratio.max() < 1.1


def test_volatility_clusters() -> None:
    universe = Universe.of(1, 100)
    prices, rng = PriceWalk(universe, 0.05), np.random.default_rng(4)
    seconds = []
    for _ in range(1_800):
        prices.step(rng, 1.0)
        prices.end_second()
        seconds.append((prices.bid_e4 + prices.ask_e4) / 2)
    # Of cheap symbols a cent hides the return.
    returns = np.diff(np.log(np.array(seconds)), axis=0)[:, universe.price > 50]
    size = np.abs(returns) - np.abs(returns).mean(axis=0)
    assert (size[20:] * size[:-20]).mean() / (size**2).mean() > 0.02
    assert abs((returns[20:] * returns[:-20]).mean() / (returns**2).mean()) < 0.02


def test_open_and_close_are_busier_than_midday_and_little_follows() -> None:
    day = run(SimSettings(rate=4_000, session_s=100, symbols=50, quotes_per_trade=0), [100])
    per_second = np.bincount((day.trades["due_ns"] - START_NS) // NS_PER_SECOND, minlength=100)
    opening, midday, closing, after = (
        per_second[start:end].mean() for start, end in ((0, 3), (30, 60), (91, 94), (95, 100))
    )
    assert opening > 2 * midday
    assert closing > 1.6 * midday
    assert after < 0.5 * midday
    extended = np.array(["T" in conditions for conditions in CONDITIONS])[day.trades["conditions"]]
    at_s = (day.trades["due_ns"] - START_NS) / NS_PER_SECOND
    assert not extended[at_s < 94].any()
    # Save for closing prints, late ones and derived prices, which say something else.
    assert extended[at_s >= 94].mean() > 0.9
    closing_prints = np.array(["6" in conditions for conditions in CONDITIONS])[day.trades["conditions"]]
    assert np.unique(day.trades["symbol"][closing_prints]).size == closing_prints.sum() > 30


def test_corrections_and_cancels_mean_an_earlier_trade_once_each(minute: MarketBatch) -> None:
    sent = {(int(row["symbol"]), int(row["id"])): row for row in minute.trades}
    amended: list[tuple[int, int]] = []
    for event in minute.events:
        match event:
            case Correction():
                key, price_e4, size = (
                    (event.symbol, event.original_id),
                    event.original_price_e4,
                    event.original_size,
                )
                assert event.corrected_id >= CORRECTED_ID_MIN
                assert (event.corrected_price_e4, event.corrected_size) != (price_e4, size)
            case Cancel():
                key, price_e4, size = (event.symbol, event.id), event.price_e4, event.size
            case _:
                continue
        assert sent[key]["due_ns"] < event.due_ns
        assert (sent[key]["price_e4"], sent[key]["size"]) == (price_e4, size)
        amended.append(key)
    assert len(amended) == len(set(amended))
    assert 60 < len(amended) < 120  # 150 per million of 600,000


def test_nothing_trades_while_it_is_halted(minute: MarketBatch) -> None:
    statuses = _of(minute.events, Status)
    halts = [event for event in statuses if event.code in ("2", "H", "P")]
    assert len(halts) >= 5
    for halt in halts:
        resumed_ns = min(
            (
                event.due_ns
                for event in statuses
                if event.symbol == halt.symbol and event.due_ns > halt.due_ns
            ),
            default=START_NS + 60 * NS_PER_SECOND,
        )
        for rows in (minute.trades, minute.quotes):
            during = (rows["due_ns"] >= halt.due_ns) & (rows["due_ns"] < resumed_ns)
            assert not (during & (rows["symbol"] == halt.symbol)).any()


def test_halts_carry_the_codes_of_their_tape_and_bands(minute: MarketBatch) -> None:
    universe = Universe.of(1, 500)
    bands = {(event.symbol, event.due_ns): event for event in _of(minute.events, Luld)}
    assert all(event.down_e4 < event.up_e4 for event in bands.values())
    for event in _of(minute.events, Status):
        is_utp = TAPES[universe.tape[event.symbol]] == "C"
        assert event.code in (("H", "P", "T") if is_utp else ("2", "3"))
        assert (event.symbol, event.due_ns) in bands


def test_the_market_ends_after_as_many_trades_as_asked() -> None:
    market = MarketModel(SimSettings(rate=2_000, trades_max=777, session_s=0), START_NS)
    was_over = market.is_over
    trades = market.advance(START_NS + 5 * NS_PER_SECOND).trades
    assert len(trades) == 777
    assert (was_over, market.is_over) == (False, True)
    assert not len(market.advance(START_NS + 9 * NS_PER_SECOND).trades)


def test_the_market_ends_when_asked() -> None:
    market = MarketModel(SimSettings(rate=2_000, seconds=1.23, session_s=0), START_NS)
    batch = market.advance(START_NS + 5 * NS_PER_SECOND)
    assert market.is_over
    assert batch.trades["due_ns"].max() < START_NS + 1_230_000_000
    assert len(batch.trades) == pytest.approx(2_460, rel=0.1)


def test_a_longer_list_of_symbols_begins_with_the_shorter_one() -> None:
    short, long = Universe.of(3, 300), Universe.of(3, 12_000)
    assert long.symbols[:300] == short.symbols
    assert np.array_equal(long.price[:300], short.price)
    assert np.array_equal(long.tape[:300], short.tape)
    assert len(set(long.symbols)) == 12_000
    assert "BRK.B" in short.symbols
    assert max(map(len, long.symbols)) <= 8
    assert long.price.min() >= 1


def _of(events: Iterable[Event], kind: type) -> list:  # type: ignore[type-arg]
    return [event for event in events if isinstance(event, kind)]
