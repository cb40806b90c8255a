"""Vectorised time reading against Python's own, and against a slow reading of the formats."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import msgpack
from hypothesis import given
from hypothesis import strategies as st

from ticktrail.feeds.timestamps import NO_TIME_NS, ns_from_msgpack, ns_from_rfc3339

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
STRICT = re.compile(
    r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE
)


def by_datetime(text: str) -> int:
    match = STRICT.fullmatch(text)
    if match is None:
        return NO_TIME_NS
    day, clock, decimals, zone = match.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}+00:00")
    except ValueError:
        return NO_TIME_NS
    if zone in "Zz":
        offset = timedelta()
    else:
        hours, minutes = int(zone[1:3]), int(zone[4:])
        if hours > 23 or minutes > 59:
            return NO_TIME_NS
        offset = timedelta(hours=hours, minutes=minutes) * (-1 if zone[0] == "-" else 1)
    delta = moment - EPOCH
    seconds = delta.days * 86_400 + delta.seconds - (offset.days * 86_400 + offset.seconds)
    ts_ns = seconds * 10**9 + int((decimals or ".0")[1:].ljust(9, "0"))
    return ts_ns if -(2**63) < ts_ns < 2**63 else NO_TIME_NS


moments = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30))  # noqa: DTZ001
recent = st.datetimes(datetime(2026, 1, 5), datetime(2026, 1, 6))  # noqa: DTZ001
decimals = st.text("0123456789", max_size=10).map(lambda text: f".{text}" if text else "")


@st.composite
def time_texts(draw: st.DrawFn) -> str:
    moment = draw(recent | moments)
    zone = draw(st.sampled_from(["Z", "Z", "Z", "z", "+05:30", "-23:59", "+24:00", "", "Z ", " Z"]))
    text = f"{moment:%Y-%m-%dT%H:%M:%S}".rjust(19, "0") + draw(decimals) + zone
    if draw(st.integers(0, 5)) == 0:
        where = draw(st.integers(0, len(text) - 1))
        text = text[:where] + draw(st.characters(exclude_categories=["Cs"])) + text[where + 1 :]
    return text


@given(st.lists(time_texts(), max_size=8))
def test_rfc3339_is_read_as_python_reads_it(texts: list[str]) -> None:
    assert ns_from_rfc3339(texts).tolist() == [by_datetime(text) for text in texts]


@given(st.lists(st.tuples(recent, st.integers(0, 9)), min_size=1, max_size=8))
def test_plain_times_of_mixed_precision(parts: list[tuple[datetime, int]]) -> None:
    texts = [f"{moment:%Y-%m-%dT%H:%M:%S}.{'123456789'[:count]}".rstrip(".") + "Z" for moment, count in parts]
    assert ns_from_rfc3339(texts).tolist() == [by_datetime(text) for text in texts]


@given(st.lists(st.text(max_size=35), max_size=5))
def test_any_text_is_a_time_or_none(texts: list[str]) -> None:
    assert ns_from_rfc3339(texts).tolist() == [by_datetime(text) for text in texts]


@given(st.lists(st.integers(-(2**62), 2**62), max_size=8))
def test_msgpack_times_survive_the_official_library(times_ns: list[int]) -> None:
    payloads = [msgpack.Timestamp.from_unix_nano(ts_ns).to_bytes() for ts_ns in times_ns]
    assert ns_from_msgpack(payloads).tolist() == times_ns


@given(st.lists(st.binary(max_size=14), max_size=8))
def test_msgpack_bytes_are_a_time_or_none(payloads: list[bytes]) -> None:
    def expected(payload: bytes) -> int:
        if len(payload) not in (4, 8, 12):
            return NO_TIME_NS
        stamp = msgpack.Timestamp.from_bytes(payload) if _fraction(payload) < 10**9 else None
        ts_ns = NO_TIME_NS if stamp is None else stamp.to_unix_nano()
        return ts_ns if -(2**62) < ts_ns < 2**62 else NO_TIME_NS

    got = [ts_ns if -(2**62) < ts_ns < 2**62 else NO_TIME_NS for ts_ns in ns_from_msgpack(payloads).tolist()]
    assert got == [expected(payload) for payload in payloads]


def _fraction(payload: bytes) -> int:
    if len(payload) == 4:
        return 0
    return (
        int.from_bytes(payload[:8], "big") >> 34 if len(payload) == 8 else int.from_bytes(payload[:4], "big")
    )


def test_offsets_follow_the_rule() -> None:
    text = "2026-01-05T09:30:00.25-05:00"
    moment = datetime(2026, 1, 5, 9, 30, 0, 250_000, tzinfo=timezone(timedelta(hours=-5)))
    assert ns_from_rfc3339([text]).tolist() == [round(moment.timestamp() * 4) * 250_000_000]
