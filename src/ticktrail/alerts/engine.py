"""Records of one Kafka partition to alerts.

**Decisions** follow from the log alone. A record is judged at its own place in it, against what stands before
it in the same partition; never by how the log was cut into polls, and the wall clock is never asked. A rule
that was made while the stage ran holds from the first record that Kafka took after the rule's
`active_from_ns`, which is in the log too. So who reads the same log with the same rules from the same state
finds the same alerts, with the same ids and the same content.

**Restart.** `state()` is everything that is known at a place in the log. The runner commits that place once
the state, and all alerts given out before it, are acknowledged and proven to be on disk. After a crash the
last committed state is restored and the log read on from its place: what had been given out after it is given
out again, the same, and replaces itself.

Not of the log: the usual volumes of `volume_spike`, which are read from stored bars of earlier days.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np

from ticktrail.alerts.bar_values import Usual
from ticktrail.alerts.events import EventRules
from ticktrail.alerts.legs import legs_of
from ticktrail.alerts.pairs import Leg
from ticktrail.alerts.rules import Scope
from ticktrail.alerts.scan import Ints
from ticktrail.alerts.tracks import Found, Silence, Track, TrackState, make_values
from ticktrail.bars.engine import us_equities
from ticktrail.clock import NS_PER_MS
from ticktrail.codec import Decoded, decode_columns
from ticktrail.errors import CodecError
from ticktrail.model import Alert, Array, Bar, Columns, Gap, Heartbeat, Quote, Record, Status, Trade
from ticktrail.reference import Market

__all__ = ["SOURCES", "Evaluator"]

SOURCES = ("trades", "quotes", "status", "gaps", "bars")
# Bounds the tables of a scan: symbols times the records of the busiest.
_CHUNK = 4_096
_VERSION = 1
_NEVER_NS = -(1 << 62)


class Evaluator:
    """The alerts of one partition. Not safe for use by several threads.

    Parameters
    ----------
    source
        One of `SOURCES`: which topic the partition belongs to.
    usual
        For `volume_spike`.
    market_of
        Gives the market of a feed.
    """

    def __init__(self, source: str, usual: Usual, market_of: Callable[[str], Market] = us_equities) -> None:
        self.source = source
        self.rejected = 0
        self._usual = usual
        self._market_of = market_of
        self._active: list[Scope] = []
        self._waiting: list[Scope] = []
        self._tracks: dict[str, Track] = {}
        self._silence: Silence | None = None
        self._events = EventRules()
        self._restored: dict[str, TrackState] = {}
        self._append_ns = _NEVER_NS
        self._suppressed = 0
        self._build([])

    @property
    def suppressed(self) -> int:
        """How often a rule came true within its cool-down."""
        live = [track.pairs.suppressed for track in self._tracks.values()]
        return self._suppressed + self._events.suppressed + sum(live)

    def set_rules(self, scopes: Sequence[Scope]) -> None:
        """Take other rules; those that began later than the log has come wait for it.

        What is known of rules that stay as they are is kept.
        """
        ours = [scope for scope in scopes if scope.kind.source == self.source and scope.rule.is_enabled]
        ours.sort(key=lambda scope: scope.rule.name)
        self._waiting = [scope for scope in ours if scope.rule.active_from_ns > max(self._append_ns, 0)]
        self._build([scope for scope in ours if scope.rule.active_from_ns <= max(self._append_ns, 0)])

    def read(self, values: Sequence[bytes], append_ms: Ints) -> list[Alert]:
        """Take consecutive values of the partition, with the log's times; give the alerts in their order."""
        append_ns = append_ms * NS_PER_MS
        found: list[Alert] = []
        if not self._active and not self._waiting:
            # Nobody asks: not even what the values are. A rule that comes later begins anew.
            self._append_ns = max(self._append_ns, int(append_ns[-1]))
            return found
        for first, last in self._parts(append_ns):
            found += self._read(decode_columns(values[first:last]), append_ns[first:last])
        return found

    def read_decoded(self, decoded: Decoded, append_ns: Ints) -> list[Alert]:
        """Take records, as `read` takes values; rules that wait go on waiting until its end."""
        found = self._read(decoded, append_ns)
        self._wake(int(append_ns[-1]))
        return found

    def state(self) -> bytes:
        """Write down everything that is known here and now."""
        content = {
            "version": _VERSION,
            "source": self.source,
            "append_ns": self._append_ns,
            "tracks": {name: track.state() for name, track in self._tracks.items()},
            "silence": None if self._silence is None else self._silence.state(),
            "events": self._events.state(),
        }
        return zlib.compress(msgspec.msgpack.encode(content), level=1)

    def restore(self, state: bytes) -> None:
        """Take up where another one stood; only before the first `set_rules`.

        Raises
        ------
        CodecError
            It is no state of this version and source.
        """
        try:
            content: dict[str, Any] = msgspec.msgpack.decode(zlib.decompress(state))
            if content["version"] != _VERSION or content["source"] != self.source:
                raise ValueError("it is another version's or another source's")
            self._append_ns = content["append_ns"]
            self._restored = content["tracks"]
            if content["silence"] is not None:
                self._restored["silence"] = content["silence"]
            self._events.restore(content["events"])
        except (zlib.error, msgspec.MsgspecError, KeyError, TypeError, ValueError) as error:
            raise CodecError(
                what="Cannot read the stored state of the alerts", why=str(error), reason="bad_state"
            ) from error
        self._build([])

    def _parts(self, append_ns: Ints) -> Iterator[tuple[int, int]]:
        """Cut where rules begin to hold, and into chunks of bounded size."""
        first, count = 0, len(append_ns)
        while first < count:
            self._wake(int(append_ns[first]))
            last = min(first + _CHUNK, count)
            if self._waiting:
                begins_ns = min(scope.rule.active_from_ns for scope in self._waiting)
                later = np.flatnonzero(append_ns[first:last] >= begins_ns)
                last = first + int(later[0]) if len(later) else last
            yield first, last
            first = last

    def _wake(self, append_ns: int) -> None:
        self._append_ns = max(self._append_ns, append_ns)
        if any(scope.rule.active_from_ns <= self._append_ns for scope in self._waiting):
            self.set_rules([*self._active, *self._waiting])

    def _read(self, decoded: Decoded, append_ns: Ints) -> list[Alert]:
        self.rejected += len(decoded.rejected)
        self._restored = {}
        self._append_ns = max(self._append_ns, int(append_ns[-1]))
        found: list[Found] = []
        if self.source == "trades":
            trades, rows = _of_kind(decoded, Trade)
            if len(trades):
                found += _placed(self._tracks["trades"].read(trades, append_ns[rows]), rows)
            if self._silence is not None:
                beats, beat_rows = _of_kind(decoded, Heartbeat)
                found += self._silence.read(trades, rows, beats, beat_rows, append_ns)
        elif self.source == "quotes":
            quotes, rows = _of_kind(decoded, Quote)
            if len(quotes) and self._active:
                found += _placed(self._tracks["quotes"].read(quotes, append_ns[rows]), rows)
        elif self.source == "bars":
            bars, rows = _of_kind(decoded, Bar)
            for track in self._tracks.values() if len(bars) else ():
                found += _placed(track.read(bars, append_ns[rows]), rows)
        else:
            found += self._read_events(decoded, append_ns)
        found.sort(key=lambda each: each[0])
        return [alert for _, alert in found]

    def _read_events(self, decoded: Decoded, append_ns: Ints) -> list[Found]:
        found: list[Found] = []
        statuses, rows = _of_kind(decoded, Status)
        for status, row in zip(statuses.to_records(), rows.tolist(), strict=True):
            found += [(row, alert) for alert in self._events.read_status(status, int(append_ns[row]))]
        gaps, rows = _of_kind(decoded, Gap)
        for gap, row in zip(gaps.to_records(), rows.tolist(), strict=True):
            found += [(row, alert) for alert in self._events.read_gap(gap, int(append_ns[row]))]
        return found

    def _build(self, scopes: list[Scope]) -> None:
        """Make the tables for these rules, with what is known of each."""
        self._active = scopes
        self._events.scopes = scopes
        if self.source in ("status", "gaps"):
            return
        known = self._restored or {name: track.state() for name, track in self._tracks.items()}
        if self._silence is not None:
            known["silence"] = self._silence.state()
        self._suppressed += sum(track.pairs.suppressed for track in self._tracks.values())
        legs: dict[str, list[Leg]] = {} if self.source == "bars" else {self.source: []}
        for leg in (leg for scope in scopes for leg in legs_of(scope)):
            name = str(leg.series[1]) if self.source == "bars" else self.source
            legs.setdefault("silence" if leg.series == ("silence",) else name, []).append(leg)
        silent = legs.pop("silence", [])
        self._tracks = {}
        for name, found in legs.items():
            values = make_values(name, list(dict.fromkeys(leg.series for leg in found)), self._usual)
            self._tracks[name] = Track(values, found, known.get(name))
        self._silence = Silence(silent, self._market_of, known.get("silence")) if silent else None
        # Kept for the rules that are about to come, until anything is read.
        self._restored = {} if scopes else known


def _placed(found: list[Found], rows: Array) -> list[Found]:
    return [(int(rows[row]), alert) for row, alert in found]


def _of_kind(decoded: Decoded, record: type[Record]) -> tuple[Columns[Any], Ints]:
    found = decoded.kinds.get(record)
    if found is not None:
        return found.columns, found.rows
    return Columns.from_records(record, []), np.empty(0, dtype=np.int64)
