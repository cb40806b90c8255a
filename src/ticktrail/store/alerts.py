"""Alerts, the rules made at run time, and what evaluations know: few rows, written one by one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import Any, NamedTuple

from ticktrail.clock import NS_PER_US
from ticktrail.errors import WriteRejected
from ticktrail.model import Alert, column_names
from ticktrail.reference import date_of_day, day_of_date
from ticktrail.store.session import StoreSession

__all__ = ["EVERY_ALERT", "AlertStore", "StoredAlert", "StoredRule", "Wanted"]

_DAY_NS = 86_400_000_000_000
_ID = re.compile(r"([0-9a-f]{16})-[0-9a-f]{20}")
_DATASET, _FEED, _BOOK = "alerts", "*", "rules"
_FIELDS = ("recorded_ns", "value", "threshold", "is_quiet", "rule", "rule_kind", "feed", "symbol")
_VALUES = (*_FIELDS, "severity", "notify", "message")
_PIECE_BYTES = 256 * 1024
# Days without alerts are not asked for; this bounds those with few.
_DAYS_READ_MAX = 1_000
# Alerts that are being written.
_AT_ONCE = 64
_LAST_NS = (1 << 63) - 1


class Wanted(NamedTuple):
    """Which alerts are asked for; None: of all. Times are nanoseconds since 1970, the end not included.

    Those of a whole feed (symbol ``*``) concern each of its symbols.
    """

    feed: str | None = None
    symbol: str | None = None
    start_ns: int = 0
    end_ns: int = _LAST_NS

    def has(self, alert: Alert) -> bool:
        """Tell whether an alert is of the feed and the symbol."""
        return self.feed in {None, alert.feed} and (self.symbol is None or alert.symbol in {self.symbol, "*"})


EVERY_ALERT = Wanted()


class StoredAlert(NamedTuple):
    """An alert, and when somebody acknowledged it, nanoseconds since 1970."""

    alert: Alert
    acknowledged_ns: int | None


class StoredRule(NamedTuple):
    """What is stored of a rule.

    Parameters
    ----------
    rule
        JSON; None for a rule of a file, of which only the mute is stored.
    muted_until_ns
        Nanoseconds since 1970.
    """

    name: str
    rule: str | None
    muted_until_ns: int | None


class AlertStore:
    """Reads and writes them. May be used from several threads.

    Parameters
    ----------
    session
        An open session on a migrated keyspace.
    """

    def __init__(self, session: StoreSession) -> None:
        self._session = session
        self._prepared: dict[str, Any] = {}
        self._days: set[int] = set()

    def write(self, alerts: Sequence[Alert]) -> None:
        """Store alerts; again changes nothing.

        Raises
        ------
        TicktrailError
            The store did not take them all.
        """
        for day in {alert.ts_ns // _DAY_NS for alert in alerts} - self._days:
            # A list of days that lacks one would hide its alerts; so it is written first.
            self._run("INSERT INTO days (dataset, feed, day) VALUES (?, ?, ?)", _DATASET, _FEED, _date(day))
            self._days.add(day)
        rows = [
            (
                _date(alert.ts_ns // _DAY_NS),
                alert.ts_ns,
                alert.id,
                tuple(getattr(alert, name) for name in _VALUES),
                # Who writes the same alert again writes it with the same time; what was acknowledged stays.
                max(alert.recorded_ns // NS_PER_US, 1),
            )
            for alert in alerts
        ]
        insert = self._statement(
            "INSERT INTO alerts (day, ts_ns, id, alert) VALUES (?, ?, ?, ?) USING TIMESTAMP ?"
        )
        self._session.execute_all(insert, rows, _AT_ONCE)

    def read(self, limit: int, before: str | None = None, wanted: Wanted = EVERY_ALERT) -> list[StoredAlert]:
        """Read the newest alerts.

        Parameters
        ----------
        before
            Only those that stand before the one of this id, in the order of their times and ids.

        Raises
        ------
        TicktrailError
            The store cannot be read.
        """
        found: list[StoredAlert] = []
        end = (wanted.end_ns, "")
        if before is not None:
            end = min(end, (_time_of(before), before))
        days = [day for day in self.days() if wanted.start_ns // _DAY_NS <= day <= end[0] // _DAY_NS]
        for day in days[:_DAYS_READ_MAX]:
            while len(found) < limit:
                # Alerts of one symbol are few among those of a day; so a day is read page by page.
                span = "AND (ts_ns, id) >= (?, ?) AND (ts_ns, id) < (?, ?) LIMIT ?"
                page = self._read(f"{_SELECT} {span}", day, wanted.start_ns, "", *end, limit)
                found += [each for each in page if wanted.has(each.alert)]
                if len(page) < limit:
                    break
                end = (page[-1].alert.ts_ns, page[-1].alert.id)
        return found[:limit]

    def read_one(self, id_: str) -> StoredAlert | None:
        """Read the alert of an id; None where there is none. Raises as `read`."""
        ts_ns = _time_of(id_)
        found = self._read(f"{_SELECT} AND ts_ns = ? AND id = ?", ts_ns // _DAY_NS, ts_ns, id_)
        return found[0] if found else None

    def read_day(self, day: int) -> list[StoredAlert]:
        """Read all alerts of a day in UTC (days since 1970), the newest first. Raises as `read`."""
        return self._read(_SELECT, day)

    def days(self) -> list[int]:
        """Name the days in UTC that have alerts, in days since 1970, the newest first. Raises as `read`."""
        rows = self._run("SELECT day FROM days WHERE dataset = ? AND feed = ?", _DATASET, _FEED)
        return sorted((day_of_date(row.day.date()) for row in rows), reverse=True)

    def acknowledge(self, id_: str, now_ns: int) -> bool:
        """Note that somebody has seen an alert; False where there is none of that id."""
        if self.read_one(id_) is None:
            return False
        ts_ns = _time_of(id_)
        self._run(
            "UPDATE alerts SET acknowledged_ns = ? WHERE day = ? AND ts_ns = ? AND id = ?",
            now_ns,
            _date(ts_ns // _DAY_NS),
            ts_ns,
            id_,
        )
        return True

    def rules(self) -> list[StoredRule]:
        """Read everything that is stored of rules."""
        rows = self._run("SELECT name, rule, muted_until_ns FROM alert_rules WHERE book = ?", _BOOK)
        return [StoredRule(row.name, row.rule, row.muted_until_ns) for row in rows]

    def put_rule(self, name: str, rule: str, before: str | None) -> bool:
        """Store a rule if what is stored of that name is still `before`; tell whether it was."""
        (row,) = self._run(
            "UPDATE alert_rules SET rule = ? WHERE book = ? AND name = ? IF rule = ?",
            rule,
            _BOOK,
            name,
            before,
        )
        return bool(row.applied)

    def drop_rule(self, name: str) -> None:
        """Forget a rule."""
        # Conditional like the writes: the two kinds must not be mixed, as they have other clocks.
        self._run("DELETE FROM alert_rules WHERE book = ? AND name = ? IF EXISTS", _BOOK, name)

    def mute_rule(self, name: str, until_ns: int | None) -> None:
        """Store until when a rule notifies nobody."""
        self._run(
            "UPDATE alert_rules SET muted_until_ns = ? WHERE book = ? AND name = ? IF muted_until_ns != ?",
            until_ns,
            _BOOK,
            name,
            -1,
        )

    def write_state(self, group: str, topic: str, partition: int, offset: int, state: bytes) -> None:
        """Store what an evaluation knows before an offset."""
        pieces = [state[at : at + _PIECE_BYTES] for at in range(0, len(state), _PIECE_BYTES)]
        for number, content in enumerate(pieces):
            self._run(
                "INSERT INTO alert_states (consumer_group, topic, partition, next_offset, piece, pieces,"
                " content) VALUES (?, ?, ?, ?, ?, ?, ?)",
                group,
                topic,
                partition,
                offset,
                number,
                len(pieces),
                content,
            )

    def read_state(self, group: str, topic: str, partition: int, offset: int) -> bytes | None:
        """Read what `write_state` stored; None where it is not there, or not whole."""
        rows = self._run(
            "SELECT piece, pieces, content FROM alert_states"
            " WHERE consumer_group = ? AND topic = ? AND partition = ? AND next_offset = ?",
            group,
            topic,
            partition,
            offset,
        )
        if not rows or len(rows) != rows[0].pieces:
            return None
        return b"".join(row.content for row in rows)

    def drop_states(self, group: str, topic: str, partition: int, before: int) -> None:
        """Forget what was stored for earlier offsets than the one that is committed."""
        self._run(
            "DELETE FROM alert_states"
            " WHERE consumer_group = ? AND topic = ? AND partition = ? AND next_offset < ?",
            group,
            topic,
            partition,
            before,
        )

    def _read(self, statement: str, day: int, *values: Any) -> list[StoredAlert]:
        return [_stored(row) for row in self._run(statement, _date(day), *values)]

    def _run(self, statement: str, *values: Any) -> list[Any]:
        return self._session.execute(self._statement(statement), values)

    def _statement(self, statement: str) -> Any:
        prepared = self._prepared.get(statement)
        if prepared is None:
            prepared = self._prepared[statement] = self._session.prepare(statement)
        return prepared


_SELECT = "SELECT ts_ns, id, alert, acknowledged_ns FROM alerts WHERE day = ?"


def _stored(row: Any) -> StoredAlert:
    values = {name: getattr(row.alert, name) for name in _VALUES}
    assert {*values, "id", "ts_ns"} == set(column_names(Alert)), "004_alerts.cql and Alert differ"
    return StoredAlert(Alert(id=row.id, ts_ns=row.ts_ns, **values), row.acknowledged_ns)


def _date(day: int) -> date:
    try:
        return date_of_day(day)
    except OverflowError:
        raise WriteRejected(what="An alert cannot be stored", why="its time is no date") from None


def _time_of(id_: str) -> int:
    """Read the time out of an alert's id; of what is no id, a time at which there is nothing."""
    found = _ID.fullmatch(id_)
    return min(int(found[1], 16), _LAST_NS) if found else 0
