"""Fills the reference pages from the code: ``<!-- generate: NAME -->`` becomes what `PARTS` makes of it.

MkDocs calls `on_page_markdown` for each page (``hooks`` in mkdocs.yml). Nothing that is generated here is
committed, so it cannot fall behind the code.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import click
import msgspec
from mkdocs.exceptions import PluginError

import ticktrail
from ticktrail import errors
from ticktrail.bus import Topics
from ticktrail.cli.main import cli
from ticktrail.config import Secret, Settings
from ticktrail.config.section import variable_of
from ticktrail.feeds.registry import FEEDS
from ticktrail.model import RECORD_OF, Bar, Correction, Gap, Quote, Record, Status, Trade
from ticktrail.telemetry import catalogue

_PACKAGE = Path(ticktrail.__file__).parent
_PLACE = re.compile(r"^<!-- generate: (\w+) -->$", re.MULTILINE)
_UNFILLED = re.compile(r"--8\s*(<|&lt;)")
_HEADING = re.compile(r"^(#+ )", re.MULTILINE)
_DECLARES_METRIC = re.compile(r"^\w+ = (Counter|Gauge|Latency|Sizes)\(", re.MULTILINE)
# The second word of a metric's name → the heading that it stands under.
_METRICS_OF = {
    "exchange": "The simulated exchange",
    "capture": "Capture",
    "persist": "Persist",
    "bars": "Bars",
    "alerts": "Alerts",
    "serve": "The page's server",
    "store": "Every process that writes to Cassandra",
    "": "Every process",
}
_METRIC_TYPES = {"counter": "counter", "gauge": "gauge", "latency": "histogram", "sizes": "histogram"}
_ENTRY = re.compile(r"^(\S.*)\n((?:(?: {4}.*)?\n)+)", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill in a page; called by MkDocs."""
    return _PLACE.sub(lambda place: PARTS[place[1]](), markdown)


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Refuse a page whose included files are missing from it; called by MkDocs."""
    if _UNFILLED.search(output):
        raise PluginError(f"{page.file.src_uri}: a line that includes a file was not understood")
    return output


def cli_part() -> str:
    """List every command with its help and options."""
    root = click.Context(cli, info_name="ticktrail")
    return "\n".join(_command(name, cli, root) for name in cli.list_commands(root))


def _command(name: str, parent: click.Group, parent_context: click.Context) -> str:
    command = parent.get_command(parent_context, name)
    assert command is not None
    context = click.Context(command, info_name=name, parent=parent_context)
    if isinstance(command, click.Group):
        own = [_described(command, context)] if command.invoke_without_command else []
        return "\n".join(
            [*own, *(_command(inner, command, context) for inner in command.list_commands(context))]
        )
    return _described(command, context)


def _described(command: click.Command, context: click.Context) -> str:
    text, _, example = inspect.cleandoc(command.help or "").partition("Example: ")
    pieces = [" ".join(command.collect_usage_pieces(context))]
    lines = [f"## {context.command_path}\n", _code(text), f"\n```\n{context.command_path} {pieces[0]}\n```\n"]
    if example:
        lines.append(f"Example:\n\n```bash\n{' '.join(example.split())}\n```\n")
    rows = [record for p in command.params if (record := p.get_help_record(context)) is not None]
    lines += ["| option | |", "|---|---|", *(f"| `{_cell(a)}` | {_cell(b)} |" for a, b in rows)]
    return "\n".join(lines) + "\n"


def settings_part() -> str:
    """List every setting of ticktrail itself."""
    sections = [
        _settings_table(field.name, field.type)
        for field in msgspec.structs.fields(Settings)
        if field.name != "feeds"
    ]
    return "\n".join(sections)


def _settings_table(section: str, struct: Any) -> str:
    doc = inspect.getdoc(struct) or ""
    texts = _parameters(doc)
    rows: dict[str, tuple[list[str], list[str]]] = {}
    nested = []
    for field in msgspec.structs.fields(struct):
        # What is described together stands in one row.
        keys, defaults = rows.setdefault(texts.get(field.name, ""), ([], []))
        keys.append(f"`{field.encode_name}`")
        defaults.append("required" if field.required else _default(_default_of(field)))
        if isinstance(field.default, msgspec.Struct):
            nested.append(_settings_table(f"{section}.{field.encode_name}", type(field.default)))
    example = variable_of(f"{section}.{msgspec.structs.fields(struct)[0].encode_name}")
    head = f"## [{section}]\n\n{_code(doc.partition('Parameters')[0])}\n\nIn the environment: `{example}`."
    lines = [
        f"| {', '.join(keys)} | {', '.join(defaults)} | {_cell(text)} |"
        for text, (keys, defaults) in rows.items()
    ]
    return "\n".join([head, "", "| key | default | |", "|---|---|---|", *lines, "", *nested])


def _default_of(field: Any) -> Any:
    return field.default_factory() if field.default is msgspec.NODEFAULT else field.default


def _default(value: Any) -> str:
    if isinstance(value, msgspec.Struct):
        return "see below"
    if isinstance(value, Secret) or value in ("", {}, ()):
        return "empty"
    if isinstance(value, tuple):
        return f"`{','.join(value)}`"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"`{text.replace(str(Path.home()), '~')}`"  # not the home of whoever builds the pages


def feeds_part() -> str:
    """List the feeds: what each is, its settings, and its folder's own README."""
    return "\n".join(_feed(name) for name in FEEDS)


def _feed(name: str) -> str:
    entry = FEEDS[name]
    folder = _PACKAGE / "feeds" / name
    lines = [f"## {name}\n", f"{entry.summary[0].upper()}{entry.summary[1:]}.\n"]
    readme = folder / "README.md"
    if readme.exists():
        _, _, text = readme.read_text("utf-8").partition("\n")  # without its title
        lines.append(_HEADING.sub(r"#\1", text))
    module = importlib.import_module(f"ticktrail.feeds.{name}.config")
    structs = [
        struct
        for struct in vars(module).values()
        if inspect.isclass(struct)
        and issubclass(struct, msgspec.Struct)
        and struct.__module__ == module.__name__
    ]
    lines += [_HEADING.sub(r"#\1", _settings_table(f"feeds.{name}", struct)) for struct in structs]
    return "\n".join(lines)


def metrics_part() -> str:
    """List every metric that any module declares, by stage."""
    for path in sorted(_PACKAGE.rglob("*.py")):
        if _DECLARES_METRIC.search(path.read_text("utf-8")):
            importlib.import_module(".".join(path.relative_to(_PACKAGE.parent).with_suffix("").parts))
    groups: dict[str, list[str]] = {name: [] for name in _METRICS_OF}
    for metric in catalogue():
        of = metric.name.split("_")[1]
        cells = (f"`{metric.name}`", _METRIC_TYPES[metric.kind], metric.unit, ", ".join(metric.label_names))
        row = f"| {' | '.join(cells)} | {_cell(metric.description)} |"
        groups[of if of in groups else ""].append(row)
    head = ["| metric | type | unit | labels | |", "|---|---|---|---|---|"]
    parts = ["\n".join([f"### {_METRICS_OF[name]}\n", *head, *rows, ""]) for name, rows in groups.items()]
    return "\n".join(parts)


def errors_part() -> str:
    """Draw the error tree, then list each class with its fields."""
    tree = (inspect.getdoc(errors) or "").partition("::\n\n")[2]
    drawn = "\n".join(line for line in tree.splitlines() if line.startswith("    "))
    lines = [f"```text\n{inspect.cleandoc(drawn)}\n```\n"]
    for name in errors.__all__:
        error = getattr(errors, name)
        doc = inspect.getdoc(error) or ""
        kind = next(
            (base.__name__ for base in (errors.Transient, errors.Terminal) if issubclass(error, base)), ""
        )
        lines.append(f"## {name}\n\n{_code(doc.partition('Parameters')[0])}\n")
        own = [
            field.name
            for field in dataclasses.fields(error)
            if field.name in vars(error).get("__annotations__", {})
        ]
        texts = _parameters(doc)
        details = [
            f"- `{field}`: {_line(texts[field])}" if field in texts else f"- `{field}`" for field in own
        ]
        lines += ([f"A {kind} error.\n"] if kind not in ("", name) else []) + [*details, ""]
    return "\n".join(lines)


def records_part() -> str:
    """List the records with their fields."""
    return "\n".join(_record(record) for record in RECORD_OF.values())


def _record(record: type[Record]) -> str:
    doc = inspect.getdoc(record) or ""
    texts = _parameters(doc)
    if issubclass(record, Quote | Correction):
        texts = _parameters(inspect.getdoc(Trade) or "") | texts  # they refer to it
    rows = [
        f"| `{field.name}` | {_type_name(field.type)} | {_cell(texts.get(field.name, ''))} |"
        for field in msgspec.structs.fields(record)
    ]
    head = f"### {record.__name__}\n\n{_code(doc.partition('Parameters')[0])}"
    return "\n".join([head, "", "| field | type | |", "|---|---|---|", *rows, ""])


def _type_name(hint: Any) -> str:
    return str(getattr(get_args(hint)[0] if get_args(hint) else hint, "__name__", hint))


def topics_part() -> str:
    """List the topics of the default prefix."""
    topics = Topics(prefix="ticktrail")
    carried: dict[str, list[str]] = {}
    records: tuple[type[Record], ...] = (Trade, Correction, Quote, Status, Bar, Gap)
    for record in records:
        carried.setdefault(topics.for_record(record), []).append(record.__name__)
    for topic in topics.timed:
        carried[topic].append("Heartbeat")
    carried[topics.vendor_bars] = ["Bar"]
    rows = [f"| `{topic}` | {', '.join(names)} |" for topic, names in carried.items()]
    rows.append(f"| `{topics.dead_letters}` | bytes as they came; where from and why stands in the headers |")
    return "\n".join(["| topic | values |", "|---|---|", *rows])


def _parameters(doc: str) -> dict[str, str]:
    """Read the descriptions of a NumPy docstring's parameters."""
    section = re.split(
        r"^\w[\w ]*\n-{3,}\n", doc.partition("Parameters\n----------\n")[2], flags=re.MULTILINE
    )[0]
    found: dict[str, str] = {}
    for names, text in _ENTRY.findall(section + "\n"):
        for name in names.split(","):
            found[name.strip()] = inspect.cleandoc(text)
    return found


def _code(text: str) -> str:
    """Turn reStructuredText's double backquotes into Markdown's single ones."""
    return text.replace("``", "`").strip()


def _line(text: str) -> str:
    return " ".join(_code(text).split())


def _cell(text: str) -> str:
    return _line(text).replace("|", "\\|")


PARTS: dict[str, Callable[[], str]] = {
    "cli": cli_part,
    "settings": settings_part,
    "feeds": feeds_part,
    "metrics": metrics_part,
    "errors": errors_part,
    "records": records_part,
    "topics": topics_part,
}
