from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from ticktrail.errors import ConfigError
from ticktrail.feeds import Subscription, registry
from ticktrail.testing import FakeClock

SUBSCRIPTION = Subscription(symbols=("AAPL",))


def test_the_feeds_of_ticktrail_itself() -> None:
    assert registry.names()[:4] == ("sim", "alpaca", "yahoo", "file")
    assert registry.get("alpaca").needs_key
    assert not registry.get("sim").needs_key
    assert registry.get("file").ends


@pytest.mark.parametrize("name", ["sim", "alpaca", "yahoo", "file"])
def test_every_feed_can_be_loaded(name: str) -> None:
    assert callable(registry.get(name).load())


def test_a_name_that_does_not_exist_gets_the_nearest() -> None:
    with pytest.raises(ConfigError) as caught:
        registry.get("alpacca")
    assert "Did you mean alpaca?" in str(caught.value)


def test_a_name_like_none_gets_the_list() -> None:
    with pytest.raises(ConfigError) as caught:
        registry.get("xyzzy")
    assert "sim, alpaca, yahoo, file" in str(caught.value)


def test_the_simulated_exchange_needs_only_its_url() -> None:
    factory = registry.get("sim").load()
    feed = factory({"url": "ws://127.0.0.1:1", "symbols": 500, "rate": 5000.0}, SUBSCRIPTION, FakeClock())
    assert feed.name == "sim"
    with pytest.raises(ConfigError) as caught:
        factory({"symbols": 500}, SUBSCRIPTION, FakeClock())
    assert caught.value.key == "feeds.sim.url"


@pytest.mark.parametrize("name", ["sim", "alpaca"])
def test_recorded_frames_need_no_key(name: str) -> None:
    entry = registry.get(name)
    feed = entry.load()(entry.parse_settings, SUBSCRIPTION, FakeClock())
    assert not feed.parse([]).columns


def test_plugins_are_found_and_loaded_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [
        EntryPoint("nimbus", "ticktrail.feeds.alpaca.feed:make_feed", registry.ENTRY_POINT_GROUP),
        EntryPoint("broken", "no_such_module_anywhere:make_feed", registry.ENTRY_POINT_GROUP),
        EntryPoint("hollow", "ticktrail.feeds:no_such_factory", registry.ENTRY_POINT_GROUP),
        EntryPoint("alpaca", "no_such_module_anywhere:make_feed", registry.ENTRY_POINT_GROUP),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: points if group else [])
    assert registry.names() == ("sim", "alpaca", "yahoo", "file", "broken", "hollow", "nimbus")
    feed = registry.get("nimbus").load()({"key": "k", "secret": "s"}, SUBSCRIPTION, FakeClock())
    assert feed.name == "alpaca"
    for name in ("broken", "hollow"):
        with pytest.raises(ConfigError) as caught:
            registry.get(name).load()
        assert name in str(caught.value)
    assert callable(registry.get("alpaca").load())  # a plug-in cannot take the place of ours


PLUGIN = """
def make_feed(settings, subscription, clock):
    return settings["missing"]
"""


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("\n\nraise RuntimeError('no licence')", "cannot be loaded: RuntimeError: no licence (nimbus.py:3)"),
        ("x = 1\ndef make_feed(", "cannot be loaded: SyntaxError: '(' was never closed (nimbus.py, line 2)"),
        ("import no_such_module", "No module named 'no_such_module' (nimbus.py:1)"),
        ("make_feeds = 1", "has no attribute 'make_feed'. Tell those who offer nimbus:make_feed"),
        (PLUGIN, "cannot be made: KeyError: 'missing' (nimbus.py:3)"),
    ],
)
def test_a_plugin_that_fails_is_named_with_its_place(
    code: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nimbus.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "nimbus", raising=False)
    entry = registry.FeedEntry(name="nimbus", summary="a plug-in", target="nimbus:make_feed")
    with pytest.raises(ConfigError) as caught:
        entry.make({}, SUBSCRIPTION, FakeClock())
    assert words in str(caught.value)


def test_naming_feeds_imports_no_vendor() -> None:
    code = (
        "import sys; from ticktrail.feeds import registry; registry.get('alpaca'); registry.names(); "
        "print([m for m in sys.modules if m.startswith('ticktrail.feeds.') and m.count('.') > 2])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
