"""Snapshots become trades whose sizes add up to what the volume rose."""

from __future__ import annotations

import base64
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from ticktrail.feeds import Frame
from ticktrail.feeds.yahoo.exchanges import EXCHANGES
from ticktrail.feeds.yahoo.parse import YahooParser
from ticktrail.feeds.yahoo.pricing_pb2 import Pricing
from ticktrail.feeds.yahoo.symbols import from_yahoo, to_yahoo
from ticktrail.model import Columns, Flag

NEW_YORK = ZoneInfo("America/New_York")


def ms_of(*moment: int, zone: ZoneInfo = NEW_YORK) -> int:
    return int(datetime(*moment, tzinfo=zone).timestamp() * 1000)  # type: ignore[arg-type, misc]


MONDAY_MS = ms_of(2026, 1, 5, 10)
TUESDAY_MS = ms_of(2026, 1, 6, 10)


def frame(volume: int | None = None, time: int = MONDAY_MS, **fields: Any) -> Frame:
    message: dict[str, Any] = {"id": "MSFT", "price": 1.5, "exchange": "NMS", "market_hours": 1, "time": time}
    message |= fields
    if volume is not None:
        message["day_volume"] = volume
    return Frame(7, base64.b64encode(Pricing(**message).SerializeToString()))


def trades(*frames: Frame, parser: YahooParser | None = None) -> Columns[Any]:
    parsed = (parser or YahooParser()).parse(frames)
    assert parsed.rejected == ()
    [columns] = parsed.columns
    return columns


def sizes(*frames: Frame) -> list[float]:
    found: list[float] = trades(*frames)["size"].tolist()
    return found


def test_a_size_is_the_rise_of_the_volume() -> None:
    assert sizes(frame(1_000), frame(1_250), frame(1_250), frame(1_300)) == [0, 250, 0, 50]


def test_symbols_have_volumes_of_their_own() -> None:
    assert sizes(frame(1_000), frame(5, id="IBM"), frame(1_001), frame(7, id="IBM")) == [0, 0, 1, 2]


def test_rises_go_on_from_batch_to_batch() -> None:
    parser = YahooParser()
    parts = [trades(frame(volume), parser=parser)["size"].tolist() for volume in (10, 30, 35)]
    assert parts == [[0], [20], [5]]


def test_on_a_new_day_a_fallen_volume_counts_whole() -> None:
    assert sizes(frame(1_000), frame(40, TUESDAY_MS), frame(45, TUESDAY_MS)) == [0, 40, 5]


def test_before_the_venue_counts_anew_a_new_day_adds_nothing() -> None:
    early_ms = ms_of(2026, 1, 6, 5)
    assert sizes(frame(1_000), frame(1_000, early_ms), frame(40, TUESDAY_MS)) == [0, 0, 40]
    # Not even where the old count still rises on the new date, as after hours.
    assert sizes(frame(1_000), frame(1_003, early_ms), frame(40, TUESDAY_MS)) == [0, 3, 40]


def test_late_frames_and_corrections_add_nothing_twice() -> None:
    assert sizes(frame(1_000), frame(1_100), frame(1_050), frame(1_120)) == [0, 100, 0, 20]
    assert sizes(frame(40, TUESDAY_MS), frame(1_000, MONDAY_MS), frame(50, TUESDAY_MS)) == [0, 0, 10]


def test_a_snapshot_without_volume_has_size_0_and_changes_nothing() -> None:
    assert sizes(frame(1_000), frame(None), frame(1_010)) == [0, 0, 10]


def test_flags_say_what_a_snapshot_may_update() -> None:
    prices = Flag.SNAPSHOT | Flag.UPDATES_LAST | Flag.UPDATES_HIGH_LOW
    found = trades(frame(10), frame(20), frame(30, market_hours=2), frame(30, market_hours=0))
    assert found["flags"].tolist() == [
        prices,
        prices | Flag.UPDATES_VOLUME,
        Flag.SNAPSHOT | Flag.UPDATES_VOLUME,
        Flag.SNAPSHOT,
    ]


def test_a_repeated_snapshot_takes_nothing_away_from_the_first() -> None:
    found = trades(frame(10), frame(20), frame(20), frame(20))
    first, risen, again, once_more = found["event_id"].tolist()
    assert len({first, risen, again}) == 3
    assert again == once_more


@pytest.mark.parametrize("price", [177.42, 314.765, 0.0001, 91234.56, 1.1, 412.31, 7.0, 99999.9])
def test_prices_are_the_decimals_that_the_venue_had(price: float) -> None:
    assert np.float64(np.float32(price)) != price or price == 7.0
    assert trades(frame(price=price))["price"].tolist() == [price]


def test_the_trading_date_is_that_of_the_exchange() -> None:
    # 00:30 UTC on Tuesday: still Monday in New York, long since Tuesday in Tokyo.
    time = ms_of(2026, 1, 6, 0, 30, zone=ZoneInfo("UTC"))
    found = trades(
        frame(time=time),
        frame(time=time, id="7203.T", exchange="JPX"),
        frame(time=time, id="BTC-USD", exchange="CCC"),
    )
    epoch = date(1970, 1, 1)
    assert found["day"].tolist() == [
        (date(2026, 1, 5) - epoch).days,
        (date(2026, 1, 6) - epoch).days,
        (date(2026, 1, 6) - epoch).days,
    ]
    assert found["venue"].tolist() == [b"XNAS", b"XJPX", b""]


def test_what_is_not_known_is_counted() -> None:
    strange = base64.b64decode(frame().payload) + b"\xa0\x06\x01"  # field 100
    parsed = YahooParser().parse(
        [
            Frame(1, base64.b64encode(strange)),
            frame(exchange="XYZ", market_hours=9),
            Frame(1, b'{"type":"welcome"}'),
            frame(quote_type=7),
        ]
    )
    assert dict(parsed.unknown) == {
        "field:100": 1,
        "exchange:XYZ": 1,
        "market_hours:9": 1,
        "message:welcome": 1,
        "message:heartbeat": 1,
    }
    assert len(parsed.columns[0]) == 2
    assert parsed.rejected == ()


def test_every_zone_and_mic_is_well_formed() -> None:
    for exchange in EXCHANGES.values():
        ZoneInfo(exchange.zone)
        assert exchange.mic == "" or (len(exchange.mic) == 4 and exchange.mic.isalnum())


@pytest.mark.parametrize(
    ("canonical", "yahoo"),
    [("BRK.B", "BRK-B"), ("AAPL", "AAPL"), ("VOD.L", "VOD.L"), ("BTC-USD", "BTC-USD"), ("^GSPC", "^GSPC")],
)
def test_symbols_go_both_ways(canonical: str, yahoo: str) -> None:
    assert to_yahoo(canonical) == yahoo
    assert from_yahoo(yahoo) == canonical
