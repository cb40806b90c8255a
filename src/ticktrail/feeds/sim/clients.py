"""Who is connected and subscribed to what; clients that want the same share one encoded frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from websockets.asyncio.server import ServerConnection, broadcast
from websockets.protocol import State

from ticktrail.feeds.sim import metrics
from ticktrail.feeds.sim.dialogue import Dialogue
from ticktrail.feeds.sim.encode_json import JsonEncoder
from ticktrail.feeds.sim.encode_msgpack import MsgpackEncoder
from ticktrail.feeds.sim.faults import Garbage
from ticktrail.feeds.sim.messages import Event, Rows
from ticktrail.feeds.sim.universe import Universe
from ticktrail.feeds.sim.wire import channel_of, control_frame, event_frame

__all__ = ["Client", "Clients"]

Mask = npt.NDArray[np.bool_]
_Subscription = tuple[tuple[str, tuple[str, ...]], ...]

# Bars of thousands of symbols fall due at once; 1,000 of them stay below 0.2 MB.
_EVENTS_PER_FRAME_MAX = 1_000


class Client:
    """One connection and its dialogue."""

    def __init__(self, connection: ServerConnection, dialogue: Dialogue, *, is_text: bool) -> None:
        self.connection = connection
        self.dialogue = dialogue
        self.is_text = is_text
        # Set when the exchange has given the connection up, which then closes by and by.
        self.is_cut = False

    @property
    def is_open(self) -> bool:
        return not self.is_cut and self.connection.protocol.state is State.OPEN

    @property
    def unread_bytes(self) -> int:
        """What was handed to the connection and has not left this process."""
        return self.connection.transport.get_write_buffer_size()

    def say(self, message: dict[str, Any]) -> None:
        """Send one control message, behind everything that was sent before."""
        frame = control_frame(message, is_text=self.is_text)
        _send([self.connection], frame, is_text=self.is_text)


class _Group:
    """Clients of one encoding with equal subscriptions."""

    def __init__(self, subscription: _Subscription, index_of: dict[str, int], *, is_text: bool) -> None:
        self.is_text = is_text
        self.clients: list[Client] = []
        self.masks = {channel: _mask(symbols, index_of) for channel, symbols in subscription}

    def connections(self) -> list[ServerConnection]:
        return [client.connection for client in self.clients if client.is_open]


class Clients:
    """All connections of the exchange.

    Parameters
    ----------
    universe
        What the symbol numbers mean.
    messages_per_frame_max
        Of trades and quotes.
    """

    def __init__(self, universe: Universe, messages_per_frame_max: int) -> None:
        self._universe = universe
        self._index_of = {symbol: index for index, symbol in enumerate(universe.symbols)}
        self._encoders: dict[bool, JsonEncoder | MsgpackEncoder] = {
            True: JsonEncoder(universe, messages_per_frame_max),
            False: MsgpackEncoder(universe, messages_per_frame_max),
        }
        self._clients: list[Client] = []
        self._groups: list[_Group] = []

    def __iter__(self) -> Iterator[Client]:
        return iter(list(self._clients))

    @property
    def authenticated(self) -> int:
        """How many open connections are authenticated."""
        return sum(client.is_open and client.dialogue.is_authenticated for client in self._clients)

    def add(self, client: Client) -> None:
        """Take in a new connection; it gets nothing before it subscribes."""
        self._clients.append(client)
        metrics.CONNECTIONS.inc()
        metrics.CLIENTS.set(len(self._clients))

    def remove(self, client: Client) -> None:
        """Forget a connection that is gone."""
        self._clients.remove(client)
        metrics.CLIENTS.set(len(self._clients))
        self.regroup()

    def regroup(self) -> None:
        """Gather clients anew; to be called when a subscription has changed."""
        groups: dict[tuple[bool, _Subscription], _Group] = {}
        for client in self._clients:
            subscription = tuple(client.dialogue.subscription().items())
            if client.is_cut or not any(symbols for _, symbols in subscription):
                continue
            key = (client.is_text, subscription)
            if key not in groups:
                groups[key] = _Group(subscription, self._index_of, is_text=client.is_text)
            groups[key].clients.append(client)
        self._groups = list(groups.values())

    def send_rows(self, channel: str, rows: Rows, live: Mask) -> npt.NDArray[np.uint8]:
        """Send trades or quotes to those who subscribed to them.

        Parameters
        ----------
        channel
            ``"trades"`` or ``"quotes"``.
        rows, live
            Shape ``(n,)``; only the live ones are sent.

        Returns
        -------
        Shape ``(n,)``: to how many clients each row was handed.
        """
        recipients = np.zeros(len(rows), dtype=np.uint8)
        symbol = rows["symbol"]
        for group in self._groups:
            connections = group.connections()
            chosen = group.masks[channel][symbol] & live
            if not connections or not chosen.any():
                continue
            wanted = rows if chosen.all() else rows[chosen]
            encoder = self._encoders[group.is_text]
            frames = encoder.trades(wanted) if channel == "trades" else encoder.quotes(wanted)
            for frame in frames:
                _send(connections, frame, is_text=group.is_text)
            recipients[chosen] += len(connections)
        return recipients

    def send_events(self, events: Sequence[Event]) -> list[int]:
        """Send rare messages, in their order, and tell to how many clients each was handed."""
        recipients = [0] * len(events)
        for group in self._groups:
            connections = group.connections()
            chosen = [
                index for index, event in enumerate(events) if group.masks[channel_of(event)][event.symbol]
            ]
            if not connections or not chosen:
                continue
            for start in range(0, len(chosen), _EVENTS_PER_FRAME_MAX):
                wanted = [events[index] for index in chosen[start : start + _EVENTS_PER_FRAME_MAX]]
                frame = event_frame(wanted, self._universe, is_text=group.is_text)
                _send(connections, frame, is_text=group.is_text)
            for index in chosen:
                recipients[index] += len(connections)
        return recipients

    def send_garbage(self, garbage: Garbage) -> int:
        """Send a frame that is no message to every subscribed client, and tell to how many."""
        handed = 0
        for group in self._groups:
            connections = group.connections()
            payload = garbage.json if group.is_text else garbage.msgpack
            # Bytes that are no text go as a binary frame: as text they would end the connection.
            _send(connections, payload, is_text=group.is_text and payload.isascii())
            handed += len(connections)
        return handed


def _send(connections: list[ServerConnection], frame: bytes, *, is_text: bool) -> None:
    broadcast(connections, frame, text=is_text)
    metrics.FRAMES.inc(len(connections))


def _mask(symbols: tuple[str, ...], index_of: dict[str, int]) -> Mask:
    """Mark the wanted symbols; a name that is not listed is no error, as with the real one."""
    if "*" in symbols:
        return np.ones(len(index_of), dtype=np.bool_)
    mask = np.zeros(len(index_of), dtype=np.bool_)
    mask[[index_of[symbol] for symbol in symbols if symbol in index_of]] = True
    return mask
