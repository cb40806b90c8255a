"""What goes wrong on request: chosen by the seed and each message's own identity, never by timing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta

from ticktrail.feeds.sim.messages import Rows

__all__ = [
    "COPY",
    "DROPPED",
    "LATE_DELIVERY",
    "SILENCED",
    "FaultPlan",
    "Faults",
    "Garbage",
    "PerMillion",
    "Seconds",
]

# Marks of a delivery in the exchange's log.
DROPPED = 1  # never sent
SILENCED = 2  # never sent, because the exchange was silent
LATE_DELIVERY = 4  # sent after messages that were due later
COPY = 8  # sent once more

_MILLION = 1_000_000

# Reached only where nearly everything is to come late; then it comes at once.
_HELD_ROWS_MAX = 10_000

PerMillion = Annotated[float, Meta(ge=0, le=_MILLION)]
Seconds = Annotated[float, Meta(ge=0, le=1e9)]


class Faults(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Faults of the wire; all off by default.

    Parameters
    ----------
    drop_per_million
        Of trades and of quotes: never sent.
    duplicate_per_million
        Sent a second time, a step later.
    reorder_per_million
        Sent a step later than they were due.
    garbage_per_million
        Frames that are no valid message, per million trades. They come on top: nothing is lost by them.
    disconnect_every_s
        How often all connections are cut without a closing handshake; everything sent before arrives.
    silence_at_s, silence_s
        From when, and how long, nothing is sent though the connections stay open. It is never made up.
    """

    drop_per_million: PerMillion = 0.0
    duplicate_per_million: PerMillion = 0.0
    reorder_per_million: PerMillion = 0.0
    garbage_per_million: PerMillion = 0.0
    disconnect_every_s: Seconds = 0.0
    silence_at_s: Seconds = 0.0
    silence_s: Seconds = 0.0


class Garbage(msgspec.Struct, frozen=True):
    """A frame that is no valid message, in both encodings."""

    kind: str
    json: bytes
    msgpack: bytes


class FaultPlan:
    """Decides the fate of trades and quotes, and keeps back those that are to come late.

    One object serves one kind of message.
    """

    def __init__(self, faults: Faults, seed: int) -> None:
        edges = np.cumsum([faults.drop_per_million, faults.duplicate_per_million, faults.reorder_per_million])
        self._edges = np.minimum(edges, _MILLION)
        self._garbage_per_million = faults.garbage_per_million
        self._seed = seed
        self._held: list[tuple[Rows, npt.NDArray[np.uint8]]] = []

    def apply(
        self, rows: Rows, key: npt.NDArray[np.int64], *, is_last: bool = False
    ) -> tuple[Rows, npt.NDArray[np.uint8]]:
        """Give what is to be sent now, in order, with marks.

        Parameters
        ----------
        rows
            Shape ``(n,)``: what is due now.
        key
            Shape ``(n,)``: each message's identity.
        is_last
            Whether nothing will come after, so that nothing may be kept back.

        Returns
        -------
        Rows and their marks, of equal length. Those marked `DROPPED` are for the log only. What was kept
        back comes out behind the next rows that are not kept back themselves.
        """
        marks = np.zeros(len(rows), dtype=np.uint8)
        if not self._edges[-1]:
            return rows, marks
        chance = self._chance(rows, key, 1)
        marks[chance < self._edges[0]] = DROPPED
        copied = (chance >= self._edges[0]) & (chance < self._edges[1])
        late = (chance >= self._edges[1]) & (chance < self._edges[2])
        held: list[tuple[Rows, npt.NDArray[np.uint8]]] = []
        for chosen, mark in ((copied, COPY), (late, LATE_DELIVERY)):
            if chosen.any():
                held.append((rows[chosen], np.full(chosen.sum(), mark, dtype=np.uint8)))
        sent = [(rows[~late], marks[~late])]
        if is_last:
            sent += self._held + held
            self._held = []
        elif late.all() and sum(len(part) for part, _ in self._held) < _HELD_ROWS_MAX:
            self._held += held
        else:
            sent += self._held
            self._held = held
        return np.concatenate([part for part, _ in sent]), np.concatenate([part for _, part in sent])

    def garbage(self, rows: Rows, key: npt.NDArray[np.int64]) -> Iterator[Garbage]:
        """Give the garbage frames that these rows bring with them."""
        if self._garbage_per_million:
            chance = self._chance(rows, key, 2)
            for index in np.flatnonzero(chance < self._garbage_per_million):
                yield _garbage(int(key[index]))

    def _chance(self, rows: Rows, key: npt.NDArray[np.int64], purpose: int) -> npt.NDArray[np.float64]:
        """Even numbers in 0 … 1,000,000 that depend on seed, purpose, symbol and key only."""
        state = _mix(rows["symbol"].astype(np.uint64) + np.uint64((self._seed * 4 + purpose) % 2**64))
        mixed = _mix(state ^ key.astype(np.uint64))
        return (mixed >> np.uint64(11)).astype(np.float64) * (_MILLION / 2**53)


def _mix(value: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Spread bits: the finaliser of SplitMix64."""
    value = value + np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


_TRADE = {"T": "t", "S": "SPY", "i": 1, "x": "D", "p": 1.0, "s": 1, "c": ["@"], "z": "B"}


def _garbage(key: int) -> Garbage:
    """Make one; none of them holds a message that a careful reader could take for a trade."""
    messages: dict[str, object] = {
        "unknown_message": [{"T": "zz", "S": "SPY", "n": key}],
        "wrong_types": [_TRADE | {"i": "one", "p": "cheap", "s": [], "t": key}],
        "missing_fields": [{"T": "t", "S": "SPY"}],
        "absurd_time": [_TRADE | {"t": "9999-99-99T99:99:99Z"}],
        "not_messages": [1, None, "t", [[[[]]]]],
        "not_an_array": {"T": "t", "S": "SPY"},
        "scalar": key,
    }
    spoilt = ("truncated", "random_bytes", "empty")
    kind = (*messages, *spoilt)[key % (len(messages) + len(spoilt))]
    if kind in messages:
        return Garbage(kind, msgspec.json.encode(messages[kind]), msgspec.msgpack.encode(messages[kind]))
    whole = [_TRADE | {"t": "2024-01-02T15:04:05Z"}]
    if kind == "truncated":
        return Garbage(kind, msgspec.json.encode(whole)[:-20], msgspec.msgpack.encode(whole)[:-20])
    if kind == "random_bytes":
        # 0xC1 is the one byte that MessagePack never uses, and no UTF-8 begins with it.
        noise = b"\xc1" + np.random.default_rng(key).bytes(63)
        return Garbage(kind, noise, noise)
    return Garbage(kind, b"", b"")
