"""The rules as they are now, asked for on a thread of its own, so that no evaluation waits for the answer."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

import msgspec

from ticktrail.alerts.book import RuleBook
from ticktrail.alerts.rules import Scope
from ticktrail.clock import Clock
from ticktrail.errors import TicktrailError
from ticktrail.telemetry import get_logger

__all__ = ["RuleWatch"]

_log = get_logger("alerts")

_ASK_EVERY_S = 0.5


class RuleWatch:
    """Reads the book twice a second.

    Raises
    ------
    TicktrailError
        The book cannot be read: nothing is evaluated before the rules are known.
    """

    def __init__(self, book: RuleBook, clock: Clock) -> None:
        self._book = book
        self._clock = clock
        self._closed = threading.Event()
        self._version = 0
        self._muted: Mapping[str, int] = {}
        self._scopes: Sequence[Scope] = ()
        self._decisive: list[object] = []
        self._is_quiet = False
        self.refresh()
        self._thread = threading.Thread(target=self._run, name="rule-watch", daemon=True)
        self._thread.start()

    @property
    def version(self) -> int:
        """Another number whenever the rules have changed."""
        return self._version

    @property
    def scopes(self) -> Sequence[Scope]:
        """All rules."""
        return self._scopes

    def is_muted(self, rule: str, now_ns: int) -> bool:
        """Tell whether a rule notifies nobody now."""
        return now_ns < self._muted.get(rule, 0)

    def close(self) -> None:
        """Stop asking."""
        self._closed.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._clock.wait(self._closed, _ASK_EVERY_S):
            try:
                self.refresh()
            except TicktrailError as error:
                # The rules that are known go on.
                if not self._is_quiet:
                    _log.warning("alerts.rules_not_read", error=str(error))
                self._is_quiet = True
            else:
                self._is_quiet = False

    def refresh(self) -> None:
        """Ask now; raises where the book cannot be read."""
        scopes = self._book.scopes()
        self._muted = {
            scope.rule.name: scope.rule.muted_until_ns
            for scope in scopes
            if scope.rule.muted_until_ns is not None
        }
        decisive: list[object] = [
            msgspec.structs.replace(scope.rule, muted_until_ns=None) for scope in scopes
        ]
        if decisive != self._decisive:
            self._decisive, self._scopes = decisive, scopes
            self._version += 1
