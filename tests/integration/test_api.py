"""The API over a running pipeline: alerts, rules, what it says of itself; and schemathesis over all of it."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import pytest
from click.testing import CliRunner
from fixtures_servers import Servers, flags_of, new_settings, prepared
from prometheus_client.parser import text_string_to_metric_families
from serve_kit import (
    DEADLINE_S,
    TICKTRAIL,
    Site,
    flags_of_alerts,
    heard,
    pipeline,
    serving,
    subscribed,
    until,
)

from ticktrail.bus import Producer, Topics, message_key
from ticktrail.cli.main import cli
from ticktrail.clock import NS_PER_SECOND, SystemClock
from ticktrail.codec import encode_record
from ticktrail.config import Settings
from ticktrail.dashboard.alert_routes import ALERT_ROUTES
from ticktrail.dashboard.routes import ROUTES
from ticktrail.model import Flag, Trade

pytestmark = [pytest.mark.servers, pytest.mark.timeout(400)]

S = NS_PER_SECOND
CLOCK = SystemClock()
FULL, READING, ASKING = "a-token-for-everything", "a-token-for-reading-only", "a-token-for-questions"
TOKENS = f"""
[[serve.tokens]]
name = "all"
token = "{FULL}"
scopes = ["read", "sql", "alerts"]

[[serve.tokens]]
name = "reading"
token = "{READING}"

[[serve.tokens]]
name = "asking"
token = "{ASKING}"
scopes = ["sql"]

[[alerts.rules]]
name = "of the file"
kind = "halt"
"""
ALL = int(Flag.UPDATES_LAST | Flag.UPDATES_HIGH_LOW | Flag.UPDATES_VOLUME)
RULE: dict[str, Any] = {"kind": "price_crosses", "params": {"price": 10.0}, "feed": "f", "cooldown_s": 0}
HERE = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def settings(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return prepared(new_settings(servers, tmp_path_factory.mktemp("api")))


@pytest.fixture(scope="module")
def toml(settings: Settings) -> Path:
    path = Path(settings.stack.data_dir) / "ticktrail.toml"
    path.write_text(TOKENS)
    return path


@pytest.fixture(scope="module")
def site(settings: Settings, toml: Path) -> Iterator[Site]:
    # One question at a time, so that there is one child; and no budget that hides what is looked for.
    more = ("--set", "serve.sql_at_once_max=1", "--set", "serve.requests_per_s=100000")
    with serving(settings, "--config", str(toml), *more, token=FULL) as found:
        yield found


@pytest.fixture(scope="module")
def run(settings: Settings, site: Site, toml: Path) -> Iterator[None]:
    """Run the whole pipeline, and the evaluation of alerts."""
    command = [*TICKTRAIL, "alerts", "--config", str(toml), *flags_of_alerts(settings)]
    with (
        pipeline(settings, "--rate", "50", "--symbols", "5"),
        subprocess.Popen(command, stdin=subprocess.DEVNULL) as alerts,
    ):
        try:
            until(lambda: len(site.get("/api/v1/symbols")["symbols"]) >= 5, "the symbols are known")
            until(lambda: {"alerts", "persist"} <= set(kinds_that_run(site)), "the stages run")
            yield
        finally:
            alerts.terminate()
            alerts.wait(DEADLINE_S)


def kinds_that_run(site: Site) -> list[str]:
    stages = site.get("/api/v1/pipeline")["stages"]
    return [stage["kind"] for stage in stages if stage["state"] == "running"]


def trade(symbol: str, price: float, ts_ns: int, number: int) -> Trade:
    return Trade(
        feed="f",
        symbol=symbol,
        day=ts_ns // (86_400 * S),
        ts_ns=ts_ns,
        event_id=number,
        ts_event_ns=ts_ns,
        ts_recv_ns=ts_ns,
        price=price,
        size=1.0,
        flags=ALL,
    )


def send(settings: Settings, trades: Sequence[Trade]) -> None:
    producer = Producer(settings.kafka, CLOCK)
    keys = [message_key(each.feed, each.symbol) for each in trades]
    producer.send(Topics.of(settings.kafka).trades, keys, [encode_record(each) for each in trades])
    producer.flush(30)


def make_rule(site: Site, **values: Any) -> dict[str, Any]:
    """Make a rule, and wait until it holds."""
    status, made = site.ask("/api/v1/rules", RULE | values)
    assert status == 201, made
    until(lambda: CLOCK.now_ns() > made["active_from_ns"], "the rule holds")
    rule: dict[str, Any] = made
    return rule


# --- rules


@pytest.mark.parametrize(
    "name", ["plain", "test", "a b", "50% & more?", "#1", "börse 🚀", "..", "'\"; DROP", "<img src=x>", "a+b"]
)
def test_a_rule_of_any_name_is_made_changed_muted_and_deleted(site: Site, name: str) -> None:
    path = f"/api/v1/rules/{quote(name, safe='')}"
    status, made = site.ask("/api/v1/rules", RULE | {"name": name})
    assert (status, made["name"], made["source"]) == (201, name, "page")
    assert site.ask("/api/v1/rules", RULE | {"name": name})[0] == 400
    status, changed = site.ask(path, RULE | {"params": {"price": 20}}, "PUT")
    assert (status, changed["params"]["price"]) == (200, 20)
    status, muted = site.ask(f"{path}/mute", {"until_ns": 99})
    assert (status, muted["muted_until_ns"]) == (200, 99)
    assert rule_named(site, name) == changed | {"muted_until_ns": 99}
    assert site.ask(f"{path}/mute", {"until_ns": None})[1]["muted_until_ns"] is None
    assert site.ask(path, method="DELETE") == (204, None)
    assert rule_named(site, name) is None
    assert site.ask(path, method="DELETE")[0] == 404


def rule_named(site: Site, name: str) -> Any:
    return next((rule for rule in site.get("/api/v1/rules")["rules"] if rule["name"] == name), None)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/rules", {}, 400),
        ("POST", "/rules", [], 400),
        ("POST", "/rules", {"name": "x", "kind": "no_such"}, 400),
        ("POST", "/rules", RULE | {"name": "a/b"}, 400),
        ("POST", "/rules", RULE | {"name": "a\x00b"}, 400),
        ("POST", "/rules", RULE | {"name": "x", "params": {"price": -1}}, 400),
        ("POST", "/rules", RULE | {"name": "x", "params": {"price": 1, "more": 2}}, 400),
        ("POST", "/rules", RULE | {"name": "x", "notify": ["nobody"]}, 400),
        ("POST", "/rules", RULE | {"name": "x", "symbols": ["@nolist"]}, 400),
        ("POST", "/rules", RULE | {"name": "of the file"}, 400),
        ("PUT", "/rules/of%20the%20file", RULE, 400),
        ("DELETE", "/rules/of%20the%20file", None, 400),
        ("PUT", "/rules/none", RULE, 404),
        ("DELETE", "/rules/none", None, 404),
        ("POST", "/rules/none/mute", {"until_ns": None}, 404),
        ("POST", "/rules/none/mute", {"until_ns": -1}, 400),
        ("POST", "/rules/none/mute", {}, 400),
        ("POST", "/alerts/none/acknowledge", None, 404),
        ("POST", "/rule-tests", {"rule": RULE | {"name": "x"}, "start_ns": 5, "end_ns": 5}, 400),
        ("POST", "/rule-tests", {"rule": {}, "start_ns": 5, "end_ns": 6}, 400),
        ("PATCH", "/rules/none", RULE, 405),
        ("GET", "/nowhere", None, 404),
    ],
)
def test_what_is_wrong_is_told(site: Site, method: str, path: str, body: Any, status: int) -> None:
    found, answer = site.ask(f"/api/v1{path}", body, method)
    assert found == status, answer
    assert set(answer["error"]) == {"what", "why", "next_step"}
    assert answer["error"]["what"]


def test_a_rule_of_the_file_can_be_muted(site: Site) -> None:
    assert site.ask("/api/v1/rules/of%20the%20file/mute", {"until_ns": 7})[0] == 200
    assert rule_named(site, "of the file")["muted_until_ns"] == 7
    assert rule_named(site, "of the file")["source"] == "file"


# --- alerts


def test_an_alert_reaches_everybody_and_so_does_its_acknowledgement(
    site: Site, settings: Settings, run: None
) -> None:
    rule = make_rule(site, name="reaches <b>everybody", symbols=["Ünï|C"])
    now_ns = CLOCK.now_ns()
    with site.live() as one, site.live() as other:
        for socket in (one, other):
            assert "alerts" in subscribed(socket, alerts=True, every_ms=50)
        send(settings, [trade("Ünï|C", price, now_ns + n, n) for n, price in enumerate([9.0, 11.0])])
        streamed = heard(one, lambda message: of_rule(message, rule))
        assert heard(other, lambda message: of_rule(message, rule)) == streamed
        (shown,) = [row for row in site.get("/api/v1/alerts")["alerts"] if row["rule"] == rule["name"]]
        assert streamed == [shown]
        assert (shown["ts_ns"], shown["value"], shown["threshold"]) == (now_ns + 1, 11.0, 10.0)
        assert shown["acknowledged_ns"] is None
        assert stored(site, shown["id"]) == shown
        with site.live() as late:
            assert shown in subscribed(late, alerts=True)["alerts"]
        assert site.ask(f"/api/v1/alerts/{shown['id']}/acknowledge", method="POST") == (204, None)
        for socket in (one, other):
            (seen,) = heard(socket, lambda message: of_rule(message, rule))
            assert seen["acknowledged_ns"] is not None
            assert seen | {"acknowledged_ns": None} == shown
    (now,) = [row for row in site.get("/api/v1/alerts")["alerts"] if row["id"] == shown["id"]]
    assert now["acknowledged_ns"] is not None
    assert stored(site, shown["id"]) == now


def of_rule(message: dict[str, Any], rule: dict[str, Any]) -> list[Any]:
    return [row for row in message.get("alerts", []) if row["rule"] == rule["name"]]


def stored(site: Site, alert_id: str) -> dict[str, Any]:
    """Read an alert by SQL, as the API has it."""
    names = (
        "id, rule, rule_kind, feed, symbol, ts_ns, recorded_ns, value, threshold, is_quiet, severity, notify,"
        " message, acknowledged_ns"
    )
    (row,) = site.rows(f"SELECT {names} FROM alerts WHERE id = '{alert_id}'")
    found = dict(zip(names.replace(" ", "").split(","), row, strict=True))
    for name in ("ts_ns", "recorded_ns", "acknowledged_ns"):  # texts, where JavaScript would round them
        found[name] = None if found[name] is None else int(found[name])
    return found


def test_pages_of_alerts_lose_none_and_double_none(site: Site, settings: Settings, run: None) -> None:
    rule = make_rule(site, name="many at one time")
    now_ns = CLOCK.now_ns()
    symbols = [f"P{number}" for number in range(7)]
    # All of them at two instants, so that most neighbours have the same time.
    prices = enumerate([9.0, 11.0, 9.0])
    send(settings, [trade(name, price, now_ns + n * S, n) for n, price in prices for name in symbols])

    def fired() -> list[Any]:
        return [row for row in site.get("/api/v1/alerts?limit=1000")["alerts"] if row["rule"] == rule["name"]]

    until(lambda: len(fired()) == 14, "all of them are recorded")
    whole = site.get("/api/v1/alerts?limit=1000")["alerts"]
    assert {(row["symbol"], row["ts_ns"]) for row in fired()} == {
        (name, now_ns + n * S) for name in symbols for n in (1, 2)
    }
    for limit in (1, 3, 5):
        paged: list[Any] = []
        path = f"/api/v1/alerts?limit={limit}"
        while page := site.get(path)["alerts"]:
            assert len(page) <= limit
            paged += page
            path = f"/api/v1/alerts?limit={limit}&before={page[-1]['id']}"
        assert paged == whole
    assert whole == sorted(whole, key=lambda row: (row["ts_ns"], row["id"]), reverse=True)


def test_a_test_of_a_rule_is_what_the_command_says(
    site: Site, settings: Settings, run: None, tmp_path: Path
) -> None:
    base_ns = (CLOCK.now_ns() // S - 600) * S
    prices = [9.0, 11.0, 9.0, 10.0, 12.0, 9.5]
    send(settings, [trade("HIST", price, base_ns + n * S, n) for n, price in enumerate(prices)])
    count = "SELECT count(*) FROM trades WHERE feed = 'f' AND symbol = 'HIST'"
    until(lambda: site.rows(count) == [[len(prices)]], "the trades are stored")
    rule = RULE | {"name": "tried", "symbols": ["HIST"]}
    span_ns = base_ns, base_ns + 60 * S
    status, found = site.ask(
        "/api/v1/rule-tests", {"rule": rule, "start_ns": span_ns[0], "end_ns": span_ns[1]}
    )
    assert status == 200, found
    # Reached from the other side, or left to it, as the kind says; by hand.
    assert [row["ts_ns"] - base_ns for row in found["fired"]] == [n * S for n in (1, 2, 3, 5)]
    assert (found["records"], found["symbols"]) == (len(prices), 1)
    file = tmp_path / "ticktrail.toml"
    text = 'name = "tried"\nkind = "price_crosses"\nfeed = "f"\ncooldown_s = 0\nsymbols = ["HIST"]\n'
    file.write_text(f"[[alerts.rules]]\n{text}params = {{price = 10.0}}\n")
    span = [
        argument
        for option, at_ns in zip(("--from", "--to"), span_ns, strict=True)
        for argument in (option, utc(at_ns))
    ]
    command = ["alerts", "test", "tried", *flags_of(settings), "--config", str(file), *span, "--json"]
    result = CliRunner().invoke(cli, command)
    assert result.exit_code == 0, result.output
    ours = json.loads(result.stdout)["fired"]
    assert [row["id"] for row in ours] == [row["id"] for row in found["fired"]]
    assert [row["message"] for row in ours] == [row["message"] for row in found["fired"]]


def utc(at_ns: int) -> str:
    import datetime

    return datetime.datetime.fromtimestamp(at_ns // S, tz=datetime.UTC).isoformat()


# --- who may


@pytest.mark.parametrize(
    ("token", "method", "path", "body", "status"),
    [
        (READING, "GET", "/api/v1/rules", None, 200),
        (READING, "GET", "/api/v1/alerts", None, 200),
        (READING, "GET", "/metrics", None, 200),
        (READING, "POST", "/api/v1/rules", RULE, 403),
        (READING, "PUT", "/api/v1/rules/x", RULE, 403),
        (READING, "DELETE", "/api/v1/rules/x", None, 403),
        (READING, "POST", "/api/v1/rules/x/mute", {"until_ns": None}, 403),
        (READING, "POST", "/api/v1/alerts/x/acknowledge", None, 403),
        (READING, "POST", "/api/v1/rule-tests", {"rule": RULE, "start_ns": 1, "end_ns": 2}, 403),
        (READING, "POST", "/api/v1/sql", {"sql": "SELECT 1"}, 403),
        (READING, "GET", "/api/v1/sql/schema", None, 403),
        # A path can be written in several ways.
        (READING, "POST", "/api/v1//sql", {"sql": "SELECT 1"}, 403),
        (READING, "POST", "/api/v1/sql/", {"sql": "SELECT 1"}, 403),
        (READING, "POST", "//api/v1/sql", {"sql": "SELECT 1"}, 403),
        (READING, "POST", "/api/v1/%73ql", {"sql": "SELECT 1"}, 403),
        (READING, "POST", "/api//v1/rules", RULE, 403),
        (ASKING, "POST", "/api/v1/sql", {"sql": "SELECT 1"}, 200),
        (ASKING, "GET", "/api/v1/symbols", None, 403),
        (ASKING, "GET", "/", None, 403),
    ],
)
def test_scopes(site: Site, token: str, method: str, path: str, body: Any, status: int) -> None:
    found, answer = site.send(
        path, None if body is None else json.dumps(body).encode(), method, authorization=f"Bearer {token}"
    )
    assert found == status, answer
    if status == 403:
        assert json.loads(answer)["error"]["what"].startswith("This token does not allow")


def test_a_token_s_scopes_are_told(site: Site) -> None:
    assert site.get("/api/v1/info")["scopes"] == ["alerts", "read", "sql"]
    assert site.ask("/api/v1/info", authorization=f"Bearer {READING}")[1]["scopes"] == ["read"]


# --- what it says of itself


def test_the_lags_are_those_of_the_stages(site: Site, settings: Settings, run: None) -> None:
    def of_files() -> dict[tuple[str, str, int], int]:
        lags: dict[tuple[str, str, int], int] = {}
        for path in (Path(settings.stack.data_dir) / "run").glob("*.json"):
            word = json.loads(path.read_bytes())
            for gauge in word["gauges"]:
                kind = word.get("kind") or word["name"]
                if gauge["name"] == f"ticktrail_{kind}_lag_records" and "partition" in gauge["labels"]:
                    at = kind, gauge["labels"]["topic"], int(gauge["labels"]["partition"])
                    lags[at] = lags.get(at, 0) + int(gauge["value"])
        return lags

    def of_api() -> dict[tuple[str, str, int], int]:
        lags = site.get("/api/v1/pipeline")["lags"]
        return {(lag["stage"], lag["topic"], lag["partition"]): lag["lag_records"] for lag in lags}

    until(lambda: of_files() == of_api(), "they say the same")
    assert {"persist", "bars", "alerts"} <= {stage for stage, _, _ in of_api()}


def test_the_pipeline_is_told_to_live_clients(site: Site, run: None) -> None:
    with site.live() as socket:
        found = subscribed(socket, pipeline=True)["pipeline"]
        heard(socket, lambda message: message.get("pipeline"))
    assert {server["name"]: server["state"] for server in found["servers"]} == {
        "kafka": "up",
        "cassandra": "up",
    }
    assert found["open_gaps"] is not None
    assert found["trouble"] is None


def test_metrics_are_prometheus_text(site: Site, run: None) -> None:
    text = site.bytes("/metrics").decode()
    assert site.last_headers["content-type"].startswith("text/plain; version=")
    values = {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert values["ticktrail_serve_read_values_total"] > 0
    assert values["ticktrail_serve_recv_to_read_seconds_count"] > 0
    assert values["process_resident_memory_bytes"] > 0


def test_the_document_lists_every_route(site: Site) -> None:
    document = site.get("/api/v1/openapi.json")
    listed = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    routes = {("GET", "/healthz"), ("GET", "/metrics")}
    for handler in [*ROUTES, *ALERT_ROUTES]:
        for path in handler.paths:
            written = f"/api/v1{path.replace(':str', '')}"
            routes |= {(method, written) for method in handler.http_methods if method != "OPTIONS"}
    assert listed == routes
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], (method, path)
            content = operation["responses"].get("200", operation["responses"].get("201", {}))
            for media in content.get("content", {}).values():
                assert media["schema"], (method, path)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/api/v1/rules", {"GET", "POST", "OPTIONS"}),
        ("/api/v1/rules/x", {"PUT", "DELETE", "OPTIONS"}),
        ("/api/v1/sql", {"POST", "OPTIONS"}),
    ],
)
def test_methods_are_told(site: Site, path: str, allowed: set[str]) -> None:
    for method, status in (("OPTIONS", 204), ("PATCH", 405)):
        found, headers, _ = site.raw(method, path)
        assert found == status
        assert set(headers["allow"].split(", ")) == allowed


# --- SQL and the tape


def sql_children(site: Site) -> set[int]:
    found = set()
    for each in psutil.Process(site.pid).children():
        with suppress(psutil.Error):  # it may end meanwhile
            if "spawn_main" in " ".join(each.cmdline()):
                found.add(each.pid)
    return found


def test_a_question_ends_with_its_client(site: Site) -> None:
    assert site.rows("SELECT 42") == [[42]]
    (child,) = sql_children(site)
    host, _, port = site.address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=DEADLINE_S)
    body = json.dumps({"sql": "SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b"})
    headers = {"authorization": f"Bearer {site.token}", "content-type": "application/json"}
    begun = psutil.Process(child).cpu_times().user
    connection.request("POST", "/api/v1/sql", body, headers)
    until(lambda: psutil.Process(child).cpu_times().user > begun + 0.2, "the question runs")
    connection.close()
    until(lambda: child not in sql_children(site), "its process is ended")
    assert site.rows("SELECT 42") == [[42]]


def test_the_quote_beside_the_tape_is_what_sql_says(site: Site, run: None) -> None:
    symbol = site.get("/api/v1/symbols?feed=sim")["symbols"][0]["symbol"]
    with site.live() as socket:
        subscribed(socket, tape=f"sim|{symbol}", every_ms=20)
        quoted = heard(socket, lambda message: message.get("quote"))
    names = ("bid_price", "bid_size", "bid_venue", "ask_price", "ask_size", "ask_venue")
    sql = (
        f"SELECT {', '.join(names)} FROM quotes WHERE feed = 'sim' AND symbol = '{symbol}'"
        f" AND ts_event_ns = {quoted['ts_ns']}"
    )
    shown = [quoted[name.removesuffix("_price")] for name in names]
    # Of two quotes at one instant both are stored.
    until(lambda: shown in site.rows(sql), "it is stored")


# --- everything else


@pytest.mark.timeout(900)
def test_schemathesis_finds_nothing(site: Site, settings: Settings, tmp_path: Path) -> None:
    """All checks but those that `tests/schemathesis.toml` leaves out, with the reasons."""
    command = [
        *(sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"),
        *("--config-file", str(HERE / "schemathesis.toml"), "--no-color", "run"),
        *(f"http://{site.address}/api/v1/openapi.json", "-H", f"Authorization: Bearer {site.token}"),
        *("--max-examples", "25", "--seed", "1", "--continue-on-failure", "--warnings", "off"),
        *("--request-timeout", "60", "--suppress-health-check", "all"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=880, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    assert "19 selected / 19 total" in done.stdout
    assert site.get("/healthz") == {"is_healthy": True}
    # What it has made concerns only what it has asked for, but the evaluation would read it for ever.
    for rule in site.get("/api/v1/rules")["rules"]:
        if rule["source"] == "page":
            site.ask(f"/api/v1/rules/{quote(rule['name'], safe='')}", method="DELETE")
