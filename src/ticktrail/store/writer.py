"""Records into Cassandra, many per request.

Guarantee: `Write.done` is called once for every `submit`, with no error only after the server acknowledged
every row of it at the configured consistency. Rows are addressed by their identity and carry their own
write times, so any write may be repeated, in any order, without effect.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from cassandra.cluster import NoHostAvailable, ResponseFuture
from cassandra.connection import ConnectionBusy
from cassandra.policies import FallthroughRetryPolicy
from cassandra.protocol import BatchMessage
from cassandra.query import BatchStatement

from ticktrail.errors import Overloaded, TicktrailError, WriteRejected
from ticktrail.model import Columns
from ticktrail.store.catalogue import Catalogue
from ticktrail.store.frames import BATCH_ROWS_MAX, batch_body, encode_rows
from ticktrail.store.migrate import slot_minutes
from ticktrail.store.session import StoreSession, translated
from ticktrail.store.tables import LATEST_QUOTES, LATEST_TRADES, TABLE_OF, Table, misfit_of

__all__ = ["Done", "Writer"]

# One partition's rows are one mutation, for which the server's limit is half a commit-log segment (16 MiB);
# far smaller ones spread better over its threads.
_PARTITION_BATCH_BYTES_MAX = 256 * 1024
# The server measures mutations, not frames; a row of ours was seen to weigh up to 1.1 times its frame's
# bytes there, so batches of several partitions keep this share of the limit.
_BATCH_FILL = 0.7

# How long a request waits for room in a full socket.
_BUSY_PAUSE_S = 0.002
_BUSY_TRIES_MAX = 5_000

# Called on a thread of the driver; must return at once and never raise.
Done = Callable[[TicktrailError | None], None]


class _Batch(NamedTuple):
    """Consecutive rows of a packed write."""

    first: int
    last: int


class _Frame(BatchMessage):  # type: ignore[misc]
    """A BATCH request whose body is ready."""

    def __init__(self, body: bytes) -> None:
        super().__init__(None, (), None)
        self.body = body

    def send_body(self, f: Any, protocol_version: int) -> None:
        del protocol_version
        f.write(self.body)


class _Outcome:
    """Collects the answers to the requests of one `submit`; reports once when the last has come."""

    def __init__(self, expected: int, done: Done) -> None:
        self._lock = threading.Lock()
        self._open = set(range(expected))
        self._error: TicktrailError | None = None
        self._done = done

    def answered(self, number: int, error: TicktrailError | None) -> bool:
        """Note a request's answer; False if there was one already.

        The driver gives two where a request that timed out is answered after all (by its code, when it
        had to prepare the statement again). Counting both would report rows that are still open.
        """
        with self._lock:
            if number not in self._open:
                return False
            self._open.remove(number)
            self._error = self._error or error
            last = not self._open
        if last:
            self._done(self._error)
        return True


class Writer:
    """Writes records of any kind. One thread submits; answers come on the driver's threads.

    Parameters
    ----------
    session
        A migrated session.
    requests_in_flight_max
        `submit` blocks while that many requests are unanswered.
    """

    def __init__(self, session: StoreSession, requests_in_flight_max: int) -> None:
        self._session = session
        self._slots = slot_minutes(session)
        self._prepared = {
            (table.name, table.value): session.prepare(table.insert)
            for table in (*TABLE_OF.values(), LATEST_TRADES, LATEST_QUOTES)
        }
        self._catalogue = Catalogue(session)
        self._pause = threading.Event()  # never set: its wait is a pause
        self._free = threading.BoundedSemaphore(requests_in_flight_max)
        limit_bytes = int(session.limits.batch_bytes_max * _BATCH_FILL)
        self._batch_bytes_max = min(limit_bytes, _PARTITION_BATCH_BYTES_MAX)

    def submit(
        self, table: Table, columns: Columns[Any], write_ts_us: npt.NDArray[np.int64], done: Done
    ) -> None:
        """Send records; blocks only while too many requests are in flight.

        Parameters
        ----------
        table
            Where they go.
        columns
            n > 0 records of ``table.record``.
        write_ts_us
            Shape ``(n,)``: CQL write times, microseconds since 1970. The latest one of a row wins.
        done
            See `Done`.

        Raises
        ------
        WriteRejected
            Some can have no key; nothing was sent and `done` is not called.
        TicktrailError
            A partition could not be entered in the catalogue; likewise.
        """
        self.send(self.build(table, columns, write_ts_us), done)

    def build(self, table: Table, columns: Columns[Any], write_ts_us: npt.NDArray[np.int64]) -> list[bytes]:
        """Enter the partitions in the catalogue, and make the bodies of the requests; see `submit`."""
        if misfit := misfit_of(columns):
            raise WriteRejected(what=f"Records cannot be stored in the table {table.name}", why=misfit)
        keys = table.keys(columns, self._slots.get(table.name, 1440))
        order, starts = _by_partition(table, keys)
        columns = columns.take(order)
        keys = {name: column[order] for name, column in keys.items()}
        self._catalogue.enter(table, {name: column[starts] for name, column in keys.items()})
        prepared = self._prepared[table.name, table.value]
        rows = encode_rows(table, prepared.query_id, keys, columns, write_ts_us[order])
        whole, offsets = rows.data.tobytes(), rows.offsets
        return [
            batch_body(
                whole[offsets[batch.first] : offsets[batch.last]],
                batch.last - batch.first,
                self._session.consistency,
                self._session.protocol_version,
            )
            for batch in _cut(offsets, starts, self._batch_bytes_max)
        ]

    def send(self, frames: Sequence[bytes], done: Done) -> None:
        """Send requests made by `build`; blocks only while too many are in flight."""
        outcome = _Outcome(len(frames), done)
        for number, frame in enumerate(frames):
            self._send(number, frame, outcome)

    def forget(self) -> None:
        """Trust in nothing that was acknowledged before: enter all partitions in the catalogue anew."""
        self._catalogue.forget()

    def write(self, table: Table, columns: Columns[Any], write_ts_us: npt.NDArray[np.int64]) -> None:
        """Send records and wait until all are acknowledged; parameters as for `submit`.

        Raises
        ------
        TicktrailError
            Some were not. Writing them again is safe.
        """
        answered: queue.SimpleQueue[TicktrailError | None] = queue.SimpleQueue()
        self.submit(table, columns, write_ts_us, answered.put)
        error = answered.get()
        if error is not None:
            raise error

    def _send(self, number: int, body: bytes, outcome: _Outcome) -> None:
        self._free.acquire()
        for _ in range(_BUSY_TRIES_MAX):
            if self._has_room() and self._is_sent(number, body, outcome):
                return
            # The server reads slower than we write, and the socket is full: that is no failure.
            self._pause.wait(_BUSY_PAUSE_S)
        self._answered(outcome, number, _too_slow(self._session))

    def _has_room(self) -> bool:
        # Asked first because the driver never takes back the stream id of a request that it found no room
        # for; `_is_sent` catches the few for which the room went in between.
        pools = self._session.driver.get_pools()
        return all(one._socket_writable for pool in pools for one in pool.get_connections())

    def _is_sent(self, number: int, body: bytes, outcome: _Outcome) -> bool:
        """Send a request; False where the socket cannot take it now."""
        session = self._session
        is_sent = True
        sender = threading.get_ident()

        def failed(error: Exception) -> None:
            nonlocal is_sent
            # On another thread, where the driver sends it again after preparing the statement anew, nobody
            # waits for this word any more.
            if _is_busy(error) and threading.get_ident() == sender:
                is_sent = False
            else:
                self._answered(outcome, number, translated(error, session.address))

        frame = _Frame(body)
        future = ResponseFuture(
            session.driver,
            frame,
            BatchStatement(consistency_level=session.consistency),
            session.settings.timeout_s,
            retry_policy=FallthroughRetryPolicy(),
        )

        def stored(rows: object) -> None:
            del rows
            # The driver's futures refer to themselves, and would keep the bytes until the next collection.
            frame.body = b""
            self._answered(outcome, number, None)

        future.add_callbacks(stored, failed)
        future.send_request()
        return is_sent

    def _answered(self, outcome: _Outcome, number: int, error: TicktrailError | None) -> None:
        if outcome.answered(number, error):
            self._free.release()


def _is_busy(error: Exception) -> bool:
    return isinstance(error, NoHostAvailable) and any(
        isinstance(cause, ConnectionBusy) for cause in error.errors.values()
    )


def _too_slow(session: StoreSession) -> Overloaded:
    return Overloaded(
        what=f"Cassandra at {session.address} does not take our requests",
        why=f"the connection was full for {_BUSY_TRIES_MAX * _BUSY_PAUSE_S:.0f} s",
        next_step="It is tried again. See whether the server is short of processor or disk.",
        service="Cassandra",
    )


def _by_partition(table: Table, keys: dict[str, Any]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Order rows by partition; give that order and the first row of each partition in it."""
    names = [name for name in table.partition if (keys[name] != keys[name][0]).any()]
    count = len(next(iter(keys.values())))
    if not names:
        return np.arange(count), np.zeros(1, dtype=np.int64)
    order = np.lexsort([keys[name] for name in reversed(names)])
    changed = np.zeros(count, dtype=np.bool_)
    changed[0] = True
    for name in names:
        column = keys[name][order]
        changed[1:] |= column[1:] != column[:-1]
    return order, np.flatnonzero(changed)


def _cut(
    offsets: npt.NDArray[np.int64], starts: npt.NDArray[np.int64], batch_bytes_max: int
) -> Iterator[_Batch]:
    """Cut rows into batches: large partitions by themselves, small ones together below the limit."""
    ends = np.append(starts[1:], len(offsets) - 1).tolist()
    open_first: int | None = None
    for first, last in zip(starts.tolist(), ends, strict=True):
        if offsets[last] - offsets[first] > batch_bytes_max:
            if open_first is not None:
                yield _Batch(open_first, first)
                open_first = None
            yield from _cut_partition(offsets, first, last)
            continue
        if open_first is None:
            open_first = first
        elif offsets[last] - offsets[open_first] > batch_bytes_max or last - open_first > BATCH_ROWS_MAX:
            yield _Batch(open_first, first)
            open_first = first
    if open_first is not None:
        yield _Batch(open_first, len(offsets) - 1)


def _cut_partition(offsets: npt.NDArray[np.int64], first: int, last: int) -> Iterator[_Batch]:
    while first < last:
        fits = int(np.searchsorted(offsets, offsets[first] + _PARTITION_BATCH_BYTES_MAX, side="right")) - 1
        end = min(max(fits, first + 1), last, first + BATCH_ROWS_MAX)
        yield _Batch(first, end)
        first = end
