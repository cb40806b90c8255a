"""One poll's values on their way into the store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ticktrail.bus import PartitionBatch
from ticktrail.codec import decode_columns
from ticktrail.model import Columns, Quote, Trade
from ticktrail.persist.checkpoint import Span
from ticktrail.persist.latest import newest_per_symbol
from ticktrail.store import LATEST_QUOTES, LATEST_TRADES, TABLE_OF, Table

__all__ = ["Letter", "Poll", "Write"]

_US_PER_MS = 1_000
_NS_PER_US = 1_000
_LATEST = {Trade: LATEST_TRADES, Quote: LATEST_QUOTES}


@dataclass(frozen=True, kw_only=True)
class Letter:
    """A value that cannot be stored, as it came, and why."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes
    reason: str
    detail: str


@dataclass(frozen=True, kw_only=True)
class Write:
    """Records for one table.

    Parameters
    ----------
    rows
        Shape ``(n,)``: which value of the poll each record came from.
    write_ts_us
        Shape ``(n,)``: CQL write times, microseconds since 1970.
    is_copy
        True for `latest`, whose rows are stored elsewhere too and do not count.
    """

    table: Table
    columns: Columns[Any]
    rows: npt.NDArray[np.int64]
    write_ts_us: npt.NDArray[np.int64]
    is_copy: bool = False

    def halves(self) -> tuple[Write, Write]:
        """Split, to find the row that the store refuses."""
        middle = len(self.columns) // 2
        return self._slice(slice(0, middle)), self._slice(slice(middle, None))

    def _slice(self, rows: slice) -> Write:
        return Write(
            table=self.table,
            columns=self.columns.take(rows),
            rows=self.rows[rows],
            write_ts_us=self.write_ts_us[rows],
            is_copy=self.is_copy,
        )


class Poll:
    """Values taken from Kafka together, decoded.

    Attributes
    ----------
    count
        How many values.
    unknown_fields
        How many fields were skipped because this version does not know them.
    not_stored
        How many values were records that have no table (heartbeats).
    """

    def __init__(self, batches: Sequence[PartitionBatch]) -> None:
        self._batches = batches
        self._starts = np.cumsum([0] + [len(batch.values) for batch in batches])
        self.count = int(self._starts[-1])
        self._append_ts_ms = np.concatenate([batch.append_ts_ms for batch in batches])
        decoded = decode_columns([value for batch in batches for value in batch.values])
        self._kinds = decoded.kinds
        self._rejected = decoded.rejected
        self.unknown_fields = decoded.unknown_fields
        self.not_stored = sum(
            len(found.columns) for record, found in self._kinds.items() if record not in TABLE_OF
        )

    def spans(self) -> list[Span]:
        """Name the offsets that these values cover; their state is the log's time of the last one."""
        return [
            Span(
                partition=batch.partition,
                first=int(batch.offsets[0]),
                end=int(batch.offsets[-1]) + 1,
                state=str(batch.append_ts_ms[-1]),
            )
            for batch in self._batches
        ]

    def writes(self) -> Iterator[Write]:
        """Say what is to be stored."""
        for record, (columns, rows) in self._kinds.items():
            if record not in TABLE_OF:
                continue
            # The log's own time orders all writes of a row, and a replay of the log writes the same again.
            write_ts_us = self._append_ts_ms[rows] * _US_PER_MS
            yield Write(table=TABLE_OF[record], columns=columns, rows=rows, write_ts_us=write_ts_us)
            if record in _LATEST and len(newest := newest_per_symbol(columns, write_ts_us * _NS_PER_US)):
                # Event time decides here, so that late and replayed records never hide newer ones.
                ts_event_us = columns["ts_event_ns"][newest] // _NS_PER_US
                yield Write(
                    table=_LATEST[record],
                    columns=columns.take(newest),
                    rows=np.zeros(len(newest), dtype=np.int64),
                    write_ts_us=np.minimum(ts_event_us, write_ts_us[newest]),
                    is_copy=True,
                )

    def letters(self) -> Iterator[Letter]:
        """Say what could not be decoded."""
        for row, error in self._rejected:
            yield self.letter(row, error.reason, str(error))

    def letter(self, row: int, reason: str, detail: str) -> Letter:
        """Make the dead letter of one value."""
        index = int(np.searchsorted(self._starts, row, side="right")) - 1
        batch, inside = self._batches[index], row - int(self._starts[index])
        return Letter(
            topic=batch.partition.topic,
            partition=batch.partition.number,
            offset=int(batch.offsets[inside]),
            key=batch.keys[inside],
            value=batch.values[inside],
            reason=reason,
            detail=detail,
        )
