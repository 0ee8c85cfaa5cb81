"""The audit log: who changed what, and who was refused."""

from collections.abc import Iterator
from typing import Any

from starlette.responses import Response

from event_gateway.client import GatewayError
from event_gateway.console.page_group import PageGroup, page
from event_gateway.console.visit import PAGE, Visit

OUTCOMES = ("succeeded", "refused", "failed", "unknown")
MAX_CHANGES = 200  # members of a definition that are compared


async def list_calls(visit: Visit) -> Response:
    """A page of the audit log, the newest first."""
    filters = visit.filters("principal", "operation", "resource", "outcome", "since", "until")
    problem, found = "", None
    try:
        found = await visit.gateway.list_audit_log(
            limit=PAGE, cursor=visit.query("cursor"), **filters
        )
    except GatewayError as error:
        if error.status != 422:
            raise
        told = [f"{each['key']} {each['detail']}" for each in error.problem.get("errors") or []]
        problem = "; ".join(told) or error.detail
    items = [] if found is None else found["items"]
    return await visit.render(
        "audit_log/list.html",
        status=422 if problem else 200,
        page=found,
        rows=[(each, list(changes(each.get("before"), each.get("after")))) for each in items],
        filters=filters,
        outcomes=OUTCOMES,
        problem=problem,
    )


def changes(before: Any, after: Any, at: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where two definitions differ: the path of a member with both values, None where it is not
    there."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in list(before | after)[:MAX_CHANGES]:
            path = f"{at}.{name}" if at else str(name)
            yield from changes(before.get(name), after.get(name), path)
    elif isinstance(before or after, dict) and not at:
        yield from changes(before or {}, after or {})
    elif before != after:
        yield at, before, after


PAGES = PageGroup(
    name="audit_log",
    title="Audit log",
    path="/audit-log",
    section="Watch",
    scope="admin",
    operator=True,
    routes=[page("/audit-log", list_calls)],
)
