"""Faults: as many as asked, the same for the same seed, whatever the timing."""

from __future__ import annotations

import json

import msgpack
import numpy as np
import pytest

from ticktrail.feeds.sim import COPY, DROPPED, LATE_DELIVERY, Faults
from ticktrail.feeds.sim.faults import FaultPlan
from ticktrail.feeds.sim.messages import TRADE, Rows


def trades(n_symbols: int, per_symbol: int) -> Rows:
    rows = np.zeros(n_symbols * per_symbol, dtype=TRADE)
    rows["symbol"] = np.tile(np.arange(n_symbols), per_symbol)
    rows["id"] = np.repeat(np.arange(per_symbol), n_symbols)
    return rows


def delivered(plan: FaultPlan, rows: Rows, cuts: list[int]) -> list[tuple[int, int, int]]:
    parts = np.split(rows, cuts)
    result = []
    for number, part in enumerate(parts):
        sent, marks = plan.apply(part, part["id"], is_last=number == len(parts) - 1)
        result += list(zip(sent["symbol"].tolist(), sent["id"].tolist(), marks.tolist(), strict=True))
    return result


ALL = Faults(drop_per_million=20_000, duplicate_per_million=30_000, reorder_per_million=40_000)


def test_each_fault_happens_as_often_as_asked() -> None:
    out = delivered(FaultPlan(ALL, seed=5), trades(100, 1_000), [])
    marks = np.array([mark for _, _, mark in out])
    for mark, share in ((DROPPED, 0.02), (COPY, 0.03), (LATE_DELIVERY, 0.04)):
        assert (marks == mark).sum() == pytest.approx(share * 100_000, rel=0.1)
    # Every message is delivered or dropped once; copies come on top.
    once = sorted((symbol, number) for symbol, number, mark in out if mark != COPY)
    assert once == [(symbol, number) for symbol in range(100) for number in range(1_000)]
    copied = [(symbol, number) for symbol, number, mark in out if mark == COPY]
    assert len(copied) == len(set(copied))


def test_faults_do_not_depend_on_timing() -> None:
    rows = trades(10, 500)
    one = delivered(FaultPlan(ALL, seed=5), rows, [])
    cuts = sorted(np.random.default_rng(3).integers(0, len(rows), 200).tolist())
    other = delivered(FaultPlan(ALL, seed=5), rows, cuts)
    assert sorted(one) == sorted(other)
    assert sorted(one) != sorted(delivered(FaultPlan(ALL, seed=6), rows, []))


def test_what_is_kept_back_comes_behind_later_messages() -> None:
    rows = trades(1, 2_000)
    out = delivered(FaultPlan(Faults(reorder_per_million=100_000), seed=1), rows, list(range(1, 2_000)))
    numbers = [number for _, number, _ in out]
    assert sorted(numbers) == list(range(2_000))
    highest = -1
    for _, number, mark in out[:-5]:
        if mark == LATE_DELIVERY:
            assert number < highest
        highest = max(highest, number)


def test_without_faults_nothing_is_touched() -> None:
    rows = trades(3, 3)
    sent, marks = FaultPlan(Faults(), seed=1).apply(rows, rows["id"])
    assert sent is rows
    assert not marks.any()


def test_garbage_of_every_kind_comes_and_none_of_it_is_a_trade() -> None:
    rows = trades(10, 200)
    plan = FaultPlan(Faults(garbage_per_million=1_000_000), seed=1)
    frames = list(plan.garbage(rows, rows["id"]))
    assert len(frames) == len(rows)
    assert len({garbage.kind for garbage in frames}) == 10
    for garbage in frames[:200:10] + frames[::171]:
        for payload, decode in ((garbage.json, json.loads), (garbage.msgpack, msgpack.unpackb)):
            try:
                messages = decode(payload)
            except (ValueError, msgpack.UnpackException):
                continue
            for message in messages if isinstance(messages, list) else [messages]:
                assert not _is_trade(message)


def _is_trade(message: object) -> bool:
    types = {"T": str, "S": str, "i": int, "p": float, "s": int, "t": str}
    return (
        isinstance(message, dict)
        and message.get("T") == "t"
        and all(isinstance(message.get(name), kind) for name, kind in types.items())
        and not message["t"].startswith("9999-99")
    )
