"""The newest alerts, for those who look at them live."""

from __future__ import annotations

import msgspec

from ticktrail.dashboard.answers import AlertRow
from ticktrail.model import Alert, Columns

__all__ = ["AlertTape", "alert_row"]

_KEPT_MAX = 1_000


class AlertTape:
    """Keeps what came last, each id once. Used by one thread.

    Attributes
    ----------
    serial
        Of what came last; who has seen everything so far asks for what is after it.
    """

    def __init__(self) -> None:
        self.serial = 0
        # In the order of their serials; the first goes first.
        self._rows: dict[str, tuple[int, AlertRow]] = {}

    def add(self, alerts: Columns[Alert]) -> None:
        """Keep alerts; the log may have one twice, after a restart of their evaluation."""
        for alert in alerts.to_records():
            if alert.id not in self._rows:
                self._put(alert_row(alert, None))
        while len(self._rows) > _KEPT_MAX:
            del self._rows[next(iter(self._rows))]

    def acknowledge(self, id_: str, now_ns: int) -> None:
        """Note that somebody has seen an alert, so that others learn of it."""
        if (found := self._rows.pop(id_, None)) is not None:
            self._put({**found[1], "acknowledged_ns": now_ns})

    def after(self, serial: int, count_max: int) -> tuple[list[AlertRow], int]:
        """Give the newest alerts after a serial, the newest first, and how many are left out."""
        found = []
        for number, row in reversed(self._rows.values()):
            if number <= serial:
                break
            found.append(row)
        return found[:count_max], max(len(found) - count_max, 0)

    def _put(self, row: AlertRow) -> None:
        self.serial += 1
        self._rows[row["id"]] = self.serial, row


def alert_row(alert: Alert, acknowledged_ns: int | None) -> AlertRow:
    """Give an alert as the API has it."""
    row: AlertRow = msgspec.to_builtins(alert)
    row["is_quiet"] = bool(alert.is_quiet)
    row["acknowledged_ns"] = acknowledged_ns
    return row
