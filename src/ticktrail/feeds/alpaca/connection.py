"""The dialogue with Alpaca's stream: welcome, keys, subscription, then frames.

Source: Alpaca documentation, "WebSocket Stream", read in 2026; for MessagePack the official Python client,
which asks for it by the header ``Content-Type: application/msgpack``.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import msgspec

from ticktrail.clock import Clock
from ticktrail.errors import FeedDisconnected, FeedRejected, UsageError
from ticktrail.feeds.alpaca import wire
from ticktrail.feeds.alpaca.config import AlpacaConfig
from ticktrail.feeds.alpaca.decode import MessageDecoder
from ticktrail.feeds.alpaca.refusals import venue_error
from ticktrail.feeds.base import ALL_SYMBOLS, Frame, Subscription
from ticktrail.feeds.websocket import WebSocketConnection

__all__ = ["CHANNELS_OF_KIND", "AlpacaConnection"]

# Corrections and cancels come with the trades unasked.
CHANNELS_OF_KIND: dict[str, tuple[str, ...]] = {
    "trades": ("trades",),
    "quotes": ("quotes",),
    "bars": ("bars", "updatedBars", "dailyBars"),
    "status": ("statuses", "lulds"),
}

# A venue that never comes to the point must not fill memory before the time-out.
_FRAMES_HELD_MAX = 10_000

_DIALOGUE = (wire.SuccessMessage, wire.SubscriptionMessage)


class AlpacaConnection:
    """One connection at a time, authenticated and subscribed.

    Parameters
    ----------
    feed
        The feed's name, for errors.
    config
        Where to dial, and as whom.
    subscription
        What to ask for.
    clock
        Stamps the frames.

    Raises
    ------
    UsageError
        The subscription asks for nothing, or for a kind that Alpaca does not have.
    """

    def __init__(self, feed: str, config: AlpacaConfig, subscription: Subscription, clock: Clock) -> None:
        self._feed = feed
        self._config = config
        self._channels = _channels(feed, subscription)
        self._decoder = MessageDecoder(config.encoding)
        packed = config.encoding == "msgpack"
        self._socket = WebSocketConnection(
            feed=feed,
            url=config.address,
            clock=clock,
            open_timeout_s=config.open_timeout_s,
            headers={"Content-Type": "application/msgpack"} if packed else None,
        )
        # Frames with records that came before the subscription was confirmed.
        self._held: deque[Frame] = deque()

    async def connect(self) -> None:
        """Dial, authenticate, subscribe; see `ticktrail.feeds.base.Feed.connect`."""
        self._held.clear()
        await self._socket.open()
        try:
            await self._converse()
        except BaseException:  # also a cancellation must not leave a half-open connection behind
            await self._socket.close()
            raise

    async def receive(self) -> Frame:
        """Wait for the next frame; see `ticktrail.feeds.base.Feed.receive`."""
        return self._held.popleft() if self._held else await self._socket.receive()

    async def close(self) -> None:
        """Close; safe to call twice and before `connect`."""
        self._held.clear()
        await self._socket.close()

    async def _converse(self) -> None:
        await self._await(wire.SuccessMessage(text="connected"), "welcome")
        key, secret = self._config.key.reveal(), self._config.secret.reveal()
        await self._say({"action": "auth", "key": key, "secret": secret})
        await self._await(wire.SuccessMessage(text="authenticated"), "answer to the keys")
        await self._say({"action": "subscribe", **self._channels})
        self._check(await self._await(None, "confirmation of the subscription"))

    async def _say(self, request: dict[str, Any]) -> None:
        if self._config.encoding == "json":
            await self._socket.send(msgspec.json.encode(request).decode())
        else:
            await self._socket.send(msgspec.msgpack.encode(request))

    async def _await(self, wanted: wire.SuccessMessage | None, awaited: str) -> Any:
        """Wait for one success message, or with None for the subscription; give the answer.

        Frames with anything else in them are kept for `receive`, whose parser accounts for them.
        """
        while True:
            frame = await self._socket.receive_within(self._config.auth_timeout_s, awaited)
            decoded = self._decoder.decode([frame])
            for message in decoded.messages:
                if isinstance(message, wire.ErrorMessage):
                    raise venue_error(self._feed, message.code, message.text)
            is_dialogue = all(isinstance(message, _DIALOGUE) for message in decoded.messages)
            if not (decoded.messages and is_dialogue) or decoded.rejected or decoded.unknown:
                self._hold(frame)
            for message in decoded.messages:
                if message == wanted or (wanted is None and isinstance(message, wire.SubscriptionMessage)):
                    return message

    def _hold(self, frame: Frame) -> None:
        if len(self._held) >= _FRAMES_HELD_MAX:
            raise FeedDisconnected(
                what=f"Feed {self._feed} at {self._socket.address} did not finish its greeting",
                why=f"{_FRAMES_HELD_MAX} other frames came instead",
                next_step="It will be tried again; check the address.",
                feed=self._feed,
            )
        self._held.append(frame)

    def _check(self, confirmed: wire.SubscriptionMessage) -> None:
        """Compare what is subscribed with what was asked for."""
        fields = {field.encode_name: field.name for field in msgspec.structs.fields(confirmed)}
        for channel, wanted in self._channels.items():
            granted = set(getattr(confirmed, fields[channel]) or ())
            missing = [symbol for symbol in wanted if symbol not in granted]
            if missing and ALL_SYMBOLS not in granted:
                named = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
                raise FeedRejected(
                    what=f"Feed {self._feed} did not subscribe to everything that was asked for",
                    why=f"{channel} lacks {named}",
                    next_step="Check the spelling of the symbols and what the plan includes.",
                    feed=self._feed,
                )


def _channels(feed: str, subscription: Subscription) -> dict[str, list[str]]:
    symbols = list(dict.fromkeys(subscription.symbols))
    unknown = [kind for kind in subscription.kinds if kind not in CHANNELS_OF_KIND]
    if unknown or not symbols or not subscription.kinds:
        why = f"it has no {', '.join(unknown)}" if unknown else "no symbols, or no kinds, were named"
        raise UsageError(
            what=f"Feed {feed} cannot be asked for that",
            why=why,
            next_step=f"Name symbols (or {ALL_SYMBOLS}), and kinds of: {', '.join(CHANNELS_OF_KIND)}.",
        )
    if ALL_SYMBOLS in symbols:
        symbols = [ALL_SYMBOLS]
    return {channel: symbols for kind in subscription.kinds for channel in CHANNELS_OF_KIND[kind]}
