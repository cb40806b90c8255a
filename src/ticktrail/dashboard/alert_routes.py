"""The HTTP API over alerts and rules."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import HttpMethod, Response, delete, get, post, put, route
from litestar.datastructures import State
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody, QueryParameter

from ticktrail.alerts.replay import Tested as Found
from ticktrail.alerts.rules import Rule
from ticktrail.dashboard.alert_tape import alert_row
from ticktrail.dashboard.answers import AlertsAnswer, RulesAnswer, Tested
from ticktrail.dashboard.service import Service
from ticktrail.store import Wanted

__all__ = ["ALERT_ROUTES"]

_PAGE_MAX = 1_000
# In the year 2255; a float holds it, as programs that read the document may take it for one.
_LATEST_NS = 9_000_000_000_000_000_000
_CHANGES = {"scope": "alerts"}

# Checked, and explained, by `ticktrail.alerts.rules`: what is right depends on the kind.
RuleBody = dict[str, Any]
Instant = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]


class Mute(msgspec.Struct, forbid_unknown_fields=True):
    """Until when a rule notifies nobody; null: it does again."""

    until_ns: Instant | None


class Trial(msgspec.Struct, forbid_unknown_fields=True):
    """A rule, and the time over which it is to be tested."""

    rule: RuleBody
    start_ns: Instant
    end_ns: Instant


@get("/alerts", summary="What rules found, the newest first")
async def alerts(
    state: State,
    limit: Annotated[int, QueryParameter(name="limit", ge=1, le=_PAGE_MAX)] = 200,
    before: Annotated[str | None, QueryParameter(name="before", max_length=64)] = None,
    feed: Annotated[str | None, QueryParameter(name="feed", max_length=64)] = None,
    symbol: Annotated[str | None, QueryParameter(name="symbol", max_length=64)] = None,
    start_ns: Annotated[int, QueryParameter(name="start_ns", ge=0, le=_LATEST_NS)] = 0,
    end_ns: Annotated[int, QueryParameter(name="end_ns", ge=0, le=_LATEST_NS)] = _LATEST_NS,
) -> AlertsAnswer:
    """Give the newest alerts; with the id of one, those before it. Those of a feed concern its symbols."""
    service: Service = state.service
    wanted = Wanted(feed, symbol, start_ns, end_ns)
    found = await service.ask(lambda: service.desk.book().alerts(limit, before, wanted))
    return {"alerts": [alert_row(*each) for each in found]}


@post(
    "/alerts/{alert_id:str}/acknowledge",
    status_code=204,
    summary="Note that somebody has seen an alert",
    opt=_CHANGES,
)
async def acknowledge(state: State, alert_id: FromPath[str]) -> None:
    """Mark an alert as seen; all pages learn of it."""
    service: Service = state.service
    await service.ask(lambda: service.desk.book().acknowledge(alert_id))
    service.hub.alerts.acknowledge(alert_id, service.clock.now_ns())


@get("/rules", summary="All rules, of the settings and of pages")
async def rules(state: State) -> RulesAnswer:
    """List the rules by name."""
    service: Service = state.service
    return {"rules": await service.ask(lambda: service.desk.book().rules())}


@post("/rules", summary="Make a rule", opt=_CHANGES)
async def add_rule(state: State, data: JSONBody[RuleBody]) -> Rule:
    """Add a rule; it holds from two seconds later on."""
    service: Service = state.service
    return await service.ask(lambda: service.desk.book().add(data))


@put("/rules/{name:str}", summary="Change a rule that a page has made", opt=_CHANGES)
async def replace_rule(state: State, name: FromPath[str], data: JSONBody[RuleBody]) -> Rule:
    """Replace a rule; what it has seen so far is forgotten."""
    service: Service = state.service
    return await service.ask(lambda: service.desk.book().replace(name, data))


@delete("/rules/{name:str}", summary="Delete a rule that a page has made", opt=_CHANGES)
async def delete_rule(state: State, name: FromPath[str]) -> None:
    """Forget a rule; its alerts stay."""
    service: Service = state.service
    await service.ask(lambda: service.desk.book().delete(name))


@post("/rules/{name:str}/mute", status_code=200, summary="Let a rule notify nobody for a while", opt=_CHANGES)
async def mute_rule(state: State, name: FromPath[str], data: JSONBody[Mute]) -> Rule:
    """Mute a rule, or unmute it; its alerts are recorded as before."""
    service: Service = state.service
    return await service.ask(lambda: service.desk.book().mute(name, data.until_ns))


@post("/rule-tests", status_code=200, summary="When a rule would have fired", opt=_CHANGES)
async def test_rule(state: State, data: JSONBody[Trial]) -> Tested:
    """Evaluate a rule over what is stored; at most 10,000 alerts."""
    service: Service = state.service
    span_ns = (data.start_ns, data.end_ns)
    found: Found = await service.ask(lambda: service.desk.test(data.rule, span_ns), is_long=True)
    return {
        "fired": [alert_row(alert, None) for alert in found.alerts],
        "records": found.records,
        "symbols": len(found.lines),
    }


def _options(path: str, *methods: str) -> HTTPRouteHandler:
    """Answer OPTIONS; where a path has several handlers, Litestar's own answer names the methods of one."""

    @route(path, http_method=HttpMethod.OPTIONS, status_code=204, include_in_schema=False)
    async def options() -> Response[None]:
        return Response(None, headers={"allow": ", ".join(["OPTIONS", *methods])}, status_code=204)

    return options


ALERT_ROUTES = [
    alerts,
    acknowledge,
    # Before the others of their path, which would bring their own.
    _options("/rules", "GET", "POST"),
    rules,
    add_rule,
    _options("/rules/{name:str}", "DELETE", "PUT"),
    replace_rule,
    delete_rule,
    mute_rule,
    test_rule,
]
