"""Rules of alerts over the API: made, changed, muted, deleted, refused, tried."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from api_kit import CLOCK, RULE, S, send, trade
from click.testing import CliRunner
from fixtures_servers import flags_of
from serve_kit import Site, until

from ticktrail.cli.main import cli
from ticktrail.config import Settings

pytestmark = [pytest.mark.servers, pytest.mark.timeout(400)]


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
