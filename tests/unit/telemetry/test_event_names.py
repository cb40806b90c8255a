"""Every event in the sources is a literal name, ``room.what_happened``, never a built sentence."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import ticktrail

_SOURCES = Path(ticktrail.__file__).parent
_METHODS = {"debug", "info", "warning", "error", "exception", "critical"}
_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")


def _loggers(tree: ast.Module) -> set[str]:
    """Names bound to ``get_logger(…)`` anywhere in a module."""
    return {
        target.id if isinstance(target, ast.Name) else target.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Name)
        and node.value.func.id == "get_logger"
        for target in node.targets
        if isinstance(target, ast.Name | ast.Attribute)
    }


def test_events_have_literal_dotted_names() -> None:
    bad = []
    for path in _SOURCES.rglob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        loggers = _loggers(tree)
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            owner = node.func.value
            name = owner.id if isinstance(owner, ast.Name) else getattr(owner, "attr", "")
            if name not in loggers or node.func.attr not in _METHODS:
                continue
            event = node.args[0] if node.args else None
            literal = event.value if isinstance(event, ast.Constant) else None
            if len(node.args) != 1 or not isinstance(literal, str) or not _NAME.fullmatch(literal):
                bad.append(f"{path.relative_to(_SOURCES)}:{node.lineno}")
    assert bad == []
