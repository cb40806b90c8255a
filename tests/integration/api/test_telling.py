"""What the API says of the pipeline, of the tape and of questions in SQL."""

from __future__ import annotations

import http.client
import json
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from api_kit import ALL, CLOCK, send, trade
from prometheus_client.parser import text_string_to_metric_families
from serve_kit import DEADLINE_S, Site, heard, subscribed, until

from ticktrail.config import Settings
from ticktrail.model import Correction

pytestmark = [pytest.mark.servers, pytest.mark.timeout(400)]


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


def test_a_correction_reaches_the_tape_and_the_last_price(site: Site, settings: Settings) -> None:
    now_ns = CLOCK.now_ns()
    wrong = trade("CORR", 99.0, now_ns + 1, 2)
    right = Correction(
        feed="f",
        symbol="CORR",
        day=wrong.day,
        ts_ns=now_ns + 2,
        event_id=3,
        ts_event_ns=now_ns + 2,
        ts_recv_ns=now_ns + 2,
        original_event_id=wrong.event_id,
        original_price=wrong.price,
        original_size=wrong.size,
        price=9.5,
        size=4.0,
        flags=ALL,
    )
    with site.live() as socket:
        subscribed(socket, symbols=["f|CORR"], tape="f|CORR", every_ms=20)
        send(settings, [trade("CORR", 10.0, now_ns, 1), wrong])
        heard(socket, lambda message: any(row["last"] == 99.0 for row in message.get("symbols", [])))
        send(settings, [right])
        told = heard(socket, lambda message: message if message.get("amended") else None)
    assert told["amended"] == [{"event_id": "2", "action": "correct", "price": 9.5, "size": 4.0}]
    assert [row["last"] for row in told["symbols"]] == [9.5]
    with site.live() as late:
        tape = subscribed(late, tape="f|CORR")["tape"]
    assert [(tick["price"], tick.get("amended", {}).get("price")) for tick in tape] == [
        (10.0, None),
        (99.0, 9.5),
    ]


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
