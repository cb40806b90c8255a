"""What the exchange answers to a client's messages: authentication and subscriptions.

Pure: frames in, answers out; no socket, no clock. Source: Alpaca, "WebSocket Stream", for the order of
things and the errors.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ticktrail.feeds.sim.wire import CHANNELS, error_message

__all__ = ["Answer", "Dialogue"]

# They follow the trades' subscription and cannot be chosen by themselves.
_FOLLOW_TRADES = ("corrections", "cancelErrors")
_CHOSEN = tuple(channel for channel in CHANNELS if channel not in _FOLLOW_TRADES)


class Answer(msgspec.Struct, frozen=True):
    """What to send, and what follows from it.

    Parameters
    ----------
    message
        One control message.
    closes
        Whether the connection ends with it.
    subscribes
        Whether the subscription has changed.
    """

    message: dict[str, Any]
    closes: bool = False
    subscribes: bool = False


class Dialogue:
    """One client's side of it.

    Parameters
    ----------
    key, secret
        What it must authenticate with.
    symbols_max
        Per channel; 0 is no limit.
    is_text
        Whether it speaks JSON rather than MessagePack.

    Attributes
    ----------
    is_authenticated
        Whether it has done so.
    """

    def __init__(self, *, key: str, secret: str, symbols_max: int, is_text: bool) -> None:
        self._credentials = (key, secret)
        self._symbols_max = symbols_max
        self._decode = msgspec.json.decode if is_text else msgspec.msgpack.decode
        self.is_authenticated = False
        # Dicts for their order: the answer lists symbols as the client named them.
        self._chosen: dict[str, dict[str, None]] = {channel: {} for channel in _CHOSEN}

    def welcome(self) -> dict[str, Any]:
        """Give the message that opens every connection."""
        return {"T": "success", "msg": "connected"}

    def subscription(self) -> dict[str, tuple[str, ...]]:
        """Give the symbols of every channel, as named; ``"*"`` stands for all."""
        chosen = {channel: tuple(symbols) for channel, symbols in self._chosen.items()}
        return chosen | dict.fromkeys(_FOLLOW_TRADES, chosen["trades"])

    def answer(self, payload: bytes, *, is_full: bool) -> Answer:
        """Answer one frame of the client.

        Parameters
        ----------
        payload
            As it came.
        is_full
            Whether the exchange has as many authenticated clients as it allows.
        """
        try:
            message = self._decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return Answer(error_message(400))
        if not isinstance(message, dict):
            return Answer(error_message(400))
        match message.get("action"):
            case "auth":
                return self.authenticate(message.get("key"), message.get("secret"), is_full=is_full)
            case "subscribe" | "unsubscribe" as action:
                if not self.is_authenticated:
                    return Answer(error_message(401))
                return self._subscribe(message, is_more=action == "subscribe")
            case _:
                return Answer(error_message(400 if self.is_authenticated else 401))

    def authenticate(self, key: object, secret: object, *, is_full: bool) -> Answer:
        """Answer credentials, whether they came in a message or in the handshake's headers."""
        if self.is_authenticated:
            return Answer(error_message(403))
        if (key, secret) != self._credentials:
            return Answer(error_message(402))
        if is_full:
            return Answer(error_message(406), closes=True)
        self.is_authenticated = True
        return Answer({"T": "success", "msg": "authenticated"})

    def _subscribe(self, message: dict[str, Any], *, is_more: bool) -> Answer:
        wanted = {channel: symbols for channel, symbols in message.items() if channel != "action"}
        for symbols in wanted.values():
            if not isinstance(symbols, list) or not all(isinstance(symbol, str) for symbol in symbols):
                return Answer(error_message(400))
        if not wanted or not wanted.keys() <= set(CHANNELS):
            return Answer(error_message(410))
        after = {channel: dict(symbols) for channel, symbols in self._chosen.items()}
        for channel, symbols in wanted.items():
            if channel in _FOLLOW_TRADES:
                continue
            if is_more:
                after[channel] |= dict.fromkeys(symbols)
            else:
                after[channel] = {name: None for name in after[channel] if name not in set(symbols)}
        if self._symbols_max and is_more and self._exceeds(after):
            return Answer(error_message(405))
        self._chosen = after
        return Answer({"T": "subscription"} | self.subscription(), subscribes=True)

    def _exceeds(self, chosen: dict[str, dict[str, None]]) -> bool:
        return any(
            "*" in chosen[channel] or len(chosen[channel]) > self._symbols_max
            for channel in ("trades", "quotes")
        )
