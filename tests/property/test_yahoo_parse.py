"""Whatever the venue sends: nothing raises, every frame is accounted for, volumes add up."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ticktrail.feeds import Frame
from ticktrail.feeds.yahoo.parse import YahooParser
from ticktrail.feeds.yahoo.pricing_pb2 import Pricing
from ticktrail.testing.feed_contract import assert_sound

# 2026-01-05 15:00 UTC, 10 o'clock in New York.
MONDAY_MS = 1_767_625_200_000

fields = st.fixed_dictionaries(
    {},
    optional={
        "id": st.text(max_size=6) | st.just("MSFT"),
        "price": st.floats(width=32),
        "time": st.integers(-(2**63), 2**63 - 1) | st.just(MONDAY_MS),
        "exchange": st.sampled_from(["NMS", "CCC", "??", ""]),
        "quote_type": st.sampled_from([7, 8, -1]),
        "market_hours": st.integers(-1, 5),
        "day_volume": st.integers(-(2**63), 2**63 - 1) | st.integers(0, 100),
    },
)


def pack(**values: Any) -> bytes:
    return base64.b64encode(Pricing(**values).SerializeToString())


def wrap(message: Any, kind: Any = "pricing") -> bytes:
    return json.dumps({"type": kind, "message": message}).encode()


packed = fields.map(lambda values: pack(**values))
payloads = st.one_of(
    packed,
    packed.map(lambda text: wrap(text.decode())),
    st.binary(max_size=60),
    st.binary(max_size=60).map(base64.b64encode),
    st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=4).map(wrap),
    st.text(max_size=9).map(lambda kind: wrap("", kind)),
)


@given(st.lists(payloads, max_size=8))
def test_every_frame_is_accounted_for(batch: list[bytes]) -> None:
    frames = [Frame(at, payload) for at, payload in enumerate(batch)]
    parsed = YahooParser().parse(frames)
    assert_sound(parsed)
    n_records = sum(map(len, parsed.columns))
    n_other = sum(count for label, count in parsed.unknown.items() if label.startswith("message:"))
    assert n_records + len(parsed.rejected) + n_other == len(frames)
    parser = YahooParser()
    alone = [
        record for frame in frames for part in parser.parse([frame]).columns for record in part.to_records()
    ]
    assert [record for part in parsed.columns for record in part.to_records()] == alone


# No two differ by more than half: more than that is the venue beginning anew.
@given(st.lists(st.integers(10**9, 2 * 10**9), min_size=1, max_size=30))
def test_sizes_of_a_day_add_up_to_the_rise_of_its_volume(volumes: list[int]) -> None:
    frames = [
        Frame(1, pack(id="MSFT", price=1.0, exchange="NMS", time=MONDAY_MS + at, day_volume=volume))
        for at, volume in enumerate(volumes)
    ]
    [trades] = YahooParser().parse(frames).columns
    assert trades["size"].sum() == max(volumes) - volumes[0]
    assert trades["size"].min() >= 0


@given(st.integers(1, 999_999), st.integers(-4, 4))
def test_any_price_of_six_digits_survives_the_venues_float32(digits: int, exponent: int) -> None:
    price = float(Decimal(digits).scaleb(exponent - 2))
    [trades] = YahooParser().parse([Frame(1, pack(id="X", price=price, time=MONDAY_MS))]).columns
    assert trades["price"].tolist() == [price]
