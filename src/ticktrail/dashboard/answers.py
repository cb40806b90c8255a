"""The shapes of the API's answers; its OpenAPI document follows from them.

Times are nanoseconds since 1970 in UTC. What is not known is None. The page has the same shapes in
``web/src/api/types.ts``.
"""

from __future__ import annotations

from typing import Literal, TypedDict

from ticktrail.alerts.rules import Rule

__all__ = [
    "BAR_COLUMNS",
    "AlertRow",
    "AlertsAnswer",
    "BarsAnswer",
    "Cell",
    "FeedInfo",
    "GapRow",
    "GapsAnswer",
    "Health",
    "Info",
    "Interval",
    "Pipeline",
    "Problem",
    "RuleKind",
    "RulesAnswer",
    "SqlAnswer",
    "SqlTables",
    "Stage",
    "SymbolsAnswer",
    "Tested",
    "Ticks",
]

Interval = Literal["1s", "1m", "5m", "1h", "1d"]
# Whole numbers are floats' schema as well.
Cell = str | float | bool | None


class What(TypedDict):
    """What went wrong, why, and what to do."""

    what: str
    why: str
    next_step: str


class Problem(TypedDict):
    """The body of every answer that is no success."""

    error: What


class Health(TypedDict):
    """Whether the market is being followed."""

    is_healthy: bool


class FeedInfo(TypedDict):
    """A feed that has been seen."""

    feed: str
    zone: str


class IndicatorInfo(TypedDict):
    """An indicator: its parameters' defaults, its lines, where it is drawn."""

    name: str
    parameters: dict[str, float]
    outputs: list[str]
    pane: Literal["price", "own"]


class Limits(TypedDict):
    """Bounds of answers."""

    sql_rows_max: int
    sql_seconds_max: float
    bars_max: int


class RuleParameter(TypedDict):
    """What a kind of rule takes."""

    name: str
    kind: Literal["number", "text", "choice", "list"]
    unit: str
    choices: list[str]
    default: str | float | list[str] | None
    is_required: bool
    note: str


class RuleKind(TypedDict):
    """A kind of rule."""

    kind: str
    note: str
    source: str
    unit: str
    params: list[RuleParameter]


class Info(TypedDict):
    """What this server is, and what it can give."""

    version: str
    feeds: list[FeedInfo]
    intervals: list[Interval]
    indicators: list[IndicatorInfo]
    limits: Limits
    now_ns: int
    scopes: list[str]
    rule_kinds: list[RuleKind]
    notifiers: list[str]
    watchlists: list[str]


class Row(TypedDict):
    """A symbol as it stands now."""

    feed: str
    symbol: str
    last: float | None
    size: float | None
    change: float | None
    change_pct: float | None
    change_base: Literal["close", "open"]
    open: float | None
    high: float | None
    low: float | None
    vwap: float | None
    volume: float
    trades: int
    bid: float | None
    ask: float | None
    bid_size: float | None
    ask_size: float | None
    spread: float | None
    ts_ns: int | None
    state: Literal["trading", "halted", "paused", "unknown"]
    sparkline: list[float | None]


class SymbolsAnswer(TypedDict):
    """Every symbol."""

    symbols: list[Row]


class BarColumns(TypedDict):
    """Bars as columns of one length, rising in time."""

    ts_open_ns: list[int]
    ts_close_ns: list[int]
    open: list[float | None]
    high: list[float | None]
    low: list[float | None]
    close: list[float | None]
    volume: list[float]
    vwap: list[float | None]
    trades: list[int]
    session: list[str]
    revision: list[int]
    is_final: list[bool]
    flags: list[int]


BAR_COLUMNS = tuple(BarColumns.__annotations__)


class GapRow(TypedDict):
    """A hole in the record."""

    feed: str
    channel: str
    from_ns: int
    to_ns: int
    cause: str
    state: str
    missing: int | None
    detail: str


class GapsAnswer(TypedDict):
    """Holes in the record."""

    gaps: list[GapRow]


class SessionSpan(TypedDict):
    """A session of the market."""

    kind: Literal["pre", "regular", "post"]
    from_ns: int
    to_ns: int


class BarsAnswer(TypedDict):
    """Bars with what belongs to them; each indicator's lines are as long as the bars."""

    feed: str
    symbol: str
    interval: Interval
    has_more: bool
    bars: BarColumns
    indicators: dict[str, dict[str, list[float | None]]]
    gaps: list[GapRow]
    sessions: list[SessionSpan]


# The columns of the SQL tables `trades` and `quotes`, by name; of one length, rising in time.
Ticks = dict[str, list[Cell]]


class StageIdentity(TypedDict, total=False):
    """Absent for the sum of several processes."""

    pid: int


class Stage(StageIdentity):
    """How a stage fares; `docs/reference/metrics.md` explains the columns."""

    stage: str
    kind: str
    state: str
    age_s: float
    records_per_s: float | None
    lag_records: int | None
    queued_frames: int | None
    lag_s: float | None
    latency_p50_ms: float | None
    latency_p99_ms: float | None
    venue_p50_ms: float | None
    venue_p99_ms: float | None
    batch_records: float | None
    retries: int | None
    dead_letters: int | None
    spool_bytes: int | None
    spool_age_s: float | None
    checkpoint_age_s: float | None
    rss_bytes: int | None


class PartitionLag(TypedDict):
    """How far behind the processes of a kind are in a partition."""

    stage: str
    topic: str
    partition: int
    lag_records: int


class ServerState(TypedDict):
    """Whether a server answers."""

    name: str
    state: Literal["up", "away", "unknown"]
    address: str


class Pipeline(TypedDict):
    """How the stages and servers fare."""

    stages: list[Stage]
    lags: list[PartitionLag]
    servers: list[ServerState]
    open_gaps: int | None
    ledger: str | None
    dead_letters: int
    spool_bytes: int
    clients: int
    trouble: str | None


class SqlColumn(TypedDict):
    """A column and its type."""

    name: str
    type: str


class SqlTable(TypedDict):
    """A table that can be asked for."""

    name: str
    columns: list[SqlColumn]


class SqlExample(TypedDict):
    """A question to begin with."""

    title: str
    sql: str


class SqlTables(TypedDict):
    """What can be asked in SQL."""

    tables: list[SqlTable]
    functions: list[str]
    examples: list[SqlExample]


class SqlAnswer(TypedDict):
    """The rows of a question."""

    columns: list[SqlColumn]
    rows: list[list[Cell]]
    rows_count: int
    is_truncated: bool
    elapsed_ms: float


class AlertRow(TypedDict):
    """What a rule found, and when somebody acknowledged it."""

    id: str
    rule: str
    rule_kind: str
    feed: str
    symbol: str
    ts_ns: int
    recorded_ns: int
    value: float | None
    threshold: float | None
    is_quiet: bool
    severity: str
    notify: str
    message: str
    acknowledged_ns: int | None


class AlertsAnswer(TypedDict):
    """Alerts, the newest first."""

    alerts: list[AlertRow]


class RulesAnswer(TypedDict):
    """Rules by name."""

    rules: list[Rule]


class Tested(TypedDict):
    """When a rule would have fired, in the order of time."""

    fired: list[AlertRow]
    records: int
    symbols: int
