from __future__ import annotations

from typing import Any

import pytest

from ticktrail.config import Secret
from ticktrail.config.section import Text
from ticktrail.errors import ConfigError
from ticktrail.feeds.alpaca.config import read_config

KEYS = {"key": "PKTEST", "secret": "hush"}


@pytest.mark.parametrize("plan", ["iex", "sip", "delayed_sip", "test"])
def test_the_plan_names_the_stream(plan: str) -> None:
    assert (
        read_config("alpaca", KEYS | {"plan": plan}).address == f"wss://stream.data.alpaca.markets/v2/{plan}"
    )


def test_a_url_wins_over_the_plan() -> None:
    assert read_config("alpaca", KEYS | {"url": "ws://127.0.0.1:9"}).address == "ws://127.0.0.1:9"


def test_text_of_the_environment_is_understood() -> None:
    config = read_config("alpaca", KEYS | {"open_timeout_s": Text("2.5"), "quote_size_unit": Text("100")})
    assert (config.open_timeout_s, config.quote_size_unit) == (2.5, 100)


def test_secrets_are_never_shown() -> None:
    config = read_config("alpaca", {"key": Secret("PKTEST"), "secret": "hush"})
    assert config.secret.reveal() == "hush"
    assert "hush" not in repr(config)
    assert "PKTEST" not in repr(config)


@pytest.mark.parametrize(
    ("settings", "key", "said"),
    [
        (KEYS | {"kye": "x"}, "kye", "feeds.alpaca.key"),
        (KEYS | {"sekret": "x"}, "sekret", "feeds.alpaca.secret"),
        ({"key": "PKTEST"}, "secret", "TICKTRAIL_FEEDS__ALPACA__SECRET"),
        ({"secret": "hush"}, "key", "TICKTRAIL_FEEDS__ALPACA__KEY"),
        (KEYS | {"plan": "gold"}, "plan", "iex, sip"),
        (KEYS | {"encoding": "xml"}, "encoding", "json, msgpack"),
        (KEYS | {"open_timeout_s": 0}, "open_timeout_s", "> 0"),
        (KEYS | {"auth_timeout_s": "soon"}, "auth_timeout_s", "float"),
        (KEYS | {"quote_size_unit": -1}, "quote_size_unit", ">= 0"),
        (KEYS | {"url": "https://example.com"}, "url", "wss?"),
        ({"key": 5, "secret": "hush"}, "key", "str"),
    ],
)
def test_mistakes_are_named(settings: dict[str, Any], key: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_config("alpaca", settings)
    assert caught.value.key == f"feeds.alpaca.{key}"
    assert said in str(caught.value)
    assert "hush" not in str(caught.value)
