"""Questions in SQL from the page, each in a process that may be ended.

A question can be wrong in ways that no check of its text finds: it may run for ever, or build a string that
fills the memory. So it runs in a child process whose address space is bounded, with DuckDB's own sandbox
(`Engine`), and a child that takes too long is killed. Children are kept for the next question.
"""

from __future__ import annotations

import multiprocessing
import resource
import signal
import threading
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import pyarrow as pa

from ticktrail.clock import NS_PER_SECOND, Clock
from ticktrail.config import StoreSettings
from ticktrail.errors import Overloaded, QueryError, TicktrailError
from ticktrail.query import Engine
from ticktrail.store import connect

__all__ = ["Answer", "Asking"]

# DuckDB's own, and with it everything that the process has mapped: libraries, Arrow, stacks of threads.
_DUCKDB_BYTES = 512 * 1024**2
_ADDRESS_SPACE_BYTES = 6 * 1024**3
# It passes through the server's own memory, several at once.
_ANSWER_BYTES_MAX = 128 * 1024**2
# How soon it is noticed that nobody waits for an answer; the answer itself is noticed at once.
_LOOK_S = 0.2
_START_NS_MAX = 60 * NS_PER_SECOND


class Answer(NamedTuple):
    """The rows of a question, and whether there were more."""

    rows: Any
    is_truncated: bool
    elapsed_ns: int


class Asking:
    """Answers questions, a few at a time; any thread may ask.

    Parameters
    ----------
    store
        How to reach the store.
    seconds_max
        A question that takes longer is ended.
    rows_max
        What an answer has at most.
    at_once_max
        How many questions run side by side; the next one waits for its turn.
    """

    def __init__(
        self, store: StoreSettings, clock: Clock, *, seconds_max: float, rows_max: int, at_once_max: int
    ) -> None:
        self.seconds_max = seconds_max
        self.rows_max = rows_max
        self._store = store
        self._clock = clock
        self._turns = threading.Semaphore(at_once_max)
        self._idle: list[_Child] = []
        self._lock = threading.Lock()

    def ask(
        self,
        text: str,
        rows_max: int | None = None,
        gone: threading.Event | None = None,
        *,
        scan_all: bool = False,
    ) -> Answer:
        """Run one statement.

        Parameters
        ----------
        gone
            Set it once nobody waits for the answer: the question is then ended.

        Raises
        ------
        QueryError
            It is wrong, not allowed, took too long, or needed too much memory.
        Overloaded
            Too many questions run already.
        TicktrailError
            The store cannot be read.
        """
        if not self._turns.acquire(timeout=self.seconds_max):
            raise Overloaded(
                what="Too many questions run at the moment",
                next_step="Ask again.",
                service="the SQL endpoint",
            )
        try:
            if gone is not None and gone.is_set():
                raise _nobody_waits()
            begun_ns = self._clock.monotonic_ns()
            child = self._take()
            bounded = (text, min(rows_max or self.rows_max, self.rows_max), scan_all)
            answer = child.ask(bounded, self.seconds_max, gone or threading.Event(), self._clock)
            with self._lock:
                self._idle.append(child)
        finally:
            self._turns.release()
        if isinstance(answer, TicktrailError):
            raise answer
        rows, is_truncated = answer
        return Answer(rows, is_truncated, self._clock.monotonic_ns() - begun_ns)

    def close(self) -> None:
        """End all children."""
        with self._lock:
            for child in self._idle:
                child.kill()
            self._idle.clear()

    def _take(self) -> _Child:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return _Child(self._store)


class _Child:
    def __init__(self, store: StoreSettings) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, store), name="sql", daemon=True)
        self._process.start()
        theirs.close()
        self._is_ready = False

    def ask(
        self, question: tuple[str, int, bool], seconds_max: float, gone: threading.Event, clock: Clock
    ) -> Any:
        try:
            self._wait_until_ready(gone, clock)
            deadline_ns = clock.monotonic_ns() + int(seconds_max * NS_PER_SECOND)
            self._pipe.send(question)
            while clock.monotonic_ns() < deadline_ns and not gone.is_set():
                if self._pipe.poll(_LOOK_S):
                    answer = self._pipe.recv()
                    return answer if isinstance(answer, TicktrailError) else (_table(answer[0]), answer[1])
        except (EOFError, OSError):
            self.kill()
            raise QueryError(
                what="The question needed too much memory, and was ended",
                why="its process died",
                next_step="Ask for less at once: fewer columns, a shorter time, an aggregate.",
            ) from None
        self.kill()
        if gone.is_set():
            raise _nobody_waits()
        raise QueryError(
            what=f"The question took longer than {seconds_max:g} s, and was ended",
            next_step="Bound it by symbol and time; `ticktrail sql` on the machine itself has no such limit.",
        )

    def _wait_until_ready(self, gone: threading.Event, clock: Clock) -> None:
        """Wait for the process to start: a busy machine takes seconds, and they are not the question's."""
        deadline_ns = clock.monotonic_ns() + _START_NS_MAX
        while not self._is_ready and not gone.is_set():
            if clock.monotonic_ns() > deadline_ns:
                self.kill()
                raise Overloaded(
                    what="The question could not be begun in time",
                    why="the machine is too busy to start a process",
                    next_step="Ask again.",
                    service="the SQL endpoint",
                )
            if self._pipe.poll(_LOOK_S):
                self._pipe.recv()
                self._is_ready = True

    def kill(self) -> None:
        self._process.kill()
        self._process.join()
        self._pipe.close()


def _nobody_waits() -> QueryError:
    return QueryError(what="The question was ended", why="nobody waited for its answer any more")


def _table(data: bytes) -> Any:
    with pa.ipc.open_stream(pa.py_buffer(data)) as stream:
        return stream.read_all()


def _serve(pipe: Connection, store: StoreSettings) -> None:
    """Answer questions until the other end is gone; the child's whole life."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the parent ends us
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE_BYTES, _ADDRESS_SPACE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    engine: Engine | None = None
    with suppress(EOFError, OSError):
        pipe.send(None)  # ready
        while True:
            text, rows_max, scan_all = pipe.recv()
            try:
                if engine is None:
                    engine = Engine(connect(store), sandbox_bytes=_DUCKDB_BYTES)
                pipe.send(_answer(engine, text, rows_max, scan_all=scan_all))
            except TicktrailError as error:
                pipe.send(error)
            except MemoryError:
                return  # what is left of this process is not to be trusted


def _answer(engine: Engine, text: str, rows_max: int, *, scan_all: bool) -> tuple[bytes, bool]:
    result = engine.sql(text, scan_all=scan_all)
    batches, count, size_bytes, is_truncated = [], 0, 0, False
    for batch in result.batches():
        size_bytes += batch.nbytes
        if size_bytes > _ANSWER_BYTES_MAX:
            raise QueryError(
                what=f"The answer has more than {_ANSWER_BYTES_MAX // 1024**2} MiB, and was not given",
                next_step="Ask for fewer rows or columns, or for shorter texts.",
            )
        if count + len(batch) > rows_max:
            batches.append(batch.slice(0, rows_max - count))
            is_truncated = True
            break
        batches.append(batch)
        count += len(batch)
    result.close()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, result.schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return sink.getvalue().to_pybytes(), is_truncated
