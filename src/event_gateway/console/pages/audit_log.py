"""The audit log: who changed what, and who was refused."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

from starlette.responses import Response

from event_gateway.client import GatewayError, GatewayUnreachable
from event_gateway.console.downloads import Download
from event_gateway.console.failures import keyed_faults
from event_gateway.console.page_group import PageGroup, page
from event_gateway.console.page_request import PageRequest
from event_gateway.console.periods import with_times

FILTERS = ("principal", "operation", "resource", "outcome", "since", "until")
OUTCOMES = ("succeeded", "refused", "failed", "unknown")
PAGE = 25  # calls on a page, as each shows a definition
MAX_CHANGES = 200  # members of a definition that are compared
EXPORTED = 1000  # calls that an export reads at a time
MAX_EXPORTED = 100_000  # calls of an export, the newest


async def list_calls(request: PageRequest) -> Response:
    """A page of the audit log, the newest first."""
    filters = request.filters(*FILTERS)
    problem, found = "", None
    try:
        found = await request.gateway.list_audit_log(
            limit=PAGE, cursor=request.query("cursor"), **with_times(filters)
        )
    except GatewayError as error:
        if error.status != 422:
            raise
        problem = keyed_faults(error)
    items = [] if found is None else found["items"]
    return await request.render(
        "audit_log/list.html",
        status=422 if problem else 200,
        page=found,
        rows=[_shown(each) for each in items],
        filters=filters,
        outcomes=OUTCOMES,
        problem=problem,
    )


async def export(request: PageRequest) -> Response:
    """The calls that fit the filters as a file of JSON lines, the newest first."""
    filters = with_times(request.filters(*FILTERS))
    first = await request.gateway.list_audit_log(limit=EXPORTED, **filters)  # or why it is refused

    async def lines() -> AsyncIterator[bytes]:
        page, count = first, 0
        while True:
            yield "".join(f"{json.dumps(each)}\n" for each in page["items"]).encode()
            count += EXPORTED
            if page["next"] is None:
                return
            if count >= MAX_EXPORTED:
                yield _incomplete(
                    f"the export ends after {MAX_EXPORTED} calls: narrow it by since and until"
                )
                return
            try:
                page = await request.gateway.list_audit_log(
                    limit=EXPORTED, cursor=page["next"], **filters
                )
            except (GatewayError, GatewayUnreachable):
                # Some programs keep what they have of a download that failed.
                yield _incomplete("the gateway did not answer: export again")
                raise

    return Download(lines(), "audit-log.jsonl", "application/jsonl")


def _incomplete(why: str) -> bytes:
    """The last line of an export that does not have all calls."""
    return f"{json.dumps({'incomplete': why})}\n".encode()


def _shown(call: Any) -> tuple[Any, list[tuple[str, Any, Any]], Any]:
    """A call, where the definitions before and after it differ, and the only one of a creation or
    of a deletion."""
    before, after = call.get("before"), call.get("after")
    if isinstance(before, dict) != isinstance(after, dict):
        return call, [], before or after
    return call, list(changes(before, after)), None


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
    routes=[page("/audit-log", list_calls), page("/audit-log/export", export)],
)
