"""The Grafana dashboard, Prometheus' rules and the reference page name only what the code counts."""

from __future__ import annotations

import ast
import importlib
import json
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import promql
import pytest
import yaml  # type: ignore[import-untyped]  # MkDocs brings it
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

import ticktrail
from ticktrail.cli.pipeline import _STAGES
from ticktrail.config import CaptureSettings
from ticktrail.telemetry import Latency, Sizes, catalogue, isolated_registry
from ticktrail.telemetry.exporter import prometheus_registry
from ticktrail.telemetry.metrics import Metric
from ticktrail.telemetry.stages import _NAMES, _ORDER

SOURCES = Path(ticktrail.__file__).parent
ROOT = SOURCES.parents[1]
DASHBOARD = ROOT / "deploy/grafana/ticktrail.json"
PROMETHEUS = ROOT / "deploy/prometheus"
PAGES = [ROOT / "docs/reference/metrics.md", ROOT / "docs/how-to/monitoring.md"]

# What Prometheus adds to every sample: the first two by itself, the last in prometheus.yml.
SCRAPED = {"job", "instance", "stage"}
MADE_BY_PROMETHEUS = {
    "up": ("gauge", frozenset[str]()),
    "ALERTS": ("gauge", frozenset({"alertname", "alertstate"})),
}


@cache
def declared() -> dict[str, Metric[Any]]:
    """Find every declaration in the sources' text, whatever is imported."""
    names = set()
    for path in SOURCES.rglob("*.py"):
        if "ticktrail_" not in (text := path.read_text("utf-8")):
            continue
        found = {
            node.args[0].value
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in {"Counter", "Gauge", "Latency", "Sizes"}
            and node.args
            and isinstance(node.args[0], ast.Constant)
        }
        if found:
            importlib.import_module(".".join(path.relative_to(SOURCES.parent).with_suffix("").parts))
        names |= found
    metrics = {metric.name: metric for metric in catalogue() if metric.name in names}
    assert metrics.keys() == names
    return metrics


@cache
def exported() -> dict[str, tuple[str, frozenset[str]]]:
    """Give the type and labels of each sample that a process serves which has counted everything once."""
    with isolated_registry():
        for metric in declared().values():
            cell = metric.labels(**dict.fromkeys(metric.label_names, "x"))
            if isinstance(metric, Latency):
                cell.observe_ns(np.array([1], dtype=np.int64))
            elif isinstance(metric, Sizes):
                cell.observe(1)
        text = generate_latest(prometheus_registry()).decode()
    samples = {
        sample.name: (family.type, frozenset(sample.labels))
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    return samples | MADE_BY_PROMETHEUS


def load_yaml(name: str) -> Any:
    return yaml.safe_load((PROMETHEUS / name).read_text("utf-8"))


@cache
def rules() -> list[dict[str, Any]]:
    return [rule for group in load_yaml("rules.yml")["groups"] for rule in group["rules"]]


ALERTS = [rule for rule in rules() if "alert" in rule]
RECORDED = {rule["record"]: rule["expr"] for rule in rules() if "record" in rule}
PANELS: list[dict[str, Any]] = json.loads(DASHBOARD.read_text("utf-8"))["panels"]


def queries(node: Any) -> list[dict[str, Any]]:
    """Find whatever has an expression, at any depth."""
    if isinstance(node, list):
        return [query for each in node for query in queries(each)]
    if not isinstance(node, dict):
        return []
    return ([node] if "expr" in node else []) + queries(list(node.values()))


QUERIES = queries(json.loads(DASHBOARD.read_text("utf-8")))
EXPRESSIONS = [rule["expr"] for rule in rules()] + [query["expr"] for query in QUERIES]


def labels_of(expression: promql.Expression) -> set[str]:
    """Give the labels that the result may have."""
    return set().union(
        *(
            expression.by if selector.is_aggregated else labels_of_metric(selector.name)
            for selector in expression.selectors
        )
    )


def labels_of_metric(name: str) -> set[str]:
    if name in RECORDED:
        return labels_of(promql.parse(RECORDED[name]))
    return set(exported()[name][1]) | SCRAPED


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_an_expression_reads_metrics_that_exist_by_labels_that_they_have(text: str) -> None:
    expression = promql.parse(text)
    assert expression.selectors
    known: set[str] = set()
    for selector in expression.selectors:
        assert selector.name in exported() or selector.name in RECORDED
        labels = labels_of_metric(selector.name)
        assert selector.matchers.keys() <= labels
        known |= labels
    assert expression.by | expression.on <= known


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_an_expression_treats_each_metric_by_its_type(text: str) -> None:
    expression = promql.parse(text)
    for selector in expression.selectors:
        kind, labels = exported().get(selector.name, ("gauge", frozenset()))
        assert selector.is_range is bool({"rate", "increase", "deriv"} & set(selector.functions))
        if selector.is_range:
            assert (selector.functions[-1] == "deriv") is (kind == "gauge"), selector.name
        if kind == "histogram":
            assert selector.functions[-1] == "rate"
            assert ("histogram_quantile" in selector.functions) is selector.name.endswith("_bucket")
        if "histogram_quantile" in selector.functions:
            assert "le" in labels & expression.by


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_why_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule.keys() == {"alert", "expr", "for", "labels", "annotations"}
    assert rule["alert"].startswith("Ticktrail")
    assert re.fullmatch(r"\d+m", rule["for"])
    assert rule["labels"].keys() == {"severity"}
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert rule["annotations"].keys() == {"summary", "description", "action"}
    texts = " ".join(rule["annotations"].values())
    assert set(re.findall(r"\$labels\.(\w+)", texts)) <= labels_of(promql.parse(rule["expr"]))
    assert all(rule["annotations"].values())


def test_rules_have_names_of_their_own() -> None:
    names = [rule.get("alert") or rule["record"] for rule in rules()]
    assert len(set(names)) == len(names)


def test_each_alert_has_a_case_for_promtool() -> None:
    text = (PROMETHEUS / "rules.test.yml").read_text("utf-8")
    assert set(re.findall(r'alertname="(\w+)"', text)) == {rule["alert"] for rule in ALERTS}


def test_the_ports_are_those_that_run_gives_its_stages() -> None:
    (job,) = load_yaml("prometheus.yml")["scrape_configs"]
    assert job["job_name"] == "ticktrail"
    ports = {
        config["labels"]["stage"]: int(target.removeprefix("127.0.0.1:"))
        for config in job["static_configs"]
        for target in config["targets"]
    }
    first = ports[_STAGES[0]]
    assert [ports[stage] - first for stage in _STAGES] == list(range(len(_STAGES)))
    assert len(set(ports.values())) == len(ports) == len(job["static_configs"])
    assert ports.keys() == set(_ORDER)
    assert (PROMETHEUS / load_yaml("prometheus.yml")["rule_files"][0]).exists()


def test_stages_and_jobs_that_are_asked_for_are_scraped() -> None:
    for text in EXPRESSIONS:
        for selector in promql.parse(text).selectors:
            assert selector.matchers.get("stage", "serve") in _ORDER
            assert selector.matchers.get("job", "ticktrail") == "ticktrail"


def test_the_spool_is_full_where_its_setting_says() -> None:
    (full,) = [rule for rule in ALERTS if rule["alert"] == "TicktrailSpoolFull"]
    assert full["expr"] == f"ticktrail_capture_spool_bytes > {CaptureSettings().spool_bytes_max // 2}"


def test_the_dashboard_takes_its_source_from_a_variable() -> None:
    dashboard = json.loads(DASHBOARD.read_text("utf-8"))
    (variable,) = dashboard["templating"]["list"]
    assert (variable["type"], variable["query"]) == ("datasource", "prometheus")
    source = {"type": "prometheus", "uid": f"${{{variable['name']}}}"}
    asking = [panel for panel in PANELS if panel["type"] != "row"]
    assert {json.dumps(each["datasource"]) for each in [*asking, *dashboard["annotations"]["list"]]} == {
        json.dumps(source)
    }
    assert dashboard["schemaVersion"] >= 41  # Grafana 12
    assert "id" not in dashboard  # of the Grafana that it was made in


def test_panels_stand_beside_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    for panel in PANELS:
        references = [target["refId"] for target in panel.get("targets", ())]
        assert len(set(references)) == len(references)


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query["expr"][:60])
def test_legends_name_labels_that_the_result_has(query: dict[str, Any]) -> None:
    text = query.get("legendFormat", "")
    assert set(re.findall(r"{{\s*(\w+)\s*}}", text)) <= labels_of(promql.parse(query["expr"]))


def test_the_dashboard_shows_all_that_status_shows() -> None:
    shown = {selector.name for query in QUERIES for selector in promql.parse(query["expr"]).selectors}
    for kind, names in _NAMES.items():
        numbers = (names.records, names.retries, names.lag, names.queued_frames, *names.lag_ages)
        numbers += (names.dead_letters, names.spool, names.spool_age, names.checkpoint_age)
        wanted = {name for name in numbers if name}
        wanted |= {f"{names.latency}_bucket"} if names.latency else set()
        assert wanted <= shown, kind
    assert {name.removesuffix("_sum") for name in shown} >= {names.batch for names in _NAMES.values()} - {""}


def test_the_reference_page_lists_every_metric() -> None:
    # In a process that has not imported what declares them.
    code = "import runpy, sys; print(runpy.run_path(sys.argv[1])['on_page_markdown'](sys.stdin.read()))"
    page = subprocess.run(
        [sys.executable, "-c", code, ROOT / "docs/hooks/generate.py"],
        input=PAGES[0].read_text("utf-8"),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    rows = re.findall(r"^\| `(ticktrail_\w+)` \|(.*)\|$", page, flags=re.MULTILINE)
    assert [name for name, _ in sorted(rows)] == sorted(declared())
    for name, row in rows:
        metric = declared()[name]
        kind, unit, labels, text = (cell.strip() for cell in row.split("|"))
        sample = exported()[name if name in exported() else f"{name}_bucket"]
        assert (kind, unit) == (sample[0], metric.unit)
        assert set(labels.split(", ")) - {""} == sample[1] - {"le"}
        assert text.replace("`", "") == metric.description.replace("`", "")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_name_metrics_that_exist(page: Path) -> None:
    named = set(re.findall(r"\bticktrail_[a-z0-9_]+", page.read_text("utf-8")))
    assert named
    assert named - declared().keys() - exported().keys() == set()


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool, Prometheus' own checker, is not here")
@pytest.mark.parametrize("check", ["check config prometheus.yml", "test rules rules.test.yml"])
def test_promtool_agrees(check: str) -> None:
    done = subprocess.run(
        ["promtool", *check.split()], cwd=PROMETHEUS, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "text",
    [
        "rate(a[5m]",
        "sum by (le) a)",
        "sum(a) by (b)",
        "irate(a[5m])",
        "a{b}",
        "a{b=c}",
        "[5m]",
        'a "x"',
        "a @ 5",
        "sum without (b) (a)",
        "topk(5, a)",
    ],
)
def test_what_the_reader_of_expressions_does_not_know_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not understood"):
        promql.parse(text)


def test_the_reader_of_expressions() -> None:
    found = promql.parse(
        'histogram_quantile(0.99, sum by (le, x) (rate(a_bucket{f="g", h!="i"}[5m]))) > 1'
        " and on (x) (b unless b offset 10m) > 0"
    )
    assert found.selectors == [
        promql.Selector(
            name="a_bucket",
            matchers={"f": "g", "h": "i"},
            functions=("histogram_quantile", "sum", "rate"),
            is_range=True,
        ),
        *[promql.Selector(name="b", matchers={}, functions=(), is_range=False)] * 2,
    ]
    assert (found.by, found.on) == ({"le", "x"}, {"x"})
    assert [each.is_aggregated for each in found.selectors] == [True, False, False]
