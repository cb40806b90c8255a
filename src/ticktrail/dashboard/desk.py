"""Rules and alerts for the page: the book of rules over the page's own session, and tests against history."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ticktrail.alerts.book import RuleBook, scopes_of
from ticktrail.alerts.replay import Tested, would_fire
from ticktrail.alerts.rules import parse_rule
from ticktrail.alerts.volumes import StoredVolumes
from ticktrail.clock import NS_PER_SECOND, Clock
from ticktrail.config import AlertsSettings
from ticktrail.errors import Overloaded, QueryError, UsageError
from ticktrail.store import AlertStore, Reader, StoreSession

__all__ = ["AlertDesk"]

_DAY_NS = 86_400 * NS_PER_SECOND
# Ticks of a symbol are in memory together.
_TICK_DAYS_MAX, _BAR_DAYS_MAX = 8, 400


class AlertDesk:
    """What the page asks of alerts; all of it waits for the store, and so is for threads.

    Parameters
    ----------
    session
        Gives the session of a migrated store; may connect, and raise a `TicktrailError`.
    seconds_max
        A test that takes longer is ended.
    """

    def __init__(
        self,
        settings: AlertsSettings,
        clock: Clock,
        session: Callable[[], StoreSession],
        seconds_max: float,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._session = session
        self._seconds_max = seconds_max
        self._lock = threading.Lock()
        self._testing = threading.Lock()
        self._book: RuleBook | None = None

    def book(self) -> RuleBook:
        """Give the book of rules.

        Raises
        ------
        TicktrailError
            The store cannot be reached, or a rule of the file is wrong.
        """
        session = self._session()
        with self._lock:
            if self._book is None:
                self._book = RuleBook(AlertStore(session), self._settings, self._clock)
            return self._book

    def test(self, raw: Mapping[str, Any], span_ns: tuple[int, int]) -> Tested:
        """Tell when a rule, as it came from a page, would have fired.

        Raises
        ------
        UsageError
            It is no rule, or the span is too long.
        Overloaded
            Another test is under way.
        QueryError
            It took too long.
        TicktrailError
            The store cannot be read.
        """
        rule = msgspec.structs.replace(
            parse_rule(raw, self._settings), active_from_ns=0, is_enabled=True, muted_until_ns=None
        )
        (scope,) = scopes_of([rule], self._settings)
        days_max = _BAR_DAYS_MAX if scope.kind.source == "bars" else _TICK_DAYS_MAX
        if span_ns[1] - span_ns[0] > days_max * _DAY_NS:
            raise UsageError(
                what=f"Rules of the kind {rule.kind} are tested over {days_max} days at most",
                next_step="Choose a shorter span; `ticktrail alerts test` has no such limit.",
            )
        if not self._testing.acquire(blocking=False):
            raise Overloaded(
                what="Another test is under way", next_step="Try again in a moment.", service="the rule test"
            )
        try:
            reader = Reader(self._session())
            deadline_ns = self._clock.monotonic_ns() + int(self._seconds_max * NS_PER_SECOND)
            return would_fire(scope, reader, StoredVolumes(reader), span_ns, lambda: self._check(deadline_ns))
        finally:
            self._testing.release()

    def _check(self, deadline_ns: int) -> None:
        if self._clock.monotonic_ns() > deadline_ns:
            raise QueryError(
                what=f"The test took longer than {self._seconds_max:g} s, and was ended",
                next_step="Choose fewer symbols or less time; `ticktrail alerts test` has no such limit.",
            )
