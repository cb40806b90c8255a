"""Everything that requests share: the live state, the store, the processes that answer SQL."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar, cast

from ticktrail.clock import NS_PER_MS, NS_PER_SECOND, Clock
from ticktrail.config import Settings
from ticktrail.dashboard import history
from ticktrail.dashboard.answers import FeedInfo, Pipeline, Stage
from ticktrail.dashboard.asking import Answer, Asking
from ticktrail.dashboard.desk import AlertDesk
from ticktrail.dashboard.hub import TURN_MS, Hub
from ticktrail.dashboard.live import LiveReader
from ticktrail.errors import TicktrailError
from ticktrail.query import Engine
from ticktrail.reference import US_EQUITIES, Market
from ticktrail.store import StoreSession, connect, migrate
from ticktrail.telemetry import get_logger, read_snapshots, run_dir
from ticktrail.telemetry.stages import StageHistory, StageRow, partition_lags, with_totals

__all__ = ["Service"]

_log = get_logger("serve")

T = TypeVar("T")

# Questions of the page's own; more wait for their turn.
_THREADS = 4
_LOOK_S = 1.0
_LOOK_AT_STORE_S = 5.0
# Questions in SQL, ticks and trials of rules that run or wait; further ones wait outside.
_QUESTIONS = 16
_OPENING_EVERY_S = 2.0


class Service:
    """Lives as long as the server. Made by the event loop's thread.

    Attributes
    ----------
    hub
        The live state.
    asking
        Questions in SQL.
    desk
        Rules and alerts.
    clock
        For all.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.clock = clock
        self.hub = Hub()
        serve = settings.serve
        self.asking = Asking(
            settings.store,
            clock,
            seconds_max=serve.sql_seconds_max,
            rows_max=serve.sql_rows_max,
            at_once_max=serve.sql_at_once_max,
        )
        self.desk = AlertDesk(settings.alerts, clock, self.session, serve.sql_seconds_max)
        self._settings = settings
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="history")
        self._questions = ThreadPoolExecutor(_QUESTIONS, thread_name_prefix="sql")
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._session: StoreSession | None = None
        self._store: dict[str, Any] = {"state": "unknown", "open_gaps": None, "ledger": None}
        self._live: LiveReader | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.hub.pipeline = self._described([], [])

    async def start(self) -> None:
        """Begin to follow the market."""
        self._live = LiveReader(self._settings.kafka, self.hub, asyncio.get_running_loop(), self.clock)
        self._live.start()
        self._tasks = [
            asyncio.create_task(work())
            for work in (self._turn, self._look_at_stages, self._look_at_store, self._open_days)
        ]

    async def stop(self) -> None:
        """End everything."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._live is not None:
            self._live.stop()
        await asyncio.to_thread(self.asking.close)
        for threads in (self._threads, self._questions):
            threads.shutdown(wait=False, cancel_futures=True)
        if self._engine is not None:
            self._engine.close()
        if self._session is not None:
            self._session.close()

    def session(self) -> StoreSession:
        """Give the session of the store; connects when first asked. For threads.

        Raises
        ------
        TicktrailError
            The store cannot be reached.
        """
        with self._lock:
            if self._session is None:
                session = connect(self._settings.store)
                try:
                    migrate(session)
                except BaseException:
                    session.close()
                    raise
                self._session = session
            return self._session

    def engine(self) -> Engine:
        """Give the way to what is stored. For threads; raises as `session`."""
        session = self.session()
        with self._lock:
            if self._engine is None:
                self._engine = Engine(session)
            return self._engine

    async def ask(self, question: Callable[[], T], *, is_long: bool = False) -> T:
        """Run what waits for the store in a thread; what may take long never keeps charts waiting."""
        threads = self._questions if is_long else self._threads
        return await asyncio.get_running_loop().run_in_executor(threads, question)

    async def ask_sql(
        self, text: str, rows_max: int | None, gone: threading.Event, *, scan_all: bool
    ) -> Answer:
        """Answer a question in SQL; set `gone` once nobody waits for it. Raises as `Asking.ask`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._questions, lambda: self.asking.ask(text, rows_max, gone, scan_all=scan_all)
        )

    def feeds(self) -> list[FeedInfo]:
        """Tell which feeds have been seen."""
        board = self.hub.board
        names = sorted({board.key(code)[0] for code in range(len(board))})
        return [{"feed": name, "zone": self.market_of(name).zone} for name in names]

    @property
    def notifiers(self) -> list[str]:
        """The names of those whom rules may notify."""
        return [target.name for target in self._settings.alerts.targets]

    @property
    def watchlists(self) -> list[str]:
        """The names of the settings' lists of symbols, as rules write them."""
        return [f"@{watchlist.name}" for watchlist in self._settings.alerts.watchlists]

    def market_of(self, feed: str) -> Market:
        """Give a feed's market."""
        del feed
        return US_EQUITIES

    @property
    def trouble(self) -> TicktrailError | None:
        """Why nothing comes from Kafka."""
        return None if self._live is None else self._live.trouble

    async def _turn(self) -> None:
        next_ns = self.clock.monotonic_ns()
        while True:
            # By the clock and not after each other, or a turn would take as much longer as its work does.
            next_ns = max(next_ns + TURN_MS * NS_PER_MS, self.clock.monotonic_ns())
            await self.clock.sleep((next_ns - self.clock.monotonic_ns()) / NS_PER_SECOND)
            self.hub.next_turn()

    async def _look_at_stages(self) -> None:
        stages = StageHistory()
        directory = run_dir(Path(self._settings.stack.data_dir))
        while True:
            readings = await asyncio.to_thread(read_snapshots, directory, self.clock)
            rows = with_totals(stages.rows(readings))
            self.hub.pipeline = self._described(rows, partition_lags(readings))
            await self.clock.sleep(_LOOK_S)

    def _described(self, rows: list[StageRow], lags: list[Any]) -> Pipeline:
        trouble = self.trouble
        return {
            "stages": [cast("Stage", row.to_dict()) for row in rows],
            "lags": lags,
            "servers": [
                {
                    "name": "kafka",
                    "state": "up" if trouble is None else "away",
                    "address": self._settings.kafka.bootstrap_servers,
                },
                {
                    "name": "cassandra",
                    "state": self._store["state"],
                    "address": f"{self._settings.store.hosts}:{self._settings.store.port}",
                },
            ],
            "open_gaps": self._store["open_gaps"],
            "ledger": self._store["ledger"],
            "dead_letters": sum(row.dead_letters or 0 for row in rows if not row.is_total),
            "spool_bytes": sum(row.spool_bytes or 0 for row in rows if not row.is_total),
            "clients": self.hub.clients,
            "trouble": None if trouble is None else str(trouble),
        }

    async def _look_at_store(self) -> None:
        while True:
            try:
                open_gaps, ledger = await self.ask(lambda: history.ledger_state(self.engine()))
                self._store = {"state": "up", "open_gaps": open_gaps, "ledger": ledger}
            except TicktrailError:
                # The page shows it; each request that needs the store tells why.
                self._store = {"state": "away", "open_gaps": None, "ledger": None}
            await self.clock.sleep(_LOOK_AT_STORE_S)

    async def _open_days(self) -> None:
        """Read what the day held before the live window; and again what revisions have changed since."""
        opened: dict[str, int] = {}
        while True:
            await self.clock.sleep(_OPENING_EVERY_S)
            if self._live is None or not self._live.has_caught_up.is_set():
                continue
            board = self.hub.board
            days = {board.key(code)[0]: board.day_of(code) for code in range(len(board))}
            stale = {board.key(code)[0] for code in board.stale}
            board.stale.clear()
            for feed, day in days.items():
                if day is None or (opened.get(feed) == day and feed not in stale):
                    continue
                try:
                    await self._open_day(feed, day)
                    opened[feed] = day
                except TicktrailError as error:
                    _log.warning("serve.day_not_opened", feed=feed, error=str(error))

    async def _open_day(self, feed: str, day: int) -> None:
        board = self.hub.board
        code = next(code for code in range(len(board)) if board.key(code)[0] == feed)
        day_from_ns = board.day_from_ns(code)
        until_ns = board.minutes.first_ns(self.clock.now_ns())
        if until_ns > day_from_ns:
            base = await self.ask(lambda: history.day_so_far(self.engine(), feed, (day_from_ns, until_ns)))
            for symbol, row in base.items():
                board.open_day(feed, symbol, day, row)
        closes = await self.ask(lambda: history.previous_closes(self.engine(), feed, day_from_ns))
        for symbol, close in closes.items():
            board.set_previous_close(feed, symbol, close)
        _log.info("serve.day_opened", feed=feed, symbols=len(closes))
