"""The messages of Alpaca's stock stream, as they stand on the wire.

Every frame is an array of these, told apart by ``T``. JSON and MessagePack carry the same fields; only
the type of the times differs, so the messages are generic in it: RFC 3339 text in JSON, extension -1 in
MessagePack. Decoding checks what can be checked value by value; `ticktrail.feeds.alpaca.parse` does the rest.

Sources: Alpaca documentation, "Real-time Stock Data" and "WebSocket Stream", read in 2026; the official
Go client's ``marketdata/stream`` for MessagePack, whose messages may also carry ``r``, the server's own
receive time.
"""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar

from msgspec import Meta, Struct, field
from msgspec.msgpack import Ext

from ticktrail.model import TEXT_BYTES_MAX

__all__ = [
    "BarMessage",
    "CancelMessage",
    "CorrectionMessage",
    "DailyBarMessage",
    "ErrorMessage",
    "JsonMessage",
    "LuldMessage",
    "Message",
    "MsgpackMessage",
    "QuoteMessage",
    "StatusMessage",
    "SubscriptionMessage",
    "SuccessMessage",
    "TradeMessage",
    "UpdatedBarMessage",
]

# Far above any quoted share (Berkshire Hathaway A stays below 10^6) and any traded size.
PRICE_MAX = 1e9
SIZE_MAX = 1e12
INT64_MAX = 2**63 - 1

Price = Annotated[float, Meta(ge=0, le=PRICE_MAX)]
TradePrice = Annotated[float, Meta(gt=0, le=PRICE_MAX)]
Size = Annotated[float, Meta(ge=0, le=SIZE_MAX)]
Number = Annotated[int, Meta(ge=0, le=INT64_MAX)]
Symbol = Annotated[str, Meta(min_length=1, max_length=TEXT_BYTES_MAX)]
Letter = Annotated[str, Meta(max_length=8)]
# Go encodes an empty list as null. The tapes know four conditions a trade; 14 still fit a text column.
Conditions = Annotated[tuple[Letter, ...], Meta(max_length=14)] | None

Time = TypeVar("Time", str, Ext)


class Message(Struct, tag_field="T", gc=False, forbid_unknown_fields=True, omit_defaults=True):
    """Base of all messages: tagged by ``T``, and with no field that is not named here."""


class TradeMessage(Message, Generic[Time], tag="t"):
    """A trade; `trade_id` is unique per symbol, venue and day."""

    symbol: Symbol = field(name="S")
    trade_id: Number = field(name="i")
    price: TradePrice = field(name="p")
    size: Size = field(name="s")
    time: Time = field(name="t")
    venue: Letter = field(name="x", default="")
    conditions: Conditions = field(name="c", default=())
    tape: Letter = field(name="z", default="")
    received: Any = field(name="r", default=None)


class QuoteMessage(Message, Generic[Time], tag="q"):
    """The best bid and offer; a price of 0 means that there is none."""

    symbol: Symbol = field(name="S")
    bid_price: Price = field(name="bp")
    bid_size: Size = field(name="bs")
    ask_price: Price = field(name="ap")
    ask_size: Size = field(name="as")
    time: Time = field(name="t")
    bid_venue: Letter = field(name="bx", default="")
    ask_venue: Letter = field(name="ax", default="")
    conditions: Conditions = field(name="c", default=())
    tape: Letter = field(name="z", default="")
    received: Any = field(name="r", default=None)


class BarMessage(Message, Generic[Time], tag="b"):
    """A minute; `time` is its opening."""

    symbol: Symbol = field(name="S")
    open_price: Price = field(name="o")
    high_price: Price = field(name="h")
    low_price: Price = field(name="l")
    close_price: Price = field(name="c")
    volume_size: Size = field(name="v")
    time: Time = field(name="t")
    trades: Number = field(name="n", default=0)
    vwap_price: Price = field(name="vw", default=0.0)
    received: Any = field(name="r", default=None)


class UpdatedBarMessage(BarMessage[Time], Generic[Time], tag="u"):
    """A minute that was sent before, now with its late trades."""


class DailyBarMessage(BarMessage[Time], Generic[Time], tag="d"):
    """The day so far; sent again every minute while the market is open."""


class CorrectionMessage(Message, Generic[Time], tag="c"):
    """What a trade should have been."""

    symbol: Symbol = field(name="S")
    original_id: Number = field(name="oi")
    original_price: Price = field(name="op")
    original_size: Size = field(name="os")
    corrected_id: Number = field(name="ci")
    corrected_price: Price = field(name="cp")
    corrected_size: Size = field(name="cs")
    time: Time = field(name="t")
    venue: Letter = field(name="x", default="")
    original_conditions: Conditions = field(name="oc", default=())
    conditions: Conditions = field(name="cc", default=())
    tape: Letter = field(name="z", default="")
    received: Any = field(name="r", default=None)


class CancelMessage(Message, Generic[Time], tag="x"):
    """A trade that no longer counts; `action` is ``C`` (cancel) or ``E`` (error)."""

    symbol: Symbol = field(name="S")
    trade_id: Number = field(name="i")
    price: Price = field(name="p")
    size: Size = field(name="s")
    time: Time = field(name="t")
    action: Letter = field(name="a", default="")
    venue: Letter = field(name="x", default="")
    tape: Letter = field(name="z", default="")
    received: Any = field(name="r", default=None)


class StatusMessage(Message, Generic[Time], tag="s"):
    """A halt, a resumption, or another change of the trading state; codes differ by tape."""

    symbol: Symbol = field(name="S")
    status_code: Letter = field(name="sc")
    time: Time = field(name="t")
    status_text: str = field(name="sm", default="")
    reason_code: str = field(name="rc", default="")
    reason_text: str = field(name="rm", default="")
    tape: Letter = field(name="z", default="")
    received: Any = field(name="r", default=None)


class LuldMessage(Message, Generic[Time], tag="l"):
    """New limit-up and limit-down bands."""

    symbol: Symbol = field(name="S")
    limit_up_price: Price = field(name="u")
    limit_down_price: Price = field(name="d")
    time: Time = field(name="t")
    indicator: str = field(name="i", default="")
    tape: Letter = field(name="z", default="")
    received: Any = field(name="r", default=None)


class SuccessMessage(Message, tag="success"):
    """``connected``, ``authenticated``."""

    text: str = field(name="msg", default="")


class ErrorMessage(Message, tag="error"):
    """Something went wrong; see `ticktrail.feeds.alpaca.refusals`."""

    code: int
    text: str = field(name="msg", default="")


class SubscriptionMessage(Message, tag="subscription"):
    """Everything that is subscribed from now on, by channel."""

    trades: tuple[str, ...] | None = ()
    quotes: tuple[str, ...] | None = ()
    bars: tuple[str, ...] | None = ()
    updated_bars: tuple[str, ...] | None = field(name="updatedBars", default=())
    daily_bars: tuple[str, ...] | None = field(name="dailyBars", default=())
    statuses: tuple[str, ...] | None = ()
    lulds: tuple[str, ...] | None = ()
    corrections: tuple[str, ...] | None = ()
    cancel_errors: tuple[str, ...] | None = field(name="cancelErrors", default=())
    imbalances: tuple[str, ...] | None = ()
    orderbooks: tuple[str, ...] | None = ()
    news: tuple[str, ...] | None = ()


JsonMessage = (
    TradeMessage[str]
    | QuoteMessage[str]
    | BarMessage[str]
    | UpdatedBarMessage[str]
    | DailyBarMessage[str]
    | CorrectionMessage[str]
    | CancelMessage[str]
    | StatusMessage[str]
    | LuldMessage[str]
    | SuccessMessage
    | ErrorMessage
    | SubscriptionMessage
)
MsgpackMessage = (
    TradeMessage[Ext]
    | QuoteMessage[Ext]
    | BarMessage[Ext]
    | UpdatedBarMessage[Ext]
    | DailyBarMessage[Ext]
    | CorrectionMessage[Ext]
    | CancelMessage[Ext]
    | StatusMessage[Ext]
    | LuldMessage[Ext]
    | SuccessMessage
    | ErrorMessage
    | SubscriptionMessage
)
