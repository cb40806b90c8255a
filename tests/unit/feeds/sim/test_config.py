"""Settings: read, refused, masked."""

from __future__ import annotations

import pytest

from ticktrail.config import Text
from ticktrail.errors import ConfigError
from ticktrail.feeds.sim import Faults, SimSettings, read_settings


def test_defaults_and_nested_faults() -> None:
    assert read_settings({}) == SimSettings()
    settings = read_settings({"rate": Text("5000"), "symbols": 20, "faults": {"drop_per_million": 5.0}})
    assert (settings.rate, settings.symbols, settings.faults) == (5_000.0, 20, Faults(drop_per_million=5.0))


def test_what_belongs_to_the_reader_of_the_exchange_is_left_alone() -> None:
    section = {"url": "ws://127.0.0.1:1/v2/sip", "encoding": "msgpack", "open_timeout_s": 3.0, "seed": 4}
    assert read_settings(section) == SimSettings(seed=4)


@pytest.mark.parametrize(
    ("section", "key", "hint"),
    [
        ({"symbls": 3}, "feeds.sim.symbls", "feeds.sim.symbols"),
        ({"faults": {"drop_per_milion": 3}}, "feeds.sim.faults.drop_per_milion", "drop_per_million"),
        ({"rate": 0}, "feeds.sim.rate", ""),
        ({"rate": "fast"}, "feeds.sim.rate", ""),
        ({"symbols": 15_001}, "feeds.sim.symbols", ""),
        ({"faults": {"drop_per_million": 1_000_001}}, "feeds.sim.faults.drop_per_million", ""),
        ({"faults": 3}, "feeds.sim.faults", ""),
    ],
)
def test_what_cannot_be_is_refused(section: dict[str, object], key: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_settings(section)
    assert caught.value.key == key
    assert hint in str(caught.value)


def test_the_secret_is_masked() -> None:
    assert "hidden" not in repr(read_settings({"secret": "hidden"}))
