"""Bars built again from the store.

What a window holds is read back, corrected, and summed up by the very code that live bars come from; the
longer bars around it are rolled up again from the stored minutes. What differs from the stored bar is written
with the next revision; what does not, is not. A window that has lost all its trades keeps a bar without any
(`ticktrail.bars.window.is_emptied`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ticktrail.bars.archive import Archive, Span
from ticktrail.bars.candles import Times, candles_of_seconds, rolled_up, unique_trades
from ticktrail.bars.corrections import Corrections
from ticktrail.bars.history import bar_rows
from ticktrail.bars.rows import Rows, join, packed_trades
from ticktrail.bars.window import LEVELS, candles_to_bars, empty_bars, is_emptied, midnight_ns, opens_of
from ticktrail.model import INTERVALS_NS, Bar, Columns
from ticktrail.model.identity import floor_ts_ns
from ticktrail.reference.sessions import Market

__all__ = ["Job", "Rebuilder", "Rebuilt", "revisions"]

_MINUTE_NS = INTERVALS_NS["1m"]
_LONGER = LEVELS[2:]
# Sums of the same numbers in another order.
_TOLERANCE = 1e-12
_EXACT = ("open", "high", "low", "close", "trades", "flags")
_SUMS = ("volume", "vwap")

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Job:
    """Windows of one symbol and date that are to be built again.

    Parameters
    ----------
    days
        Under which the trades may be stored.
    date
        Of the bars.
    minutes_ns
        Shape ``(n,)``, n > 0: the openings of the minutes, rising.
    complete_ns
        Shape ``(n,)``: of each minute, the store has all trades before that time.
    closed_ns
        Longer windows of the date that end by then have been given out.
    """

    feed: str
    symbol: str
    days: tuple[int, ...]
    date: int
    minutes_ns: Times
    complete_ns: Times
    closed_ns: int


@dataclass(frozen=True, kw_only=True)
class Rebuilt:
    """What a job found.

    Parameters
    ----------
    revised
        Bars that differ from the stored ones, with their new revisions.
    stored
        Those that they replace, where there is one.
    minutes
        All minutes of the date, as they now are.
    compared
        How many bars were held against the stored ones.
    """

    revised: Columns[Bar]
    stored: Columns[Bar]
    minutes: Columns[Bar]
    compared: int


class Rebuilder:
    """Builds windows anew. Reads the store, writes nothing.

    Parameters
    ----------
    archive
        Where stored records are.
    intervals
        Those that are kept; 1m must be among them if a longer one is.
    market_of
        Gives the market of a feed.
    """

    def __init__(
        self, archive: Archive, intervals: Collection[str], market_of: Callable[[str], Market]
    ) -> None:
        self._archive = archive
        self._intervals = frozenset(intervals)
        self._market_of = market_of

    def rebuild(self, job: Job) -> Rebuilt:
        """Build and compare; raises as `Archive`."""
        market = self._market_of(job.feed)
        seconds = candles_of_seconds(unique_trades(self._trades(job)))
        minutes = rolled_up(seconds, opens_of("1m", market))
        stored = self._archive.bars(job.feed, job.symbol, job.date, self._spans(job, market))
        compared = [
            self._compare(job, stored, "1s", seconds, _is_complete(job)),
            self._compare(job, stored, "1m", minutes, _is_complete(job)),
        ]
        all_minutes = _replaced(stored.take(stored["interval"] == b"1m"), compared[1][0])
        candles = bar_rows(all_minutes)
        whole_ns = job.minutes_ns[job.complete_ns >= job.minutes_ns + _MINUTE_NS]
        is_over = job.closed_ns >= midnight_ns(job.date + 1, market)
        for interval in _LONGER:
            opens = opens_of(interval, market)
            candles = rolled_up(candles, opens)
            touched_ns = np.unique(opens(whole_ns))

            def is_wanted(bars: Columns[Bar], touched_ns: Times = touched_ns) -> Mask:
                is_closed = is_over | (bars["ts_close_ns"] <= job.closed_ns)
                return is_closed & np.isin(bars["ts_open_ns"], touched_ns)

            compared.append(self._compare(job, stored, interval, candles, is_wanted))
        return Rebuilt(
            revised=Columns.concat([revised for revised, _, _ in compared]),
            stored=Columns.concat([replaced for _, replaced, _ in compared]),
            minutes=all_minutes,
            compared=sum(count for _, _, count in compared),
        )

    def _trades(self, job: Job) -> Rows:
        spans, parts = _joined(job.minutes_ns), []
        for day in job.days:
            trades = self._archive.trades(job.feed, job.symbol, day, spans)
            if len(trades.rows):
                corrections = self._archive.corrections(job.feed, job.symbol, day)
                parts.append(Corrections(corrections).applied_to(trades))
        return join(parts) if parts else packed_trades(job.symbol, {})

    def _spans(self, job: Job, market: Market) -> dict[str, Span]:
        first_ns, end_ns = midnight_ns(job.date, market), midnight_ns(job.date + 1, market)
        inside = (int(job.minutes_ns[0]), int(job.minutes_ns[-1]) + _MINUTE_NS)
        # An hour of a zone whose offset is none may open before its midnight.
        whole = (first_ns - INTERVALS_NS["1h"], end_ns)
        return {each: inside if each == "1s" else whole for each in LEVELS if each in self._intervals}

    def _compare(
        self,
        job: Job,
        stored: Columns[Bar],
        interval: str,
        candles: Rows,
        is_wanted: Callable[[Columns[Bar]], Mask],
    ) -> tuple[Columns[Bar], Columns[Bar], int]:
        if interval not in self._intervals:
            return empty_bars(), empty_bars(), 0
        built = candles_to_bars(candles, job.feed.encode(), interval, self._market_of(job.feed))
        built = built.take(is_wanted(built) & (built["day"] == job.date))
        of_interval = stored.take(stored["interval"] == interval.encode())
        of_interval = of_interval.take(is_wanted(of_interval))
        count = len(np.union1d(built["ts_open_ns"], of_interval["ts_open_ns"]))
        return (*revisions(of_interval, built), count)


def revisions(stored: Columns[Bar], built: Columns[Bar]) -> tuple[Columns[Bar], Columns[Bar]]:
    """Compare bars of one symbol and interval, each opening once.

    Returns
    -------
    The bars that the store should have instead, with their revisions: those built that differ from the stored
    ones or are not stored, and emptied ones for windows that nothing was built for. And the stored ones that
    they replace.

    Notes
    -----
    A revision is one more than the stored one, or 1: 0 is what live gave out. That of a longer bar is never
    less than the sum of its minutes', as when live gives one out that has revised minutes in it. So there are
    never two different bars with one revision, of which the store might keep either.
    """
    places = np.searchsorted(stored["ts_open_ns"], built["ts_open_ns"])
    places = np.minimum(places, max(len(stored) - 1, 0))
    if len(stored):
        is_stored = stored["ts_open_ns"][places] == built["ts_open_ns"]
        before = stored.take(places)
        differs = ~is_stored | ~_is_same(before, built)
        revision = np.where(is_stored, before["revision"] + 1, 1)
    else:
        differs = np.ones(len(built), dtype=bool)
        revision = np.ones(len(built), dtype=np.int32)
        is_stored = ~differs
    changed = built.replace(revision=np.maximum(revision, built["revision"])).take(differs)
    is_gone = ~np.isin(stored["ts_open_ns"], built["ts_open_ns"]) & ~is_emptied(stored)
    gone = stored.take(is_gone)
    none = np.full(len(gone), np.nan)
    emptied = gone.replace(
        **dict.fromkeys(("open", "high", "low", "close", "vwap"), none),
        **dict.fromkeys(("volume", "trades", "flags"), np.zeros(len(gone))),
        revision=gone["revision"] + 1,
    )
    replaced = [stored.take(places[differs & is_stored]) if len(stored) else stored, gone]
    return Columns.concat([changed, emptied]), Columns.concat(replaced)


def _is_same(left: Columns[Bar], right: Columns[Bar]) -> Mask:
    same = np.ones(len(left), dtype=bool)
    for name in _EXACT:
        a, b = left[name], right[name]
        same &= (a == b) | ((a != a) & (b != b))  # noqa: PLR0124 (NaN, in columns of any type)
    for name in _SUMS:
        same &= np.isclose(left[name], right[name], rtol=_TOLERANCE, atol=0, equal_nan=True)
    return same


def _is_complete(job: Job) -> Callable[[Columns[Bar]], Mask]:
    """Give the test whether the store has all trades of a second or minute of this job."""

    def is_complete(bars: Columns[Bar]) -> Mask:
        minutes_ns = floor_ts_ns(bars["ts_open_ns"], _MINUTE_NS)
        places = np.minimum(np.searchsorted(job.minutes_ns, minutes_ns), len(job.minutes_ns) - 1)
        is_inside: Mask = job.minutes_ns[places] == minutes_ns
        return is_inside & (bars["ts_close_ns"] <= job.complete_ns[places])

    return is_complete


def _replaced(minutes: Columns[Bar], revised: Columns[Bar]) -> Columns[Bar]:
    if not len(revised):
        return minutes
    kept = minutes.take(~np.isin(minutes["ts_open_ns"], revised["ts_open_ns"]))
    return Columns.concat([kept, revised])


def _joined(minutes_ns: Times) -> Sequence[Span]:
    """Join minutes that follow one another."""
    starts = np.flatnonzero(np.diff(minutes_ns, prepend=minutes_ns[0] - 2 * _MINUTE_NS) != _MINUTE_NS)
    firsts = minutes_ns[starts].tolist()
    lasts = minutes_ns[np.append(starts[1:], len(minutes_ns)) - 1].tolist()
    return [(first, last + _MINUTE_NS) for first, last in zip(firsts, lasts, strict=True)]
