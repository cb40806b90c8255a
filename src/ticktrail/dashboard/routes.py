"""The HTTP API over what is stored and what is live; described by its own OpenAPI document."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Annotated, Any, Literal, cast, get_args

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.openapi import ResponseSpec
from litestar.params import JSONBody, QueryParameter

from ticktrail import __version__
from ticktrail.alerts.described import described_kinds
from ticktrail.bars.window import midnight_ns
from ticktrail.dashboard import answers, history
from ticktrail.dashboard.answers import (
    BarsAnswer,
    GapsAnswer,
    Info,
    Pipeline,
    SqlAnswer,
    SqlTables,
    SymbolsAnswer,
    Ticks,
)
from ticktrail.dashboard.asking import Asking
from ticktrail.dashboard.indicators import CATALOGUE, Spec, computed, parsed, warm_up_bars
from ticktrail.dashboard.service import Service
from ticktrail.errors import UsageError
from ticktrail.model import INTERVALS_NS
from ticktrail.query.datasets import SMALL_SCHEMAS
from ticktrail.reference import Market, trading_days
from ticktrail.store import TABLES, sql_schema

__all__ = ["ROUTES"]

_BARS_MAX = 10_000
_TICKS_MAX = 10_000
_DAY_NS = 86_400_000_000_000
_GAP_DAYS = 7
_SAFE_INTEGER = 1 << 53

Format = Literal["json", "arrow", "csv"]
Feed = Annotated[str, QueryParameter(name="feed", max_length=64)]
Symbol = Annotated[str, QueryParameter(name="symbol", max_length=64)]
Interval = Annotated[answers.Interval, QueryParameter(name="interval")]
Instant = Annotated[int | None, QueryParameter(name="end_ns", ge=0, le=(1 << 63) - 1)]
Start = Annotated[int | None, QueryParameter(name="start_ns", ge=0, le=(1 << 63) - 1)]
As = Annotated[Format, QueryParameter(name="format")]


class Question(msgspec.Struct, forbid_unknown_fields=True):
    """What is asked in SQL."""

    sql: Annotated[str, msgspec.Meta(min_length=1, max_length=100_000)]
    rows_max: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)] | None = None
    format: Format = "json"
    scan_all: bool = False


@get("/info", summary="What this server is, and what it can give")
async def info(state: State, request: Request[Any, Any, State]) -> Info:
    """Tell versions, feeds, intervals, bounds, kinds of rules, and what the request's token allows."""
    service: Service = state.service
    asking: Asking = service.asking
    return {
        "version": __version__,
        "feeds": service.feeds(),
        "intervals": list(get_args(answers.Interval)),
        "indicators": [
            {
                "name": name,
                "parameters": each.parameters,
                "outputs": list(each.outputs),
                "pane": "price" if each.is_over_price else "own",
            }
            for name, each in CATALOGUE.items()
        ],
        "limits": {
            "sql_rows_max": asking.rows_max,
            "sql_seconds_max": asking.seconds_max,
            "bars_max": _BARS_MAX,
        },
        "now_ns": service.clock.now_ns(),
        "scopes": request.scope["state"]["scopes"],
        "rule_kinds": cast("list[answers.RuleKind]", described_kinds()),
        "notifiers": service.notifiers,
        "watchlists": service.watchlists,
    }


@get("/symbols", summary="Every symbol, as it stands now")
async def symbols(
    state: State, feed: Annotated[str | None, QueryParameter(name="feed", max_length=64)] = None
) -> SymbolsAnswer:
    """Give the live row of each symbol."""
    board = state.service.hub.board
    codes = [code for code in range(len(board)) if feed is None or board.key(code)[0] == feed]
    return {"symbols": board.rows(np.array(codes, dtype=np.int64), sparklines=True)}


@get(
    "/bars",
    summary="The newest bars before an instant",
    responses={
        200: ResponseSpec(BarsAnswer, description="The bars; in bulk formats without what is around.")
    },
)
async def bars(
    state: State,
    feed: Feed,
    symbol: Symbol,
    interval: Interval = "1m",
    end_ns: Instant = None,
    limit: Annotated[int, QueryParameter(name="limit", ge=1, le=_BARS_MAX)] = 500,
    indicators: Annotated[str, QueryParameter(name="indicators", max_length=500)] = "",
    as_format: As = "json",
) -> Any:
    """Give stored bars, rising in time, with indicators, and the gaps and sessions around them."""
    service: Service = state.service
    specs, market = parsed(indicators), service.market_of(feed)
    newest_ns = service.clock.now_ns() + INTERVALS_NS[interval]
    end_ns = newest_ns if end_ns is None else min(end_ns, newest_ns)

    def read() -> tuple[Any, list[answers.GapRow]]:
        engine = service.engine()
        count = limit + max(warm_up_bars(specs), 1)
        found = history.bars_before(engine, feed, symbol, interval, end_ns, count)
        since_ns = found["ts_open_ns"][max(len(found) - limit, 0)].as_py() if len(found) else end_ns
        if len(found) and interval != "1d" and any(spec.name == "vwap" for spec in specs):
            # It is counted from the beginning of the day.
            day_ns = midnight_ns(int(trading_days(np.array([since_ns]), market.zone)[0]), market)
            from_ns = min(day_ns, found["ts_open_ns"][0].as_py())
            found = history.bars_within(engine, feed, symbol, interval, (from_ns, end_ns))
        return found, history.gaps_since(engine, feed, since_ns)

    older, gaps = await service.ask(read)
    has_more = len(older) > limit
    found = older.slice(len(older) - limit if has_more else 0)

    def answer() -> dict[str, Any]:
        columns = {name: found[name].to_pylist() for name in found.column_names}
        opens = columns["ts_open_ns"]
        return {
            "feed": feed,
            "symbol": symbol,
            "interval": interval,
            "has_more": has_more,
            "bars": columns,
            "indicators": _indicators(specs, older, market, len(found)),
            "gaps": [gap for gap in gaps if gap["channel"] in {"*", symbol} and gap["from_ns"] < end_ns],
            "sessions": history.session_spans(opens[0], opens[-1], market) if opens else [],
        }

    return await _written(found, as_format, answer)


def _ticks_route(table: str) -> Any:
    @get(
        f"/{table}",
        name=table,
        summary=f"The newest {table} within a time",
        operation_id=f"newest_{table}",
        responses={200: ResponseSpec(Ticks, description="Columns of the SQL table, or the bulk format.")},
    )
    async def route(
        state: State,
        feed: Feed,
        symbol: Symbol,
        start_ns: Start = None,
        end_ns: Instant = None,
        limit: Annotated[int, QueryParameter(name="limit", ge=1, le=_TICKS_MAX)] = 1_000,
        as_format: As = "json",
    ) -> Any:
        service: Service = state.service
        end_ns = service.clock.now_ns() if end_ns is None else end_ns
        start_ns = end_ns - _DAY_NS if start_ns is None else start_ns
        if start_ns >= end_ns:
            raise UsageError(what="start_ns is not before end_ns", next_step="Give a time that has a length.")
        span_ns = start_ns, end_ns
        found = await service.ask(
            lambda: history.ticks(service.engine(), table, (feed, symbol), span_ns, limit), is_long=True
        )
        names = [name for name in found.column_names if name not in {"ts", "day"}]
        return await _written(found, as_format, lambda: {name: _plain(found[name]) for name in names})

    route.fn.__doc__ = f"Give stored {table} of a symbol, rising in time; by default of the last day."
    return route


@get("/gaps", summary="Holes in the record")
async def gaps(
    state: State,
    feed: Annotated[str | None, QueryParameter(name="feed", max_length=64)] = None,
    symbol: Annotated[str | None, QueryParameter(name="symbol", max_length=64)] = None,
    days: Annotated[int, QueryParameter(name="days", ge=1, le=36_500)] = _GAP_DAYS,
) -> GapsAnswer:
    """Give the ledger's rows of the last days; those of a whole feed concern its symbols."""
    service: Service = state.service
    since_ns = service.clock.now_ns() - days * _DAY_NS
    found = await service.ask(lambda: history.gaps_since(service.engine(), feed, since_ns))
    return {"gaps": [gap for gap in found if symbol is None or gap["channel"] in {"*", symbol}]}


@get("/pipeline", summary="How the stages and servers fare")
async def pipeline(state: State) -> Pipeline:
    """Give what `ticktrail status` shows."""
    found: Pipeline = state.service.hub.pipeline
    return found


@get("/sql/schema", summary="Tables and columns that SQL may ask for", opt={"scope": "sql"})
async def sql_tables(state: State) -> SqlTables:
    """Describe what can be asked, for people and for completion."""
    service: Service = state.service
    schemas = {name: sql_schema(table) for name, table in TABLES.items()} | SMALL_SCHEMAS
    return {
        "tables": [
            {"name": name, "columns": [{"name": field.name, "type": str(field.type)} for field in schema]}
            for name, schema in schemas.items()
        ],
        "functions": await service.ask(lambda: history.function_names(service.engine())),
        "examples": [{"title": title, "sql": text} for title, text in _EXAMPLES.items()],
    }


@post(
    "/sql",
    status_code=200,
    summary="Ask in SQL: one statement that reads",
    opt={"scope": "sql"},
    responses={200: ResponseSpec(SqlAnswer, description="The rows.")},
)
async def sql(state: State, request: Request[Any, Any, State], data: JSONBody[Question]) -> Any:
    """Run a question in a process of its own, bounded in time, rows and memory; who leaves ends it."""
    service: Service = state.service
    gone = threading.Event()
    leaving = asyncio.create_task(_note_leaving(request, gone))
    try:
        answer = await service.ask_sql(data.sql, data.rows_max, gone, scan_all=data.scan_all)
    finally:
        leaving.cancel()

    def rows() -> dict[str, Any]:
        columns = [_plain(column) for column in answer.rows.columns]
        return {
            "columns": [{"name": field.name, "type": str(field.type)} for field in answer.rows.schema],
            "rows": list(zip(*columns, strict=True)),
            "rows_count": len(answer.rows),
            "is_truncated": answer.is_truncated,
            "elapsed_ms": answer.elapsed_ns / 1e6,
        }

    return await _written(answer.rows, data.format, rows)


ROUTES = [
    info,
    symbols,
    bars,
    _ticks_route("trades"),
    _ticks_route("quotes"),
    gaps,
    pipeline,
    sql_tables,
    sql,
]

_EXAMPLES = {
    "The last trade of every symbol": "SELECT symbol, price, ts FROM latest ORDER BY symbol",
    "Volume and VWAP of the last hour": "SELECT symbol, sum(volume) AS volume, "
    "sum(vwap * volume) / sum(volume) AS vwap\nFROM bars\n"
    "WHERE interval = '1m' AND ts > now() - INTERVAL 1 HOUR\nGROUP BY symbol\n"
    "ORDER BY volume DESC",
    "Holes in the record": "SELECT * FROM gaps ORDER BY from_ts DESC",
}


def _indicators(specs: list[Spec], bars: Any, market: Market, shown: int) -> dict[str, dict[str, Any]]:
    """Compute over all bars, and give what belongs to the last ones."""
    if not specs or not shown:
        return {}
    close, volume, vwap = (bars[name].to_numpy() for name in ("close", "volume", "vwap"))
    days = trading_days(bars["ts_open_ns"].to_numpy(), market.zone).astype(np.int64)
    return {
        spec.text: {
            name: line[-shown:].tolist() for name, line in computed(spec, close, volume, vwap, days).items()
        }
        for spec in specs
    }


async def _note_leaving(request: Request[Any, Any, State], gone: threading.Event) -> None:
    """Wait until the client has gone: after a request's body nothing else comes from it."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    gone.set()


async def _written(table: Any, as_format: Format, answer: Callable[[], Any]) -> Response[bytes]:
    """Write an answer; in a thread, for a million values take a second and what is live must not wait."""

    def write() -> Response[bytes]:
        if as_format != "json":
            return _bulk(table, as_format)
        return Response(msgspec.json.encode(answer()), media_type="application/json")

    return await asyncio.to_thread(write)


def _bulk(table: Any, as_format: Format) -> Response[bytes]:
    sink = pa.BufferOutputStream()
    if as_format == "csv":
        pacsv.write_csv(table, sink)
        return Response(sink.getvalue().to_pybytes(), media_type="text/csv; charset=utf-8")
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return Response(sink.getvalue().to_pybytes(), media_type="application/vnd.apache.arrow.stream")


def _plain(column: Any) -> list[Any]:
    """Give a column's values as JSON has them; whole numbers that JavaScript would round become texts."""
    values: list[Any] = column.to_pylist()
    if pa.types.is_integer(column.type):
        return [str(value) if value is not None and abs(value) > _SAFE_INTEGER else value for value in values]
    if pa.types.is_primitive(column.type) and not pa.types.is_temporal(column.type):
        return values
    return [value if value is None or isinstance(value, str | bool) else str(value) for value in values]
