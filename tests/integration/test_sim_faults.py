"""What the simulated exchange does wrong on purpose, and to whom: all of it stands in its log."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sim_kit import (
    ALL,
    AUTH,
    EVEN,
    changed,
    client,
    exchange,
    gather,
    hear,
    in_log,
    keys,
    logged_keys,
    say,
)
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError

from ticktrail.feeds.sim import (
    COPY,
    DROPPED,
    LATE_DELIVERY,
    SILENCED,
    Faults,
)


def test_dropped_repeated_and_late_messages_are_those_in_the_log(tmp_path: Path) -> None:
    faults = Faults(
        drop_per_million=10_000,
        duplicate_per_million=10_000,
        reorder_per_million=10_000,
        garbage_per_million=1_000,
    )
    settings = changed(EVEN, trades_max=20_000, faults=faults, log_dir=str(tmp_path))

    async def scenario() -> list[dict[str, Any]]:
        async with exchange(settings) as running, client(running.url, ALL) as socket:
            return await gather(socket)

    messages = asyncio.run(scenario())
    whole = [
        message
        for message in messages
        if message["T"] == "t"
        and isinstance(message.get("p"), float | int)
        and not message["t"].startswith("9999-99")
    ]
    logged = in_log(tmp_path, sent_only=False)
    assert keys(whole) == logged_keys([row for row in logged if row["marks"] != DROPPED])
    marks = Counter(row["marks"] for row in logged)
    for mark in (DROPPED, COPY, LATE_DELIVERY):
        assert 120 < marks[mark] < 290
    assert all(row["recipients"] == (row["marks"] != DROPPED) for row in logged)
    assert sum(marks.values()) == 20_000 + marks[COPY]
    # What was dropped is exactly what is missing from the contiguous ids.
    received = set(keys(whole))
    missing = {
        (symbol, number) for symbol, last in dict(sorted(received)).items() for number in range(1, last + 1)
    } - received
    dropped = {(row["symbol"], row["id"]) for row in logged if row["marks"] == DROPPED}
    assert missing <= dropped
    assert len(dropped - missing) <= 10  # at a symbol's end nothing shows the hole
    garbage = [row for row in in_log(tmp_path, "faults") if row["fault"] == "garbage"]
    assert 5 < len(garbage) < 50


def test_after_a_disconnect_nothing_that_was_logged_as_sent_is_lost(tmp_path: Path) -> None:
    faults = Faults(disconnect_every_s=0.5)
    settings = changed(EVEN, seconds=1.6, close_at_end=False, faults=faults, log_dir=str(tmp_path))

    async def scenario() -> tuple[list[dict[str, Any]], int]:
        messages: list[dict[str, Any]] = []
        cuts = 0
        async with exchange(settings) as running:
            while cuts < 3:
                async with client(running.url, ALL) as socket:
                    messages += await gather(socket)
                    with pytest.raises(ConnectionClosedError) as caught:
                        await socket.recv()
                    assert caught.value.rcvd is None  # no closing handshake
                    cuts += 1
        return messages, cuts

    messages, cuts = asyncio.run(scenario())
    logged = in_log(tmp_path, sent_only=False)
    sent = [row for row in logged if row["recipients"]]
    assert keys(messages) == logged_keys(sent)
    assert len(sent) < len(logged)  # while the client was away, the market went on
    disconnects = [row for row in in_log(tmp_path, "faults") if row["fault"] == "disconnect"]
    assert len(disconnects) == cuts == 3


def test_silence_loses_what_was_due_and_keeps_the_connection(tmp_path: Path) -> None:
    settings = changed(
        EVEN, seconds=1.0, faults=Faults(silence_at_s=0.3, silence_s=0.4), log_dir=str(tmp_path)
    )

    async def scenario() -> list[dict[str, Any]]:
        async with exchange(settings) as running, client(running.url, ALL) as socket:
            return await gather(socket)

    messages = asyncio.run(scenario())
    logged = in_log(tmp_path, sent_only=False)
    silenced = [row for row in logged if row["marks"] == SILENCED]
    assert keys(messages) == logged_keys([row for row in logged if not row["marks"]])
    assert len(silenced) == pytest.approx(8_000, rel=0.4)
    assert not any(row["recipients"] for row in silenced)
    notes = [row["detail"] for row in in_log(tmp_path, "faults") if row["fault"] == "silence"]
    assert notes == ["begins", "ends"]


def test_a_client_that_does_not_read_gets_error_407_and_the_others_do_not_wait(tmp_path: Path) -> None:
    settings = changed(
        EVEN, rate=100_000, trades_max=150_000, client_buffer_bytes_max=1_000_000, log_dir=str(tmp_path)
    )

    async def scenario() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        # One frame in its queue; it leaves the rest to the kernel's buffers and the exchange's.
        async with (
            exchange(settings) as running,
            connect(running.url, proxy=None, max_queue=1, close_timeout=0.1) as slow,
        ):
            await hear(slow)
            await say(slow, AUTH)
            await slow.send(json.dumps(ALL))
            async with client(running.url, ALL) as quick:
                gathered = await gather(quick)
            return gathered, await gather(slow)

    quick, slow = asyncio.run(scenario())
    logged = logged_keys(in_log(tmp_path))
    # The market began with the slow one's subscription; the other got everything from its own on.
    assert len(keys(slow)) < len(keys(quick)) <= 150_000
    assert keys(quick) == logged[-len(keys(quick)) :]
    assert slow[-1] == {"T": "error", "code": 407, "msg": "slow client"}
    # What it got before the error has no hole.
    assert keys(slow) == logged[: len(keys(slow))]
    assert "slow_client" in [row["fault"] for row in in_log(tmp_path, "faults")]
