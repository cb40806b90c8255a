"""Frames to columns: pure, columnar, and never raising.

All messages of one kind in a batch of frames become one `Columns`, field by field; no object is made per
record. What `ticktrail.feeds.alpaca.decode` could not check value by value is checked per column: times
and texts. Alpaca spells symbols canonically (``BRK.B``), so they pass unchanged.

Identity: trades have numeric ids, unique per symbol, venue and day, the same on the stream and over REST,
and times in nanoseconds on both, so the feed's resolution is 1 ns and ``ts_ns`` is ``ts_event_ns``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec.msgpack import Ext

from ticktrail.feeds.alpaca import wire
from ticktrail.feeds.alpaca.batch import Batch
from ticktrail.feeds.alpaca.decode import Encoding, MessageDecoder
from ticktrail.feeds.alpaca.records import (
    build_bars,
    build_cancels,
    build_corrections,
    build_lulds,
    build_quotes,
    build_statuses,
    build_trades,
)
from ticktrail.feeds.alpaca.refusals import venue_error
from ticktrail.feeds.base import Frame, Parsed
from ticktrail.feeds.text import distinct_codes
from ticktrail.feeds.timestamps import ns_from_msgpack, ns_from_rfc3339
from ticktrail.model import Columns

__all__ = ["AlpacaParser"]

_MSGPACK_TIMESTAMP = -1


class AlpacaParser:
    """Parses what Alpaca connections received. Remembers nothing between calls.

    Parameters
    ----------
    feed
        The feed's name, for the records.
    encoding
        Of the frames.
    quote_size_unit
        See `ticktrail.feeds.alpaca.config.AlpacaConfig`.
    """

    def __init__(self, feed: str, encoding: Encoding, quote_size_unit: int = 0) -> None:
        self._feed = feed
        self._decoder = MessageDecoder(encoding)
        self._read_times: Callable[[list[Any]], npt.NDArray[np.int64]] = (
            ns_from_rfc3339 if encoding == "json" else _ns_from_extensions
        )
        # Per record type: which messages become it, and how. Those of one builder share their fields.
        minutes_and_days = (wire.BarMessage, wire.UpdatedBarMessage, wire.DailyBarMessage)
        quotes = partial(build_quotes, size_unit=quote_size_unit)
        self._builds: list[list[tuple[tuple[type, ...], Callable[[Batch], Columns[Any]]]]] = [
            [((wire.TradeMessage,), build_trades)],
            [((wire.QuoteMessage,), quotes)],
            [(minutes_and_days, build_bars)],
            [((wire.CorrectionMessage,), build_corrections), ((wire.CancelMessage,), build_cancels)],
            [((wire.StatusMessage,), build_statuses), ((wire.LuldMessage,), build_lulds)],
        ]

    def parse(self, frames: Sequence[Frame]) -> Parsed:
        """Turn frames into columns; see `ticktrail.feeds.base.Feed.parse`."""
        decoded = self._decoder.decode(frames)
        messages = decoded.messages
        recv_ns = np.repeat(np.array([frame.ts_recv_ns for frame in frames], np.int64), decoded.counts)
        rows_of = _rows_by_type(messages)
        columns = []
        for builds in self._builds:
            parts = []
            for kinds, build in builds:
                rows = _merged([rows_of[kind] for kind in kinds if kind in rows_of])
                if not len(rows):
                    continue
                chosen = messages if len(rows) == len(messages) else [messages[row] for row in rows.tolist()]
                event_ns = self._read_times([message.time for message in chosen])
                times_ns = event_ns, recv_ns[rows]
                batch = Batch(self._feed, chosen, rows, times_ns, decoded, self._decoder.encode)
                built = build(batch)
                if len(built):
                    parts.append((batch.rows, built))
            if parts:
                columns.append(_in_order(parts))
        errors = [messages[row] for row in rows_of.get(wire.ErrorMessage, [])]
        return Parsed(
            columns=tuple(columns),
            rejected=tuple(decoded.rejected),
            unknown=decoded.unknown.to_dict(),
            notices=tuple(venue_error(self._feed, error.code, error.text) for error in errors),
        )


def _rows_by_type(messages: list[Any]) -> dict[type, npt.NDArray[np.intp]]:
    kinds, codes = distinct_codes(map(type, messages))
    return {kind: np.flatnonzero(codes == number) for number, kind in enumerate(kinds)}


def _merged(parts: list[npt.NDArray[np.intp]]) -> npt.NDArray[np.intp]:
    return np.sort(np.concatenate(parts)) if parts else np.empty(0, np.intp)


def _in_order(parts: list[tuple[npt.NDArray[np.intp], Columns[Any]]]) -> Columns[Any]:
    """Join the columns of one record type, back in the order of their messages."""
    if len(parts) == 1:
        return parts[0][1]
    joined = Columns.concat([columns for _, columns in parts])
    return joined.take(np.argsort(np.concatenate([rows for rows, _ in parts]), kind="stable"))


def _ns_from_extensions(times: list[Ext]) -> npt.NDArray[np.int64]:
    # An extension of another type is no time; its payload is replaced by one that cannot be read.
    return ns_from_msgpack([bytes(time.data) if time.code == _MSGPACK_TIMESTAMP else b"" for time in times])
