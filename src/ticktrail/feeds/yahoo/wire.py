"""Frames to pricing messages: two envelopes around Protobuf in base64.

Version 2 of the stream wraps each message, ``{"type":"pricing","message":"CgRNU0ZU…"}``; version 1 sends
the base64 bare. Both are read, whichever was asked for.
"""

from __future__ import annotations

import base64
from typing import Any

import msgspec
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from ticktrail.feeds.base import Rejected
from ticktrail.feeds.unknown import UnknownCounts
from ticktrail.feeds.yahoo.pricing_pb2 import Pricing

__all__ = ["decode_frame", "subscribe_request"]


class _Envelope(msgspec.Struct, frozen=True):
    type: str
    message: Any = None


_decoder = msgspec.json.Decoder(_Envelope)


def decode_frame(payload: bytes, unknown: UnknownCounts) -> Pricing | Rejected | None:
    """Unpack one frame; None for a message of another kind, which is counted in `unknown`."""
    text: Any = payload.strip()
    try:
        if text.startswith(b"{"):
            envelope = _decoder.decode(text)
            if envelope.type != "pricing":
                unknown.add("message", envelope.type)
                return None
            text = envelope.message
        message = Pricing.FromString(base64.b64decode(text, validate=True))
    except msgspec.ValidationError as error:
        return Rejected(payload, "bad_envelope", str(error))
    except msgspec.DecodeError as error:
        return Rejected(payload, "not_json", str(error))
    except DecodeError as error:
        return Rejected(payload, "not_protobuf", str(error))
    except (TypeError, ValueError) as error:  # no text, or not of base64's characters and length
        return Rejected(payload, "not_base64", str(error))
    fields = UnknownFieldSet(message)
    for at in range(len(fields)):
        unknown.add("field", str(fields[at].field_number))
    return message


def subscribe_request(symbols: list[str]) -> str:
    """Write the request that asks for these symbols, in Yahoo's spelling."""
    return msgspec.json.encode({"subscribe": symbols}).decode()
