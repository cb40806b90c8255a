"""The one reader of the store.

Everybody who reads ticks or bars (SQL, Python, the stages) comes through here: it lists partitions from the
catalogue and reads them. Today a partition is rows of the hot tier. Sealed chunks will be merged in
`Reader.read`, each event once, and nobody above will notice.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from ticktrail.errors import SchemaMismatch, TicktrailError
from ticktrail.model import Array, Bar, Columns, column_dtypes
from ticktrail.reference import date_of_day, day_of_date
from ticktrail.store.alert_table import read_alerts
from ticktrail.store.batches import build_batch, sources_of
from ticktrail.store.decode import Decoded, Page, columns_of, decode_keys, decode_page, plain_array
from ticktrail.store.gaps import read_gaps
from ticktrail.store.latest import read_latest
from ticktrail.store.migrate import SCHEMA_VERSION, slot_minutes
from ticktrail.store.pages import PageStream
from ticktrail.store.partitions import DayRef, PartitionRef, SpanNs, day_span_ns
from ticktrail.store.session import StoreSession
from ticktrail.store.tables import BARS, GAPS, Table, bucket_days, dataset_of

__all__ = ["Read", "Reader"]

# Reads under way. The server was at its best between 4 and 16; each may hold two pages.
_READS_AHEAD = 8
_LISTS_AHEAD = 32
# More symbols than these are not named to the server; the day is listed whole and filtered here.
_SYMBOLS_NAMED_MAX = 500
# How far an event's time can lie behind the key's, which is floored to the feed's resolution.
_KEY_RESOLUTION_NS_MAX = 1_000_000_000
_TIMES_NS = np.iinfo(np.int64)

T = TypeVar("T")
S = TypeVar("S")

_DAYS = "SELECT feed, day FROM days WHERE dataset = ?"
_LIST = "SELECT symbol, slot FROM partitions WHERE dataset = ? AND feed = ? AND day = ?"
_LIST_NAMED = f"{_LIST} AND symbol IN ?"

# A partition, and the span of event times that is wanted of it (None: all).
Read = tuple[PartitionRef, SpanNs | None]


class Reader:
    """Reads partitions. May be used from several threads.

    Parameters
    ----------
    session
        An open session. Its keyspace must exist; nothing is ever created here.

    Raises
    ------
    SchemaMismatch
        The keyspace does not exist, or a newer version made it.
    """

    def __init__(self, session: StoreSession) -> None:
        self._session = session
        _use_keyspace(session)
        self._slot_minutes = slot_minutes(session)
        self._statements: dict[str, Any] = {}

    def slot_minutes(self, table: Table) -> int:
        """Give the width of a table's slots."""
        return self._slot_minutes.get(table.name, 1440)

    def days(self, dataset: str) -> list[DayRef]:
        """List the days for which anything is stored, ordered by feed and day.

        Parameters
        ----------
        dataset
            As in `ticktrail.store.dataset_of`.
        """
        rows = self._session.execute(self._prepared(_DAYS), (dataset,))
        return [DayRef(dataset, row.feed, day_of_date(row.day.date())) for row in rows]

    def partitions(
        self,
        days: Sequence[DayRef],
        symbols: Iterable[str] | None = None,
        slots: Mapping[DayRef, Collection[int]] | None = None,
    ) -> list[PartitionRef]:
        """List the partitions of some days, ordered by day, symbol and slot.

        Parameters
        ----------
        days
            Of any datasets.
        symbols
            Only these; None for all.
        slots
            Of days named here, only these slots.
        """
        wanted = None if symbols is None else sorted(set(symbols))
        if wanted is not None and len(wanted) <= _SYMBOLS_NAMED_MAX:
            statement, names, is_wanted = self._prepared(_LIST_NAMED), [wanted], None
        else:
            statement, names = self._prepared(_LIST), []
            is_wanted = None if wanted is None else frozenset(wanted)
        refs: list[PartitionRef] = []
        for day, stream in _ahead(
            days,
            lambda day: PageStream(
                self._session, statement, (day.dataset, day.feed, date_of_day(day.day), *names)
            ),
            _LISTS_AHEAD,
        ):
            for page in stream:
                refs += _refs(day, page, is_wanted, (slots or {}).get(day))
        return refs

    def read(self, ref: PartitionRef, columns: Sequence[str], span_ns: SpanNs | None = None) -> Iterator[Any]:
        """Read one partition. The first pages are asked for at once, not when the first batch is taken.

        Parameters
        ----------
        ref
            The partition.
        columns
            Names of `ticktrail.store.sql_schema`, in the order wanted.
        span_ns
            From (inclusive) and to (exclusive) in event time. Rows a little outside may come too.

        Yields
        ------
        Arrow record batches, in the order of ``ts_ns`` and ``event_id``.

        Raises
        ------
        TicktrailError
            The store cannot be read. Raised while iterating.
        """
        sources = sources_of(ref.day.table, columns)
        stream = self._open(ref, sources, span_ns)
        return (
            build_batch(ref, decoded, columns, rows_count)
            for rows_count, decoded in self._decoded(ref.day.table, stream, sources)
        )

    def read_all(self, reads: Iterable[Read], columns: Sequence[str]) -> Iterator[tuple[PartitionRef, Any]]:
        """Read many partitions, several at once; batches come in the order of the partitions.

        Memory holds a bounded number of pages, however many partitions there are and however large.
        Parameters and errors are those of `read`.
        """
        for (ref, _), batches in _ahead(
            reads, lambda read: self.read(read[0], columns, read[1]), _READS_AHEAD
        ):
            for batch in batches:
                yield ref, batch

    def arrays(
        self, reads: Iterable[Read], names: Collection[str]
    ) -> Iterator[tuple[PartitionRef, dict[str, Array]]]:
        """Read many partitions as NumPy arrays, for those who reckon with them.

        Parameters
        ----------
        reads
            As for `read_all`.
        names
            Clustering columns (``"ts"``, ``"event_id"``) and fields of the frozen value
            (`Table.fields`), which all tables in question have.

        Yields
        ------
        A partition and some of its rows: one array of shape ``(n,)`` per name. In the order of `reads`, and
        within a partition in that of the clustering columns.
        """
        wanted = set(names)
        for (ref, _), stream in _ahead(
            reads, lambda read: self._open(read[0], wanted, read[1]), _READS_AHEAD
        ):
            for _, decoded in self._decoded(ref.day.table, stream, wanted):
                yield ref, {name: plain_array(column) for name, column in decoded.items()}

    def latest(self, feed: str | None = None) -> list[Any]:
        """Read the last trade and quote of each symbol: one Arrow table in `LATEST_SCHEMA` per feed."""
        rows = [] if feed is not None else self._session.execute("SELECT DISTINCT feed FROM latest")
        feeds = [feed] if feed is not None else sorted(row.feed for row in rows)
        return [read_latest(self._session, name) for name in feeds]

    def gaps(self) -> Iterator[Any]:
        """Read the ledger of gaps: one Arrow table in `GAPS_SCHEMA` per feed and day, in that order."""
        for day in self.days(dataset_of(GAPS)):
            yield read_gaps(self._session, day)

    def alerts(self) -> Iterator[Any]:
        """Read what rules found: Arrow tables in `ALERTS_SCHEMA`, the newest first."""
        return read_alerts(self._session)

    def minute_history(self, keys: Iterable[tuple[str, str, int]]) -> Columns[Bar]:
        """Read the final minute bars of whole days.

        Parameters
        ----------
        keys
            ``(feed, symbol, day)``, the day in days since 1970.

        Returns
        -------
        The bars in the order of the keys, each key's by time. Empty where nothing is stored.
        """
        dataset = dataset_of(BARS, "1m")
        sources = {"ts", *BARS.fields}
        parts: list[Columns[Bar]] = []
        for (feed, symbol, day), stream in _ahead(
            keys, lambda key: self._open_minutes(dataset, *key, sources), _READS_AHEAD
        ):
            for _, decoded in self._decoded(BARS, stream, sources):
                ts_open_ns = decoded.pop("ts")
                bars = columns_of(
                    Bar, decoded, ts_open_ns=ts_open_ns, feed=feed, symbol=symbol, interval="1m"
                )
                parts.append(bars.take((bars["day"] == day) & bars["is_final"]))
        empty = {name: np.zeros(0, dtype) for name, dtype in column_dtypes(Bar).items()}
        return Columns.concat(parts) if parts else Columns(Bar, empty)

    def _open_minutes(self, dataset: str, feed: str, symbol: str, day: int, sources: set[str]) -> PageStream:
        bucket = int(bucket_days("1m", np.array([day], np.int32))[0])
        ref = PartitionRef(DayRef(dataset, feed, bucket), symbol, 0)
        return self._open(ref, sources, day_span_ns(DayRef(BARS.name, feed, day)))

    def _open(self, ref: PartitionRef, sources: set[str], span_ns: SpanNs | None) -> PageStream:
        table = ref.day.table
        statement = self._prepared(_select(table, needs_value=not sources <= table.clustering.keys()))
        day = date_of_day(ref.day.day)
        key = (ref.day.interval, day) if ref.day.interval else (day, ref.slot)
        first_ns, last_ns = int(_TIMES_NS.min), int(_TIMES_NS.max)
        if span_ns is not None:
            first_ns = max(span_ns[0] - _KEY_RESOLUTION_NS_MAX, first_ns)
            last_ns = min(span_ns[1] - 1, last_ns)
        values = (ref.day.feed, ref.symbol, *key, first_ns, last_ns)
        return PageStream(self._session, statement, values)

    def _prepared(self, statement: str) -> Any:
        prepared = self._statements.get(statement)
        if prepared is None:
            prepared = self._statements[statement] = self._session.prepare(statement)
        return prepared

    @staticmethod
    def _decoded(table: Table, stream: Iterable[Page], sources: set[str]) -> Iterator[tuple[int, Decoded]]:
        for page in stream:
            if page.rows_count:
                yield page.rows_count, decode_page(page, table, sources)


def _ahead(items: Iterable[T], start: Callable[[T], S], limit: int) -> Iterator[tuple[T, S]]:
    """Start something for each item, at most `limit` beyond the one that is being worked on."""
    started: deque[tuple[T, S]] = deque()
    todo = iter(items)
    while True:
        started.extend((item, start(item)) for item in itertools.islice(todo, limit - len(started)))
        if not started:
            return
        yield started.popleft()


def _refs(
    day: DayRef, page: Page, symbols: Collection[str] | None, slots: Collection[int] | None
) -> Iterator[PartitionRef]:
    if page.rows_count == 0:
        return
    keys = decode_keys(page, "partitions", {"symbol": "text", "slot": "smallint"})
    texts, numbers = plain_array(keys["symbol"]), plain_array(keys["slot"])
    if slots is not None:
        kept = np.isin(numbers, list(slots))
        texts, numbers = texts[kept], numbers[kept]
    for text, slot in zip(texts.tolist(), numbers.tolist(), strict=True):
        symbol = text.decode()
        if symbols is None or symbol in symbols:
            yield PartitionRef(day, symbol, slot)


def _select(table: Table, *, needs_value: bool) -> str:
    names = ", ".join([*table.clustering, *([table.value] if needs_value else [])])
    where = " AND ".join(f"{name} = ?" for name in table.partition)
    return f"SELECT {names} FROM {table.name} WHERE {where} AND ts >= ? AND ts <= ?"  # noqa: S608


def _use_keyspace(session: StoreSession) -> None:
    keyspace = session.settings.keyspace
    try:
        session.execute(f"USE {keyspace}")
        rows = session.execute("SELECT version FROM schema_version WHERE id = 0")
    except TicktrailError as error:
        if not isinstance(error, SchemaMismatch):
            raise
        raise SchemaMismatch(
            what=f"Nothing is stored in Cassandra at {session.address}",
            why=f"the keyspace {keyspace} is not there",
            next_step="Store something first, with `ticktrail run` or `ticktrail import`, "
            "or name another keyspace with TICKTRAIL_STORE__KEYSPACE.",
        ) from error
    if not rows:
        raise SchemaMismatch(
            what=f"The keyspace {keyspace} has no tables yet",
            why="another process is making them, or was ended while it did",
            next_step="Try again in a few seconds; else run any ticktrail command that writes, such as "
            "`ticktrail persist`.",
        )
    if (found := rows[0].version) != SCHEMA_VERSION:
        raise SchemaMismatch(
            what=f"The keyspace {keyspace} cannot be read by this version",
            why=f"its schema has version {found}, this program knows {SCHEMA_VERSION}",
            next_step="Upgrade ticktrail."
            if found > SCHEMA_VERSION
            else "Run any ticktrail command that writes, such as `ticktrail run`, to bring it up to date.",
        )
