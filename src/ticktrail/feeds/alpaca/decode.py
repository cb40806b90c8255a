"""Frames to messages, losing and inventing nothing.

The usual frame is decoded in one go by a strict decoder, which refuses unknown fields, unknown kinds of
message, wrong types and values out of range. Only a frame that it refuses is taken apart, message by
message: there unknown fields are counted and left out, unknown kinds are counted, and what is wrong is
rejected with its own bytes, so that it costs its neighbours nothing. A vendor that adds a field thus slows
parsing until the field is named in `wire`, but loses no record.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from ticktrail.feeds.alpaca import wire
from ticktrail.feeds.base import Frame, Rejected
from ticktrail.feeds.unknown import UnknownCounts

__all__ = ["Decoded", "Encoding", "MessageDecoder"]

Encoding = Literal["json", "msgpack"]

# What msgspec raises on any bytes: malformed or unsuitable, no UTF-8, nested too deeply.
_REFUSALS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_PATH = re.compile(r"`\$\.(\w+)")

# By the ends of the names in `wire`: what a value that is out of range or of the wrong type is.
_REASONS = {
    "price": "bad_price",
    "size": "bad_size",
    "time": "bad_time",
    "id": "bad_id",
    "symbol": "bad_text",
}


class Decoded:
    """What a batch of frames held, before it becomes columns.

    Attributes
    ----------
    messages
        In the order of their frames.
    counts
        How many of `messages` each frame gave, in the frames' order.
    rejected, unknown
        As in `ticktrail.feeds.base.Parsed`.
    """

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.counts: list[int] = []
        self.rejected: list[Rejected] = []
        self.unknown = UnknownCounts()


class MessageDecoder:
    """Decodes one encoding. Remembers nothing between calls.

    Parameters
    ----------
    encoding
        ``"json"`` or ``"msgpack"``.
    """

    def __init__(self, encoding: Encoding) -> None:
        message: Any = wire.JsonMessage if encoding == "json" else wire.MsgpackMessage
        codec: Any = msgspec.json if encoding == "json" else msgspec.msgpack
        self._encoding = encoding
        self._decode_frame = codec.Decoder(list[message]).decode
        self._decode_message = codec.Decoder(message).decode
        self._decode_parts = codec.Decoder(list[msgspec.Raw]).decode
        self._decode_fields = codec.Decoder(dict[str, msgspec.Raw]).decode
        self._decode_kind = codec.Decoder(str).decode
        self._encode = codec.Encoder().encode

    def decode(self, frames: Sequence[Frame]) -> Decoded:
        """Decode frames; never raises, whatever their bytes."""
        result = Decoded()
        for frame in frames:
            try:
                messages = self._decode_frame(frame.payload)
            except _REFUSALS:
                messages = self._take_apart(frame.payload, result)
            result.messages += messages
            result.counts.append(len(messages))
        return result

    def encode(self, message: wire.Message) -> bytes:
        """Write one message as the venue would have sent it; defaults are left out."""
        encoded: bytes = self._encode(message)
        return encoded

    def _take_apart(self, payload: bytes, result: Decoded) -> list[wire.Message]:
        try:
            parts = self._decode_parts(payload)
        except _REFUSALS as error:
            reason = "not_array" if isinstance(error, msgspec.ValidationError) else f"not_{self._encoding}"
            result.rejected.append(Rejected(payload, reason, _detail(error)))
            return []
        messages = []
        for part in parts:
            try:
                messages.append(self._decode_message(part))
            except _REFUSALS as error:
                message = self._salvage(bytes(part), error, result)
                if message is not None:
                    messages.append(message)
        return messages

    def _salvage(self, part: bytes, refusal: Exception, result: Decoded) -> wire.Message | None:
        """Decode a message without its unknown fields, or account for it."""
        try:
            fields = self._decode_fields(part)
            kind = self._decode_kind(fields["T"])
        except (*_REFUSALS, KeyError):
            result.rejected.append(Rejected(part, _reason_without_kind(refusal), _detail(refusal)))
            return None
        if kind not in _NAMES_OF_KIND:
            result.unknown.add("message", kind)
            return None
        names = _NAMES_OF_KIND[kind]
        strange = fields.keys() - names.keys() - {"T"}
        if strange:
            known = {name: value for name, value in fields.items() if name not in strange}
            try:
                message: wire.Message = self._decode_message(self._encode(known))
            except _REFUSALS as error:
                refusal = error
            else:
                for name in strange:
                    result.unknown.add("field", f"{kind}.{name}")
                return message
        result.rejected.append(Rejected(part, _reason(refusal, names), f"message {kind}: {_detail(refusal)}"))
        return None


def _names_of_kind() -> dict[str, dict[str, str]]:
    """Give, for every ``T``, the wire's field names with those of `wire`."""
    kinds = {}
    for member in wire.JsonMessage.__args__:
        info = msgspec.inspect.type_info(member)
        assert isinstance(info, msgspec.inspect.StructType)
        kinds[str(info.tag)] = {field.encode_name: field.name for field in info.fields}
    return kinds


_NAMES_OF_KIND = _names_of_kind()


def _reason_without_kind(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "not_utf8"
    return "bad_field" if isinstance(error, msgspec.ValidationError) else "malformed"


def _reason(error: Exception, names: dict[str, str]) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "not_utf8"
    if not isinstance(error, msgspec.ValidationError):
        return "malformed"
    if "missing required field" in str(error):
        return "missing_field"
    path = _PATH.search(str(error))
    name = names.get(path.group(1), "") if path else ""
    return _REASONS.get(name.rpartition("_")[2], "bad_field")


def _detail(error: Exception) -> str:
    # At most the venue's own field names and numbers of bytes; bounded, since it is stored and logged.
    return str(error)[:200]
