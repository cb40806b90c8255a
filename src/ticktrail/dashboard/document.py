"""The OpenAPI document: what Litestar makes of the routes, and what it does not know of them.

That is: how every answer fails, that the server's door asks for a token, what a rule of each kind looks like,
and that some answers come in several formats.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec
from litestar import Request
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme

from ticktrail import __version__
from ticktrail.alerts.kinds import KINDS
from ticktrail.alerts.rules import Rule
from ticktrail.dashboard.answers import Health, Problem
from ticktrail.dashboard.indicators import PATTERN

__all__ = ["API", "completed", "openapi_config"]

API = "/api/v1"
_REFS = "#/components/schemas/{name}"
_BULK = ("application/vnd.apache.arrow.stream", "text/csv")
_BINARY: dict[str, Any] = {"type": "string", "format": "binary"}
_FAILURES = {
    "400": "The request is wrong",
    "401": "A token is needed",
    "403": "The token does not allow this, or the request comes from elsewhere",
    "404": "There is nothing of this name or id",
    "413": "The body is too long",
    "429": "Too much at once: wait a moment",
    "503": "The store or Kafka cannot be asked at the moment",
}
# Visible characters, as `ticktrail.alerts.rules` demands, of those that everybody can write.
_NAME: dict[str, Any] = {
    "type": "string",
    "pattern": "^[A-Za-z0-9_:()+-]([A-Za-z0-9_:()+ -]{0,60}[A-Za-z0-9_])?$",
}


def openapi_config() -> OpenAPIConfig:
    """Give Litestar's settings of the document."""
    return OpenAPIConfig(
        title="ticktrail",
        version=__version__,
        # Below this path Litestar answers what it does not know by a page of its own.
        path=f"{API}/openapi.json",
        # Others would load their page from elsewhere.
        render_plugins=[_Document(path="/")],
        components=Components(security_schemes={"token": SecurityScheme(type="http", scheme="bearer")}),
        security=[{"token": []}],
    )


class _Document(JsonRenderPlugin):
    """Renders the completed document, once."""

    _text: bytes | None = None

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        del request
        if self._text is None:
            self._text = msgspec.json.encode(completed(openapi_schema))
        return self._text


def completed(document: dict[str, Any]) -> dict[str, Any]:
    """Add what Litestar does not know."""
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(document))
    found["components"]["schemas"] |= _schemas()
    for path, operations in found["paths"].items():
        for operation in operations.values():
            _complete(path, operation)
    return found


def _complete(path: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    has_name = "{" in path
    for code, description in _FAILURES.items():
        if (code == "404" and not has_name) or (code == "413" and "requestBody" not in operation):
            continue
        responses[code] = _response(description, "Problem")
    if path == "/healthz":
        operation["security"] = []
        del responses["401"]
        responses["503"] = _response("The market is not followed", "Health")
    parameters = operation.get("parameters", [])
    for parameter in parameters:
        _mend(parameter)
    if path == f"{API}/sql" or any(parameter["name"] == "format" for parameter in parameters):
        responses["200"]["content"] |= {kind: {"schema": _BINARY} for kind in _BULK}
    _describe_body(path, operation)


def _mend(parameter: dict[str, Any]) -> None:
    """Take back what is said of a parameter and cannot be sent, and add what is not said."""
    schema = parameter["schema"]
    if "oneOf" in schema:  # null: to leave it out
        (of,) = [each for each in schema.pop("oneOf") if each["type"] != "null"]
        schema |= of
    if parameter["name"].endswith("_ns"):
        schema["minimum"] = 0  # Litestar passes over a bound of 0
    if parameter["name"] == "indicators":
        schema["pattern"] = PATTERN
    if parameter["name"] == "name":
        schema |= {"minLength": 1}


def _describe_body(path: str, operation: dict[str, Any]) -> None:
    if path.startswith(f"{API}/rules") and not path.endswith("/mute") and "requestBody" in operation:
        operation["requestBody"]["content"]["application/json"]["schema"] = _ref("RuleDraft")


def _response(description: str, schema: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": _ref(schema)}}}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": _REFS.format(name=name)}


@cache
def _schemas() -> dict[str, Any]:
    """Describe what no route names as its own: failures, and rules as they are written."""
    params = {name: kind.params for name, kind in KINDS.items()}
    _, components = msgspec.json.schema_components(
        [Problem, Health, Rule, *params.values()], ref_template=_REFS
    )
    rule = components.pop("Rule")
    written = {name: rule["properties"][name] for name in rule["properties"] if name not in _GIVEN}
    written |= {"name": _NAME, "feed": _NAME | {"default": "*"}, "symbols": _SYMBOLS, "notify": _NONE}
    return components | {
        "RuleDraft": {
            "description": "A rule as it is written. What its kind takes stands in `params`.",
            "oneOf": [_ref(f"RuleDraft_{name}") for name in KINDS],
            "discriminator": {
                "propertyName": "kind",
                "mapping": {name: _ref(f"RuleDraft_{name}")["$ref"] for name in KINDS},
            },
        },
        **{
            f"RuleDraft_{name}": {
                "type": "object",
                "properties": written | {"kind": {"enum": [name]}, "params": _ref(of.__name__)},
                "required": ["name", "kind", "params"][: 3 if components[of.__name__].get("required") else 2],
            }
            for name, of in params.items()
        },
    }


# The server sets them, whatever is written.
_GIVEN = ("source", "active_from_ns", "muted_until_ns")
_SYMBOLS: dict[str, Any] = {
    "type": "array",
    "items": {"type": "string", "pattern": "^([A-Za-z0-9._-]{1,20}|[*]|@[A-Za-z0-9_-]{1,20})$"},
    "minItems": 1,
    "default": ["*"],
    "description": 'Symbols, "@name" for a watchlist of the settings, or "*"; 1,000 at most.',
}
_NONE: dict[str, Any] = {
    "type": "array",
    "items": {"type": "string"},
    "default": [],
    "description": "Names of `[[alerts.targets]]` of the settings.",
}
