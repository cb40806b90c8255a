"""A trade is a value: immutable, comparable, complete, and never built by position."""

from __future__ import annotations

from typing import Any

import pytest

from ticktrail.model import NO_SEQUENCE, Trade


def trade(**fields: Any) -> Trade:
    """Build a plausible trade; a test names only what it is about."""
    return Trade(
        **{
            "feed": "alpaca",
            "symbol": "BRK.B",
            "day": 20_458,
            "ts_ns": 1_767_623_400_000_000_000,
            "event_id": 7,
            "ts_event_ns": 1_767_623_400_000_000_000,
            "ts_recv_ns": 1_767_623_400_000_350_000,
            "price": 512.25,
            "size": 100.0,
            **fields,
        }
    )


def test_what_a_source_does_not_tell_has_a_neutral_value() -> None:
    plain = trade()
    assert plain.sequence == NO_SEQUENCE
    assert plain.side == "N"
    assert plain.flags == 0
    assert plain.venue == plain.tape == plain.conditions == plain.trade_id == ""


def test_trades_with_equal_fields_are_equal() -> None:
    assert trade() == trade()
    assert trade(price=512.26) != trade()


@pytest.mark.parametrize("name", ["price", "event_id", "flags"])
def test_a_trade_cannot_be_changed(name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(trade(), name, 1)


def test_a_trade_cannot_grow_fields() -> None:
    # A misspelt assignment must not pass silently.
    with pytest.raises(AttributeError):
        trade().prize = 1.0  # type: ignore[attr-defined]


def test_fields_are_given_by_name() -> None:
    with pytest.raises(TypeError):
        Trade("alpaca", "BRK.B", 20_458, 0, 7, 0, 0, 512.25, 100.0)  # type: ignore[call-arg]


@pytest.mark.parametrize("name", ["feed", "symbol", "day", "ts_ns", "event_id", "price", "size"])
def test_what_makes_a_trade_has_no_default(name: str) -> None:
    fields = {field: getattr(trade(), field) for field in Trade.__struct_fields__ if field != name}
    with pytest.raises(TypeError, match=name):
        Trade(**fields)


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(TypeError, match="prize"):
        trade(prize=1.0)
