"""``/v1/audit-log``: who changed what, and when: listed, live, and exported."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from event_gateway.api.access.callers import Operator
from event_gateway.api.access.guarded_route import GuardedRoute
from event_gateway.api.answers.audit_log import AuditedCall
from event_gateway.api.answers.common import Page
from event_gateway.api.live.connections import Connections
from event_gateway.api.live.record_stream import RecordStream
from event_gateway.api.openapi.described import answers
from event_gateway.api.server import problem_types
from event_gateway.api.server.dependencies import provided
from event_gateway.api.server.known_parameters import only_known_parameters
from event_gateway.api.server.pages import (
    NOT_COUNTED,
    Limit,
    Total,
    at_most,
    cursor_of,
    is_whole,
    page_answer,
    read_cursor,
    time_of,
)
from event_gateway.api.server.problems import Problem
from event_gateway.api.server.state import ApiState
from event_gateway.audit.pages import CallFilter, Position, page, records
from event_gateway.broker.audit_log import AuditLog
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.streams.start import sequence_of

router = APIRouter(prefix="/v1/audit-log", tags=["audit log"], route_class=GuardedRoute,
                   dependencies=[Depends(only_known_parameters)])  # fmt: skip

NDJSON = "application/x-ndjson"
OUTCOMES = ("succeeded", "refused", "failed", "unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLogParts:
    """What the routes use."""

    log: AuditLog
    connections: Connections
    state: ApiState


Parts = Annotated[AuditLogParts, Depends(provided(AuditLogParts))]


async def _filters(
    since: str | None = Query(None, description="RFC 3339: at or after this time."),
    until: str | None = Query(None, description="RFC 3339: before this time."),
    principal: str | None = Query(None, description="The name or the id of who did it."),
    operation: str | None = Query(None, description="Such as webhooks.delete, or webhooks."),
    resource: str | None = Query(None, description="Such as webhook/crm, or webhook."),
    outcome: str | None = Query(
        None, description="succeeded, refused, failed, unknown, or the status of the answer."
    ),
) -> CallFilter:
    if outcome is not None and outcome not in OUTCOMES and not _is_status(outcome):
        raise InvalidDefinition(
            "outcome", f"must be one of {', '.join(OUTCOMES)}, or a status such as 409"
        )
    return CallFilter(
        since=time_of("since", since),
        until=time_of("until", until),
        principal=principal,
        operation=operation,
        resource=resource,
        outcome=outcome,
    )


Filters = Annotated[CallFilter, Depends(_filters)]


@router.get("", responses=answers(Page[AuditedCall]))
async def list_audit_log(
    parts: Parts,
    caller: Operator,
    filters: Filters,
    limit: Limit = 100,
    cursor: str | None = None,
) -> Response:
    """Calls that changed something, or were refused, the newest first. A page may hold fewer than
    ``limit`` items and have a next page. ``total`` is null with filters, if there are several."""
    calls, position = await page(parts.log, filters, limit, read_cursor(cursor, Position))
    following = cursor_of(position)
    whole = is_whole(cursor, following)
    total: Total | int = len(calls)
    if not whole:
        total = at_most(await parts.log.calls()) if filters == CallFilter() else NOT_COUNTED
    return page_answer(calls, following, total)


@router.get("/export", responses=answers(media_type=NDJSON))
async def export_audit_log(parts: Parts, caller: Operator, filters: Filters) -> Response:
    """The stored records, the oldest first, as lines of JSON (NDJSON), byte by byte as they are
    stored: each names the SHA-256 of the record that its process stored before."""

    async def lines() -> AsyncGenerator[bytes, None]:
        async for record in records(parts.log, filters):
            yield record + b"\n"

    await parts.log.bounds()  # an error is an answer only before the first line
    return StreamingResponse(lines(), media_type=NDJSON)


@router.get("/sse", responses=answers(None, 200, 429, media_type="text/event-stream"))
async def follow_audit_log(
    request: Request,
    parts: Parts,
    caller: Operator,
    last_event_id: Annotated[str | None, Header(description="The last sequence received.")] = None,
) -> Response:
    """The stored records from now on as Server-Sent Events, each with its sequence as id."""
    if parts.state.draining:
        raise Problem(problem_types.SHUTTING_DOWN, "the gateway restarts", {"Retry-After": "2"})
    if last_event_id is None:
        from_seq = (await parts.log.bounds())[1] + 1
    else:
        seq = sequence_of(last_event_id)
        if seq is None:
            raise Problem(422, "Last-Event-ID must be a sequence")
        from_seq = seq + 1
    stream = RecordStream(parts.log.follow(from_seq), parts.connections, caller)
    return stream.begin(request, from_seq - 1)


def _is_status(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) == 3
