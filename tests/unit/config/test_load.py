"""Layers of settings: who wins, what is refused, and what is shown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ticktrail.config import Loaded, Secret, Settings, convert_section, describe, load
from ticktrail.errors import ConfigError
from ticktrail.stack import Endpoints, ServerEndpoint

FILE = """\
[kafka]
bootstrap_servers = "file:9092"
partitions = 8

[store]
hosts = "file1,file2"

[feeds.alpaca]
key = "AKID-from-file"
rate = 3
[feeds.yahoo]
"""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without a ticktrail.toml, so that a developer's own is not read."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def toml(text: str = FILE) -> Path:
    path = Path("given.toml")
    path.write_text(text, "utf-8")
    return path


def loaded(text: str | None = None, environ: Mapping[str, str] | None = None, **overrides: Any) -> Loaded:
    return load(
        config_file=None if text is None else toml(text),
        environ={"TICKTRAIL_STACK__DATA_DIR": "no-such-dir", **(environ or {})},
        overrides={key.replace("__", "."): value for key, value in overrides.items()},
    )


def failure(
    text: str | None = None, environ: Mapping[str, str] | None = None, **overrides: Any
) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        loaded(text, environ, **overrides)
    return caught.value


def test_without_any_source_every_setting_has_its_default() -> None:
    result = load(environ={}, overrides={"stack.data_dir": "no-such-dir"})
    assert result.settings.kafka == Settings().kafka
    assert result.settings.store == Settings().store
    assert result.origins == {"stack.data_dir": "flag stack.data_dir"}


def test_file_below_environment_below_flag() -> None:
    environ = {"TICKTRAIL_STORE__HOSTS": "env", "TICKTRAIL_KAFKA__PARTITIONS": "16"}
    result = loaded(FILE, environ, kafka__partitions="32")
    assert result.settings.kafka.bootstrap_servers == "file:9092"
    assert result.settings.store.hosts == "env"
    assert result.settings.kafka.partitions == 32
    assert result.origins["kafka.bootstrap_servers"] == "given.toml:2"
    assert result.origins["store.hosts"] == "TICKTRAIL_STORE__HOSTS"
    assert result.origins["kafka.partitions"] == "flag kafka.partitions"


def test_a_flag_that_was_not_given_changes_nothing() -> None:
    assert loaded(FILE, kafka__partitions=None).settings.kafka.partitions == 8


def test_typed_flags_are_taken_as_they_are() -> None:
    result = loaded(bars__intervals=("1s", "1m"), store__tls=True)
    assert result.settings.bars.intervals == ("1s", "1m")
    assert result.settings.store.tls is True


def test_the_file_of_the_working_directory_is_found() -> None:
    Path("ticktrail.toml").write_text("[kafka]\npartitions = 5\n", "utf-8")
    result = loaded()
    assert result.settings.kafka.partitions == 5
    assert result.origins["kafka.partitions"] == "ticktrail.toml:2"


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKTRAIL_STACK__DATA_DIR", "no-such-dir")
    monkeypatch.setenv("TICKTRAIL_KAFKA__PARTITIONS", "7")
    assert load().settings.kafka.partitions == 7


def test_paths_may_begin_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    result = load(environ={}, overrides={"stack.data_dir": "~/ticks"})
    assert result.settings.stack.data_dir == "/home/someone/ticks"


# --- feeds: free-form here, checked by the feed ------------------------------------------------------


def test_feeds_are_merged_key_by_key() -> None:
    environ = {"TICKTRAIL_FEEDS__ALPACA__SECRET": "s", "TICKTRAIL_FEEDS__SIM__SYMBOLS": "A,B"}
    feeds = loaded(FILE, environ, feeds__alpaca__rate="4").settings.feeds
    assert feeds == {
        "alpaca": {"key": Secret("AKID-from-file"), "rate": "4", "secret": Secret("s")},
        "yahoo": {},
        "sim": {"symbols": "A,B"},
    }


def test_a_feed_reads_text_by_its_own_types() -> None:
    class Sim(msgspec.Struct):
        rate: float
        symbols: tuple[str, ...]

    environ = {"TICKTRAIL_FEEDS__SIM__RATE": "2.5", "TICKTRAIL_FEEDS__SIM__SYMBOLS": "A,B"}
    raw = loaded(None, environ).settings.feeds["sim"]
    assert convert_section(raw, Sim, path="feeds.sim") == Sim(2.5, ("A", "B"))


def test_a_feed_that_is_no_table() -> None:
    assert failure("[feeds]\nalpaca = 3\n").key == "feeds.alpaca"


# --- secrets -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["kafka__password", "feeds__alpaca__secret", "feeds__finnhub__token"])
def test_a_secret_can_stand_in_a_file(key: str, elsewhere: Path) -> None:
    (elsewhere / "secret").write_text("hunter2\n", "utf-8")
    variable = f"TICKTRAIL_{key.upper()}_FILE"
    result = loaded(None, {variable: str(elsewhere / "secret")})
    node: Any = result.settings
    for name in key.split("__"):
        node = node[name] if isinstance(node, dict) else getattr(node, name)
    assert node.reveal() == "hunter2"
    assert result.origins[key.replace("__", ".")].startswith(variable)


def test_a_secret_file_that_is_missing_is_not_named_as_it_may_be_the_secret_itself() -> None:
    error = failure(None, {"TICKTRAIL_STORE__PASSWORD_FILE": "hunter2"})
    assert error.key == "store.password"
    assert "hunter2" not in str(error)


def test_keys_of_files_are_no_secrets() -> None:
    result = loaded(kafka__tls_key_file="k.pem", kafka__tls_certificate_file="c.pem")
    assert result.settings.kafka.tls_key_file == "k.pem"


def test_nothing_that_is_shown_holds_a_secret() -> None:
    environ = {
        "TICKTRAIL_STORE__USER": "u",
        "TICKTRAIL_STORE__PASSWORD": "hunter2",
        "TICKTRAIL_FEEDS__X__API_KEY": "hunter2",
    }
    result = loaded('[feeds.x]\ntokens = ["hunter2"]\nnested.secret = "hunter2"\n', environ)
    rows = describe(result)
    assert "hunter2" not in f"{result!r} {result.settings} {rows}"
    shown = {row.key: row.value for row in rows}
    assert shown["store.password"] == shown["feeds.x.api_key"] == shown["feeds.x.tokens"] == "***"


# --- the running embedded stack ----------------------------------------------------------------------


def server(name: str, port: int) -> ServerEndpoint:
    return ServerEndpoint(name=name, version="1", port=port, pid=1, process_started_s=0.0)


RUNNING = Endpoints(
    kafka=server("kafka", 1111), cassandra=server("cassandra", 2222), data_dir="data", java="17"
)


def endpoints(content: bytes = msgspec.json.encode(RUNNING)) -> dict[str, str]:
    """Leave the record that the stack itself would, and point to it."""
    Path("data").mkdir()
    Path("data/endpoints.json").write_bytes(content)
    return {"TICKTRAIL_STACK__DATA_DIR": "data"}


def test_the_running_stack_is_found() -> None:
    result = loaded(None, endpoints())
    assert result.settings.kafka.bootstrap_servers == "127.0.0.1:1111"
    assert (result.settings.store.hosts, result.settings.store.port) == ("127.0.0.1", 2222)
    assert result.origins["store.port"] == "data/endpoints.json"


def test_a_higher_layer_hides_the_running_stack_and_its_port() -> None:
    environ = {**endpoints(), "TICKTRAIL_STORE__HOSTS": "db1"}
    settings = loaded(None, environ).settings
    assert (settings.store.hosts, settings.store.port) == ("db1", 9042)
    assert settings.kafka.bootstrap_servers == "127.0.0.1:1111"


def test_an_empty_address_means_the_running_stack() -> None:
    environ = {**endpoints(), "TICKTRAIL_STORE__HOSTS": ""}
    assert loaded(FILE, environ).settings.store.port == 2222


def test_only_one_server_may_run() -> None:
    settings = loaded(None, endpoints(b'{"kafka": {"port": 1111}}')).settings
    assert (settings.kafka.bootstrap_servers, settings.store.hosts) == ("127.0.0.1:1111", "")


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"kafka": 5}', b"\xff"])
def test_a_broken_record_counts_as_none(content: bytes) -> None:
    # `ticktrail up` reads the settings before it can replace the record.
    assert loaded(None, endpoints(content)).settings.kafka.bootstrap_servers == ""


# --- what is refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "key", "nearest", "source"),
    [
        ("[store]\nhots = 'a'\n", "store.hots", "store.hosts", "given.toml:2"),
        ("[kafka]\n\nhosts = 'a'\n", "kafka.hosts", "store.hosts", "given.toml:3"),
        ("[stroe]\nhosts = 'a'\n", "stroe.hosts", "store.hosts", "given.toml:2"),
        ("kafka.partitons = 4\n", "kafka.partitons", "kafka.partitions", "given.toml:1"),
        ("[kafka]\npartitions.x = 4\n", "kafka.partitions.x", "kafka.partitions", "given.toml:2"),
    ],
)
def test_an_unknown_key_of_a_file(text: str, key: str, nearest: str, source: str) -> None:
    error = failure(text)
    assert (error.key, error.source) == (key, source)
    assert f"Did you mean {nearest}?" in error.next_step
    assert "given.toml, the environment (TICKTRAIL_…), flags" in error.next_step


def test_an_unknown_key_of_the_environment() -> None:
    error = failure(None, {"TICKTRAIL_STORE__HOSTZ": "a"})
    assert (error.key, error.source) == ("store.hostz", "TICKTRAIL_STORE__HOSTZ")
    assert "store.hosts" in error.next_step
    assert "ticktrail.toml (absent)" in error.next_step


def test_an_unknown_flag() -> None:
    assert failure(kafka__partition=4).source == "flag kafka.partition"


@pytest.mark.parametrize("name", ["TICKTRAIL_STORE_HOSTS", "TICKTRAIL_STORE__", "TICKTRAIL___HOSTS"])
def test_a_variable_that_names_no_setting_is_not_passed_over(name: str) -> None:
    assert failure(None, {name: "a"}).source == name


def test_variables_of_others_and_of_the_tests_are_passed_over() -> None:
    assert loaded(None, {"TICKTRAIL_TEST_DATA": "/x", "STORE__HOSTS": "a", "ticktrail_store__x": "b"})


@pytest.mark.parametrize(
    ("text", "key", "why"),
    [
        ("[kafka]\npartitions = '4'\n", "kafka.partitions", "expected int, got str"),
        ("[kafka]\npartitions = 0\n", "kafka.partitions", ">= 1"),
        ("[store]\nport = 65536\n", "store.port", "<= 65535"),
        ("[store]\nport = -1\n", "store.port", ">= 0"),
        ("[store]\nconsistency = 'SOME'\n", "store.consistency", "LOCAL_QUORUM"),
        ("[store]\nkeyspace = 'x; DROP'\n", "store.keyspace", "matching"),
        ("[store]\ntimeout_s = inf\n", "store.timeout_s", "<="),
        ("[stack]\nkafka_memory_mib = 0\n", "stack.kafka_memory_mib", ">="),
        ("[kafka]\ntopic_prefix = 'a b'\n", "kafka.topic_prefix", "matching"),
        ("[bars]\nintervals = ['2m']\n", "bars.intervals", "one of"),
        ("[stack]\ncache_dir = 3\n", "stack.cache_dir", "expected str, got int"),
        ("kafka = 3\n", "kafka", "expected a table, got int"),
        ("[kafka]\nreplication_factor = 0\n", "kafka", "-1 for the broker's default"),
        ("[kafka]\nsecurity_protocol = 'SASL_SSL'\n", "kafka", "needs kafka.sasl_mechanism"),
        ("[kafka]\ntls_key_file = 'a'\n", "kafka", "need each other"),
        ("[store]\npassword = 'a'\n", "store", "store.password without store.user"),
    ],
)
def test_a_value_that_cannot_be(text: str, key: str, why: str) -> None:
    error = failure(text)
    assert error.key == key
    assert why in error.why


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"[kafka\n", "line 1"), (b"\xff", "byte 0 is not UTF-8"), (b"a = 1\na = 2\n", "overwrite")],
)
def test_a_file_that_is_no_toml(content: bytes, why: str) -> None:
    Path("given.toml").write_bytes(content)
    with pytest.raises(ConfigError, match=why) as caught:
        load(config_file=Path("given.toml"), environ={})
    assert caught.value.source == "given.toml"


@pytest.mark.parametrize("name", ["absent.toml", "."])
def test_a_given_file_must_be_readable(name: str) -> None:
    with pytest.raises(ConfigError, match="Cannot read the settings file"):
        load(config_file=Path(name), environ={})


# --- what is shown -----------------------------------------------------------------------------------


def test_every_setting_is_shown_with_its_origin() -> None:
    rows = {row.key: row for row in describe(loaded(FILE, bars__intervals="1s,1m"))}
    assert rows["kafka.partitions"].value == "8"
    assert rows["kafka.partitions"].origin == "given.toml:3"
    assert rows["bars.intervals"].value == "1s,1m"
    assert rows["store.tls"].value == "false"
    assert rows["store.tls"].origin == "default"
    assert rows["feeds.alpaca.rate"].value == "3"
    sections = {key.partition(".")[0] for key in rows}
    assert sections == set(Settings.__struct_fields__)
