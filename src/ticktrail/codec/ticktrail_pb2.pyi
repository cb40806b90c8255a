from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class Trade(_message.Message):
    __slots__ = ("kind", "day", "ts_ns", "event_id", "ts_event_ns", "ts_recv_ns", "price", "size", "sequence", "flags", "feed", "symbol", "venue", "tape", "side", "conditions", "trade_id")
    KIND_FIELD_NUMBER: _ClassVar[int]
    DAY_FIELD_NUMBER: _ClassVar[int]
    TS_NS_FIELD_NUMBER: _ClassVar[int]
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    TS_EVENT_NS_FIELD_NUMBER: _ClassVar[int]
    TS_RECV_NS_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    FLAGS_FIELD_NUMBER: _ClassVar[int]
    FEED_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    VENUE_FIELD_NUMBER: _ClassVar[int]
    TAPE_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    TRADE_ID_FIELD_NUMBER: _ClassVar[int]
    kind: int
    day: int
    ts_ns: int
    event_id: int
    ts_event_ns: int
    ts_recv_ns: int
    price: float
    size: float
    sequence: int
    flags: int
    feed: str
    symbol: str
    venue: str
    tape: str
    side: str
    conditions: str
    trade_id: str
    def __init__(self, kind: _Optional[int] = ..., day: _Optional[int] = ..., ts_ns: _Optional[int] = ..., event_id: _Optional[int] = ..., ts_event_ns: _Optional[int] = ..., ts_recv_ns: _Optional[int] = ..., price: _Optional[float] = ..., size: _Optional[float] = ..., sequence: _Optional[int] = ..., flags: _Optional[int] = ..., feed: _Optional[str] = ..., symbol: _Optional[str] = ..., venue: _Optional[str] = ..., tape: _Optional[str] = ..., side: _Optional[str] = ..., conditions: _Optional[str] = ..., trade_id: _Optional[str] = ...) -> None: ...

class Quote(_message.Message):
    __slots__ = ("kind", "day", "ts_ns", "event_id", "ts_event_ns", "ts_recv_ns", "bid_price", "bid_size", "ask_price", "ask_size", "sequence", "flags", "feed", "symbol", "bid_venue", "ask_venue", "tape", "conditions")
    KIND_FIELD_NUMBER: _ClassVar[int]
    DAY_FIELD_NUMBER: _ClassVar[int]
    TS_NS_FIELD_NUMBER: _ClassVar[int]
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    TS_EVENT_NS_FIELD_NUMBER: _ClassVar[int]
    TS_RECV_NS_FIELD_NUMBER: _ClassVar[int]
    BID_PRICE_FIELD_NUMBER: _ClassVar[int]
    BID_SIZE_FIELD_NUMBER: _ClassVar[int]
    ASK_PRICE_FIELD_NUMBER: _ClassVar[int]
    ASK_SIZE_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    FLAGS_FIELD_NUMBER: _ClassVar[int]
    FEED_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    BID_VENUE_FIELD_NUMBER: _ClassVar[int]
    ASK_VENUE_FIELD_NUMBER: _ClassVar[int]
    TAPE_FIELD_NUMBER: _ClassVar[int]
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    kind: int
    day: int
    ts_ns: int
    event_id: int
    ts_event_ns: int
    ts_recv_ns: int
    bid_price: float
    bid_size: float
    ask_price: float
    ask_size: float
    sequence: int
    flags: int
    feed: str
    symbol: str
    bid_venue: str
    ask_venue: str
    tape: str
    conditions: str
    def __init__(self, kind: _Optional[int] = ..., day: _Optional[int] = ..., ts_ns: _Optional[int] = ..., event_id: _Optional[int] = ..., ts_event_ns: _Optional[int] = ..., ts_recv_ns: _Optional[int] = ..., bid_price: _Optional[float] = ..., bid_size: _Optional[float] = ..., ask_price: _Optional[float] = ..., ask_size: _Optional[float] = ..., sequence: _Optional[int] = ..., flags: _Optional[int] = ..., feed: _Optional[str] = ..., symbol: _Optional[str] = ..., bid_venue: _Optional[str] = ..., ask_venue: _Optional[str] = ..., tape: _Optional[str] = ..., conditions: _Optional[str] = ...) -> None: ...

class Bar(_message.Message):
    __slots__ = ("kind", "day", "ts_open_ns", "ts_close_ns", "open", "high", "low", "close", "volume", "vwap", "trades", "revision", "is_final", "flags", "feed", "symbol", "interval", "session")
    KIND_FIELD_NUMBER: _ClassVar[int]
    DAY_FIELD_NUMBER: _ClassVar[int]
    TS_OPEN_NS_FIELD_NUMBER: _ClassVar[int]
    TS_CLOSE_NS_FIELD_NUMBER: _ClassVar[int]
    OPEN_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    CLOSE_FIELD_NUMBER: _ClassVar[int]
    VOLUME_FIELD_NUMBER: _ClassVar[int]
    VWAP_FIELD_NUMBER: _ClassVar[int]
    TRADES_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    IS_FINAL_FIELD_NUMBER: _ClassVar[int]
    FLAGS_FIELD_NUMBER: _ClassVar[int]
    FEED_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    kind: int
    day: int
    ts_open_ns: int
    ts_close_ns: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    vwap: float
    trades: int
    revision: int
    is_final: int
    flags: int
    feed: str
    symbol: str
    interval: str
    session: str
    def __init__(self, kind: _Optional[int] = ..., day: _Optional[int] = ..., ts_open_ns: _Optional[int] = ..., ts_close_ns: _Optional[int] = ..., open: _Optional[float] = ..., high: _Optional[float] = ..., low: _Optional[float] = ..., close: _Optional[float] = ..., volume: _Optional[float] = ..., vwap: _Optional[float] = ..., trades: _Optional[int] = ..., revision: _Optional[int] = ..., is_final: _Optional[int] = ..., flags: _Optional[int] = ..., feed: _Optional[str] = ..., symbol: _Optional[str] = ..., interval: _Optional[str] = ..., session: _Optional[str] = ...) -> None: ...

class Status(_message.Message):
    __slots__ = ("kind", "day", "ts_ns", "event_id", "ts_event_ns", "ts_recv_ns", "limit_up", "limit_down", "flags", "feed", "symbol", "action", "reason", "tape")
    KIND_FIELD_NUMBER: _ClassVar[int]
    DAY_FIELD_NUMBER: _ClassVar[int]
    TS_NS_FIELD_NUMBER: _ClassVar[int]
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    TS_EVENT_NS_FIELD_NUMBER: _ClassVar[int]
    TS_RECV_NS_FIELD_NUMBER: _ClassVar[int]
    LIMIT_UP_FIELD_NUMBER: _ClassVar[int]
    LIMIT_DOWN_FIELD_NUMBER: _ClassVar[int]
    FLAGS_FIELD_NUMBER: _ClassVar[int]
    FEED_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TAPE_FIELD_NUMBER: _ClassVar[int]
    kind: int
    day: int
    ts_ns: int
    event_id: int
    ts_event_ns: int
    ts_recv_ns: int
    limit_up: float
    limit_down: float
    flags: int
    feed: str
    symbol: str
    action: str
    reason: str
    tape: str
    def __init__(self, kind: _Optional[int] = ..., day: _Optional[int] = ..., ts_ns: _Optional[int] = ..., event_id: _Optional[int] = ..., ts_event_ns: _Optional[int] = ..., ts_recv_ns: _Optional[int] = ..., limit_up: _Optional[float] = ..., limit_down: _Optional[float] = ..., flags: _Optional[int] = ..., feed: _Optional[str] = ..., symbol: _Optional[str] = ..., action: _Optional[str] = ..., reason: _Optional[str] = ..., tape: _Optional[str] = ...) -> None: ...

class Correction(_message.Message):
    __slots__ = ("kind", "day", "ts_ns", "event_id", "ts_event_ns", "ts_recv_ns", "original_event_id", "original_price", "original_size", "price", "size", "flags", "feed", "symbol", "action", "venue", "tape", "trade_id", "corrected_trade_id", "conditions")
    KIND_FIELD_NUMBER: _ClassVar[int]
    DAY_FIELD_NUMBER: _ClassVar[int]
    TS_NS_FIELD_NUMBER: _ClassVar[int]
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    TS_EVENT_NS_FIELD_NUMBER: _ClassVar[int]
    TS_RECV_NS_FIELD_NUMBER: _ClassVar[int]
    ORIGINAL_EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    ORIGINAL_PRICE_FIELD_NUMBER: _ClassVar[int]
    ORIGINAL_SIZE_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    FLAGS_FIELD_NUMBER: _ClassVar[int]
    FEED_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    VENUE_FIELD_NUMBER: _ClassVar[int]
    TAPE_FIELD_NUMBER: _ClassVar[int]
    TRADE_ID_FIELD_NUMBER: _ClassVar[int]
    CORRECTED_TRADE_ID_FIELD_NUMBER: _ClassVar[int]
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    kind: int
    day: int
    ts_ns: int
    event_id: int
    ts_event_ns: int
    ts_recv_ns: int
    original_event_id: int
    original_price: float
    original_size: float
    price: float
    size: float
    flags: int
    feed: str
    symbol: str
    action: str
    venue: str
    tape: str
    trade_id: str
    corrected_trade_id: str
    conditions: str
    def __init__(self, kind: _Optional[int] = ..., day: _Optional[int] = ..., ts_ns: _Optional[int] = ..., event_id: _Optional[int] = ..., ts_event_ns: _Optional[int] = ..., ts_recv_ns: _Optional[int] = ..., original_event_id: _Optional[int] = ..., original_price: _Optional[float] = ..., original_size: _Optional[float] = ..., price: _Optional[float] = ..., size: _Optional[float] = ..., flags: _Optional[int] = ..., feed: _Optional[str] = ..., symbol: _Optional[str] = ..., action: _Optional[str] = ..., venue: _Optional[str] = ..., tape: _Optional[str] = ..., trade_id: _Optional[str] = ..., corrected_trade_id: _Optional[str] = ..., conditions: _Optional[str] = ...) -> None: ...

class Gap(_message.Message):
    __slots__ = ("kind", "day", "from_ns", "to_ns", "ts_recv_ns", "missing", "feed", "channel", "cause", "state", "detail")
    KIND_FIELD_NUMBER: _ClassVar[int]
    DAY_FIELD_NUMBER: _ClassVar[int]
    FROM_NS_FIELD_NUMBER: _ClassVar[int]
    TO_NS_FIELD_NUMBER: _ClassVar[int]
    TS_RECV_NS_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    FEED_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    kind: int
    day: int
    from_ns: int
    to_ns: int
    ts_recv_ns: int
    missing: int
    feed: str
    channel: str
    cause: str
    state: str
    detail: str
    def __init__(self, kind: _Optional[int] = ..., day: _Optional[int] = ..., from_ns: _Optional[int] = ..., to_ns: _Optional[int] = ..., ts_recv_ns: _Optional[int] = ..., missing: _Optional[int] = ..., feed: _Optional[str] = ..., channel: _Optional[str] = ..., cause: _Optional[str] = ..., state: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ("kind", "ts_recv_ns", "since_ns", "feed")
    KIND_FIELD_NUMBER: _ClassVar[int]
    TS_RECV_NS_FIELD_NUMBER: _ClassVar[int]
    SINCE_NS_FIELD_NUMBER: _ClassVar[int]
    FEED_FIELD_NUMBER: _ClassVar[int]
    kind: int
    ts_recv_ns: int
    since_ns: int
    feed: str
    def __init__(self, kind: _Optional[int] = ..., ts_recv_ns: _Optional[int] = ..., since_ns: _Optional[int] = ..., feed: _Optional[str] = ...) -> None: ...

class Alert(_message.Message):
    __slots__ = ("kind", "ts_ns", "recorded_ns", "value", "threshold", "is_quiet", "id", "rule", "feed", "symbol", "severity", "notify", "message", "rule_kind")
    KIND_FIELD_NUMBER: _ClassVar[int]
    TS_NS_FIELD_NUMBER: _ClassVar[int]
    RECORDED_NS_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    IS_QUIET_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    FEED_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    NOTIFY_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RULE_KIND_FIELD_NUMBER: _ClassVar[int]
    kind: int
    ts_ns: int
    recorded_ns: int
    value: float
    threshold: float
    is_quiet: int
    id: str
    rule: str
    feed: str
    symbol: str
    severity: str
    notify: str
    message: str
    rule_kind: str
    def __init__(self, kind: _Optional[int] = ..., ts_ns: _Optional[int] = ..., recorded_ns: _Optional[int] = ..., value: _Optional[float] = ..., threshold: _Optional[float] = ..., is_quiet: _Optional[int] = ..., id: _Optional[str] = ..., rule: _Optional[str] = ..., feed: _Optional[str] = ..., symbol: _Optional[str] = ..., severity: _Optional[str] = ..., notify: _Optional[str] = ..., message: _Optional[str] = ..., rule_kind: _Optional[str] = ...) -> None: ...
