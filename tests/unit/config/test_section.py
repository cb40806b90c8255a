"""Tables become structs, and mistakes become errors that name the nearest key and never a value."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import pytest

from ticktrail.config import Secret, Text, convert_section
from ticktrail.errors import ConfigError


class Inner(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    path: str = ""


class Vendor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    key: Secret
    plan: Literal["iex", "sip"] = "iex"
    rate: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    symbols: tuple[str, ...] = ()
    depth: int | None = None
    raw: bool = False
    inner: Inner = Inner()

    def __post_init__(self) -> None:
        if self.plan == "sip" and not self.key:
            raise ValueError("the plan sip needs a key")


def convert(**raw: Any) -> Vendor:
    return convert_section({"key": "k", **raw}, Vendor, path="feeds.vendor")


def failure(**raw: Any) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        convert(**raw)
    return caught.value


def test_typed_values_of_a_file_are_taken_as_they_are() -> None:
    section = convert(plan="sip", rate=2, symbols=["A", "B"], depth=3, raw=True, inner={"path": "/x"})
    assert section == Vendor(
        key=Secret("k"),
        plan="sip",
        rate=2.0,
        symbols=("A", "B"),
        depth=3,
        raw=True,
        inner=Inner(path="/x"),
    )


def test_text_is_read_by_the_type_of_its_field() -> None:
    text = {"key": "k", "plan": "sip", "rate": " 2.5 ", "symbols": "A, B,", "depth": "3", "raw": "Yes"}
    section = convert(**{name: Text(value) for name, value in text.items()})
    assert section == Vendor(key=Secret("k"), plan="sip", rate=2.5, symbols=("A", "B"), depth=3, raw=True)


@pytest.mark.parametrize(
    ("word", "expected"),
    [("true", True), ("ON", True), ("1", True), ("false", False), ("no", False), ("0", False)],
)
def test_words_for_yes_and_no(word: str, expected: bool) -> None:
    assert convert(raw=Text(word)).raw is expected


def test_plain_text_does_not_pass_for_a_number() -> None:
    # In a file the type can be written, so a quoted number there is a slip worth telling.
    error = failure(rate="2.5")
    assert error.key == "feeds.vendor.rate"
    assert "expected float, got str" in error.why


@pytest.mark.parametrize(
    ("raw", "key", "why"),
    [
        ({"rate": -1.0}, "feeds.vendor.rate", "> 0"),
        ({"rate": float("nan")}, "feeds.vendor.rate", "> 0"),
        ({"rate": Text("fast")}, "feeds.vendor.rate", "expected float"),
        ({"symbols": "A"}, "feeds.vendor.symbols", "expected list, got str"),
        ({"symbols": [1]}, "feeds.vendor.symbols", "expected str, got int"),
        ({"raw": Text("maybe")}, "feeds.vendor.raw", "expected bool"),
        ({"raw": 1}, "feeds.vendor.raw", "expected bool, got int"),
        ({"key": 5}, "feeds.vendor.key", "expected str, got int"),
        ({"plan": "free"}, "feeds.vendor.plan", "one of iex, sip"),
        ({"inner": 3}, "feeds.vendor.inner", "expected a table, got int"),
        ({"inner": {"path": 3}}, "feeds.vendor.inner.path", "expected str, got int"),
    ],
)
def test_a_wrong_value_names_key_type_and_expectation(raw: dict[str, Any], key: str, why: str) -> None:
    error = failure(**raw)
    assert error.key == key
    assert why in error.why


@pytest.mark.parametrize(
    ("raw", "nearest"),
    [({"symbol": []}, "feeds.vendor.symbols"), ({"inner": {"paht": ""}}, "feeds.vendor.inner.path")],
)
def test_an_unknown_name_is_answered_with_the_nearest(raw: dict[str, Any], nearest: str) -> None:
    assert failure(**raw).next_step == f"Did you mean {nearest}?"


def test_a_name_like_no_other_is_answered_with_all() -> None:
    assert "feeds.vendor.key, feeds.vendor.plan" in failure(zzzzzzzz=1).next_step


def test_a_required_setting_that_is_missing() -> None:
    with pytest.raises(ConfigError) as caught:
        convert_section({}, Vendor, path="feeds.vendor")
    assert caught.value.key == "feeds.vendor.key"
    assert "TICKTRAIL_FEEDS__VENDOR__KEY" in caught.value.next_step


def test_settings_that_do_not_go_together() -> None:
    assert failure(plan="sip", key="").why == "the plan sip needs a key"


def test_a_value_masked_by_its_name_is_unmasked_for_a_field_that_is_no_secret() -> None:
    assert convert(plan=Secret("sip"), rate=Secret("3")).rate == 3.0


SECRET = "hunter2-" * 3


@pytest.mark.parametrize(
    "raw",
    [
        {"plan": SECRET},
        {"plan": Secret(SECRET)},
        {"rate": SECRET},
        {"rate": Text(SECRET)},
        {"raw": Text(SECRET)},
        {"symbols": SECRET},
        {"inner": SECRET},
        {"key": [SECRET]},
        {"kye": SECRET},
    ],
)
def test_no_error_repeats_a_value(raw: dict[str, Any]) -> None:
    # A password in the wrong place must not end up in a log.
    error = failure(**raw)
    assert SECRET not in f"{error} {error!r} {error.__cause__!r}"


def test_secrets_show_as_stars() -> None:
    section = convert(key=SECRET)
    assert SECRET not in f"{section} {section!r} {[section.key]} {section.key:}"
    assert section.key.reveal() == SECRET
