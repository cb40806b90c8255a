"""What a page asks for once: its own files, and a chart's history."""

from __future__ import annotations

import gzip
import http.client
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.percentiles import Summary, summary
from ticktrail.clock import NS_PER_SECOND, NS_PER_US, SystemClock
from ticktrail.config import Settings
from ticktrail.model import INTERVALS_NS, Bar, Columns
from ticktrail.reference.days import trading_days
from ticktrail.store import BARS, Writer, connect, migrate

__all__ = ["HISTORY", "ask", "history_of", "page_weight", "write_history"]

HISTORY = ("history", "AAA")
BARS_COUNT = 10_000
# There are more than are asked for, as in a chart that was not dragged to its beginning.
_STORED_COUNT = 12_000
REQUESTS = 100
_WARM_UP_REQUESTS = 10
# The server allows an address 40 a second.
_REQUEST_EVERY_S = 0.03
_TIMEOUT_S = 60
_ZONE = "America/New_York"
# What opens only when a user goes there.
_LATER = "View-"


def page_weight(page: Path) -> dict[str, Any]:
    """Weigh the built page: what is loaded until the first view, charts included, stands.

    The files of other views, whose names say so, are loaded when they are opened. Each file is compressed by
    itself, as a server would.
    """
    if not (page / "index.html").is_file():
        return {"note": "the page is not built into this installation"}
    weights = {
        str(path.relative_to(page)): (path.stat().st_size, len(gzip.compress(path.read_bytes(), 6)))
        for path in sorted(page.rglob("*"))
        if path.is_file()
    }
    first = {name: each for name, each in weights.items() if _LATER not in name}

    def kib(chosen: Mapping[str, tuple[int, int]], place: int) -> float:
        return round(sum(each[place] for each in chosen.values()) / 1024, 1)

    return {
        "first_view_gzipped_kib": kib(first, 1),
        "first_view_kib": kib(first, 0),
        "first_view_files": len(first),
        "all_views_gzipped_kib": kib(weights, 1),
    }


def write_history(settings: Settings) -> None:
    """Store bars of a second and of a minute, one after the other, up to the last full hour."""
    with closing(connect(settings.store)) as session:
        migrate(session)
        for interval in ("1s", "1m"):
            bars = _bars(interval)
            Writer(session, 16).write(BARS, bars, bars["ts_close_ns"] // NS_PER_US)


def history_of(address: str, token: str) -> dict[str, Summary]:
    """Ask for all of these bars, on one connection; give how long answers took until their last byte."""
    asked = {
        "1s": "interval=1s",
        "1m": "interval=1m",
        "1m_indicators": "interval=1m&indicators=sma(20),bbands(20,2),rsi(14),macd(12,26,9),vwap",
        "1m_arrow": "interval=1m&format=arrow",
        "1m_beginning": f"interval=1m&end_ns={_opens_ns('1m')[BARS_COUNT // 2]}",
    }
    feed, symbol = HISTORY
    start = f"/api/v1/bars?feed={feed}&symbol={symbol}&limit={BARS_COUNT}"
    return {name: _timed(address, token, f"{start}&{query}") for name, query in asked.items()}


def ask(address: str, token: str, path: str, body: bytes | None = None) -> bytes:
    """Send one request; give the answer, which must be a good one."""
    with closing(http.client.HTTPConnection(address, timeout=_TIMEOUT_S)) as connection:
        return _answer(connection, token, path, body)


def _timed(address: str, token: str, path: str) -> Summary:
    took_ns = []
    with closing(http.client.HTTPConnection(address, timeout=_TIMEOUT_S)) as connection:
        for _ in range(_WARM_UP_REQUESTS + REQUESTS):
            begun_ns = time.perf_counter_ns()
            _answer(connection, token, path, None)
            took_ns.append(time.perf_counter_ns() - begun_ns)
            time.sleep(max(0.0, _REQUEST_EVERY_S - took_ns[-1] / NS_PER_SECOND))
    return summary(np.array(took_ns[_WARM_UP_REQUESTS:]))


def _answer(connection: http.client.HTTPConnection, token: str, path: str, body: bytes | None) -> bytes:
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    connection.request("GET" if body is None else "POST", path, body, headers)
    answer = connection.getresponse()
    content = answer.read()
    assert answer.status == 200, content[:500]
    return content


def _opens_ns(interval: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    last_ns = SystemClock().now_ns() // INTERVALS_NS["1h"] * INTERVALS_NS["1h"]
    return last_ns + (np.arange(_STORED_COUNT) - _STORED_COUNT) * INTERVALS_NS[interval]


def _bars(interval: str) -> Columns[Bar]:
    length_ns, opens_ns = INTERVALS_NS[interval], _opens_ns(interval)
    random = np.random.default_rng(1)
    close = 100.0 + np.round(np.cumsum(random.normal(0.0, 0.02, _STORED_COUNT)), 2)
    feed, symbol = HISTORY
    fields = {
        "feed": feed.encode(),
        "symbol": symbol.encode(),
        "interval": interval.encode(),
        "day": trading_days(opens_ns, _ZONE).astype(np.int32),
        "ts_open_ns": opens_ns,
        "ts_close_ns": opens_ns + length_ns,
        "open": close - 0.01,
        "high": close + 0.02,
        "low": close - 0.03,
        "close": close,
        "volume": random.integers(1, 10_000, _STORED_COUNT).astype(np.float64),
        "vwap": close - 0.005,
        "trades": random.integers(1, 100, _STORED_COUNT),
        "session": b"regular",
        "revision": np.zeros(_STORED_COUNT, dtype=np.int32),
        "is_final": np.ones(_STORED_COUNT, dtype=np.bool_),
        "flags": np.zeros(_STORED_COUNT, dtype=np.int32),
    }
    return Columns(Bar, fields)
