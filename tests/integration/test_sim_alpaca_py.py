"""Alpaca's own client, pointed at the simulated exchange, receives what the exchange's log says it sent."""

from __future__ import annotations

import asyncio
import threading
import warnings
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ticktrail.clock import SystemClock
from ticktrail.feeds.sim import SimSettings, read_log, serve

with warnings.catch_warnings():
    # alpaca-py still imports the legacy client of websockets, which warns of itself.
    warnings.simplefilter("ignore", DeprecationWarning)
    from alpaca.data.live.stock import StockDataStream
    from alpaca.data.models import Quote, Trade, TradeCancel, TradeCorrection, TradingStatus

MODELS = {"t": Trade, "q": Quote, "s": TradingStatus, "c": TradeCorrection, "x": TradeCancel}

# The import's warning again, from the client's thread.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

DEADLINE_S = 60.0

SETTINGS = SimSettings(
    session_s=0,
    rate=3_000,
    symbols=200,
    quotes_per_trade=1.0,
    trades_max=6_000,
    corrections_per_million=5_000,
    cancels_per_million=5_000,
    halts_per_hour=36_000,
    halt_s=0.1,
)

Received = dict[str, list[dict[str, Any]]]


class Client:
    """The official client in a thread of its own, as its users run it; it keeps what it is handed."""

    def __init__(self, url: str, *symbols: str) -> None:
        self.received: Received = {name: [] for name in "tqscx"}
        self._stream = StockDataStream("sim", "sim", raw_data=True, url_override=url)
        for subscribe in (
            self._stream.subscribe_trades,
            self._stream.subscribe_quotes,
            self._stream.subscribe_trading_statuses,
        ):
            subscribe(self._keep, *symbols)
        self._stream.register_trade_corrections(self._keep)
        self._stream.register_trade_cancels(self._keep)
        self._thread = threading.Thread(target=self._stream.run)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Tell it to end; it does when its connection has closed."""
        self._stream.stop()

    def join(self) -> None:
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive()

    async def _keep(self, message: dict[str, Any]) -> None:
        self.received[message["T"]].append(message)


def run(settings: SimSettings, *symbols: str) -> Received:
    """Let the client listen until the exchange has sent everything and the client has read it."""

    async def scenario() -> Received:
        listening, stop = asyncio.Event(), asyncio.Event()
        urls: list[str] = []

        def ready(url: str) -> None:
            urls.append(url)
            listening.set()

        task = asyncio.create_task(serve(settings, SystemClock(), ready=ready, stop=stop))
        async with asyncio.timeout(DEADLINE_S):
            await listening.wait()
            client = Client(urls[0], *symbols)
            client.start()
            try:
                # The client's thread has no event of ours to wait for.
                while not _has_all(client.received, Path(settings.log_dir)):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            finally:
                client.stop()
                stop.set()
                await task
                await asyncio.to_thread(client.join)
        return client.received

    return asyncio.run(scenario())


def _has_all(received: Received, directory: Path) -> bool:
    tables = read_log(directory, sent_only=True)
    if "over" not in tables["faults"]["fault"].to_pylist():
        return False
    return len(received["t"]) >= len(tables["trades"]) and len(received["q"]) >= len(tables["quotes"])


def rows(table: pa.Table, *names: str) -> list[tuple[Any, ...]]:
    return list(zip(*(table[name].to_pylist() for name in names), strict=True))


def test_every_message_equals_the_log(tmp_path: Path) -> None:
    received = run(SimSettings(**_fields(SETTINGS) | {"log_dir": str(tmp_path)}), "*")
    tables = read_log(tmp_path, sent_only=True)
    assert len(tables["trades"]) == 6_000
    assert [
        (m["S"], m["i"], m["t"].to_unix_nano(), m["p"], m["s"], m["x"], m["z"], ",".join(m["c"]))
        for m in received["t"]
    ] == rows(tables["trades"], "symbol", "id", "ts_event_ns", "price", "size", "venue", "tape", "conditions")
    assert [
        (m["S"], m["t"].to_unix_nano(), m["bp"], m["bs"], m["bx"], m["ap"], m["as"], m["ax"], m["z"])
        for m in received["q"]
    ] == rows(
        tables["quotes"],
        *("symbol", "ts_event_ns", "bid_price", "bid_size", "bid_venue"),
        *("ask_price", "ask_size", "ask_venue", "tape"),
    )
    assert len(received["q"]) == pytest.approx(6_000, rel=0.1)
    halts = [row for row in tables["statuses"].to_pylist() if row["code"] is not None]
    assert [
        (m["S"], m["t"].to_unix_nano(), m["sc"], m["sm"], m["rc"], m["rm"], m["z"]) for m in received["s"]
    ] == [
        tuple(
            row[name]
            for name in ("symbol", "ts_event_ns", "code", "text", "reason_code", "reason_text", "tape")
        )
        for row in halts
    ]
    assert halts
    amended = tables["corrections"].to_pylist()
    assert [(m["S"], m["oi"], m["op"], m["os"], m["ci"], m["cp"], m["cs"]) for m in received["c"]] == [
        tuple(
            row[name]
            for name in (
                *("symbol", "original_id", "original_price", "original_size"),
                *("corrected_id", "corrected_price", "corrected_size"),
            )
        )
        for row in amended
        if row["action"] == "correct"
    ]
    assert [(m["S"], m["i"], m["p"], m["s"], m["a"]) for m in received["x"]] == [
        (row["symbol"], row["original_id"], row["original_price"], row["original_size"], row["action"])
        for row in amended
        if row["action"] != "correct"
    ]
    assert received["c"]
    assert received["x"]
    # Its users get its own models, which validate; here each message is put through them afterwards.
    for kind, model in MODELS.items():
        for message in received[kind]:
            assert model(message["S"], message | {"t": message["t"].to_datetime()}).symbol == message["S"]


def test_named_symbols_only(tmp_path: Path) -> None:
    received = run(SimSettings(**_fields(SETTINGS) | {"log_dir": str(tmp_path)}), "AAPL", "BRK.B")
    tables = read_log(tmp_path, sent_only=True)
    assert {m["S"] for m in received["t"]} == {"AAPL", "BRK.B"}
    assert [(m["S"], m["i"]) for m in received["t"]] == rows(tables["trades"], "symbol", "id")
    # Ids are contiguous, so nothing of these symbols is missing after their first.
    for symbol in ("AAPL", "BRK.B"):
        ids = [m["i"] for m in received["t"] if m["S"] == symbol]
        assert ids == list(range(ids[0], ids[-1] + 1))


def _fields(settings: SimSettings) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in settings.__struct_fields__}
