"""``/v1/streams/{name}/sse``: a stream's events as Server-Sent Events (HTML Standard, 9.2)."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from event_gateway.api.access.authenticator import Authenticator
from event_gateway.api.access.guarded_route import BodyOnce, authorized_caller
from event_gateway.api.http.exchange import HEAD_ONLY
from event_gateway.api.live.connections import Connections
from event_gateway.api.live.requests import QUERY, read_parameters, read_query
from event_gateway.api.live.sse_response import (
    RETRY,
    SseResponse,
    become_live,
    event_stream_headers,
    head_response,
)
from event_gateway.api.openapi.described import LIVE, SCOPE, answers
from event_gateway.api.server import problem_types
from event_gateway.api.server.dependencies import provided
from event_gateway.api.server.problems import HANDLED, Problem, problem_of
from event_gateway.api.server.state import ApiState
from event_gateway.core.access.scope import STREAMS_READ
from event_gateway.core.streams.start import MAX_SEQ, sequence_of
from event_gateway.streaming.event_stream import ENDED, accepts_event_stream, ending
from event_gateway.streaming.live_subscriptions import LiveSubscriptions
from event_gateway.streaming.refusal import SubscriptionRefused

router = APIRouter(prefix="/v1/streams", tags=["streams"])

OPERATION = "GET /v1/streams/{name}/sse"  # the route's name in the audit log
PARAMETERS = QUERY - {"stream", "subjects"} | {"lastEventId"}
_STATUSES = {"unknown_stream": 404, "forbidden": 403, "unavailable": 503}
# An EventSource gives up for good on every status but 200 (HTML Standard, 9.2.2). After these the
# client should come again, so that an EventSource gets an empty stream in their place; by status,
# with the time in ms after which it connects again.
_COME_AGAIN = {503: RETRY, 429: 10_000}


@dataclass(frozen=True, slots=True, kw_only=True)
class SseParts:
    """What the route uses."""

    subscriptions: LiveSubscriptions
    connections: Connections
    authenticator: Authenticator
    state: ApiState


Parts = Annotated[SseParts, Depends(provided(SseParts))]


@router.get(
    "/{name}/sse",
    responses=answers(
        None, 200, media_type="text/event-stream",
        description="The events. With HEAD: that there is such a stream.",
    )
    | answers(None, 204, description="What the client resumes has ended for good."),
    openapi_extra={SCOPE: STREAMS_READ, LIVE: True},
)  # fmt: skip
async def follow_stream(
    request: Request,
    parts: Parts,
    name: str,
    start: Annotated[
        str,
        Query(alias="from", description="new, first, a sequence or an RFC 3339 time."),
    ] = "new",
    token: Annotated[str | None, Query(description="A token, in place of the key.")] = None,
    filters: Annotated[str | None, Query(description="A JSON list, as webhooks have it.")] = None,
    expression: Annotated[str | None, Query(description="CEL over event.")] = None,
    last_event_id: Annotated[
        str | None, Header(description="The last sequence received; overrides from.")
    ] = None,
    last_event_id_in_url: Annotated[
        str | None,
        Query(alias="lastEventId", description="The same, for clients that cannot set headers."),
    ] = None,
) -> Response:
    """A stream's events, each with its sequence as id, and comments while there are none.

    The first block has the id of the position at which the subscription starts. A client that
    accepts ``text/event-stream`` and may connect again gets an empty stream with 200 in place of
    429 and 503; 204 if what it resumes has ended for good.
    """
    last = last_event_id or last_event_id_in_url or None
    try:
        return await _answer(request, parts, name, last)
    except HANDLED as error:
        problem = problem_of(error)
        retry = _COME_AGAIN.get(problem.status)
        if retry is None or not accepts_event_stream(request.headers.get("accept", "")):
            raise problem from None
        return Response(ending(problem.detail, retry), headers=event_stream_headers())


async def _answer(request: Request, parts: SseParts, name: str, last: str | None) -> Response:
    body = BodyOnce(request, parts.state.max_body)
    principal = await authorized_caller(
        parts.authenticator, request, body, STREAMS_READ, OPERATION, live=True
    )
    if parts.state.draining:
        raise Problem(problem_types.SHUTTING_DOWN, "the gateway restarts", {"Retry-After": "2"})
    if last == ENDED:
        return Response(status_code=204)
    seq = None if last is None else sequence_of(last)
    if last is not None and (seq is None or seq == MAX_SEQ):
        raise Problem(422, "Last-Event-ID must be a sequence")
    try:
        query = read_parameters(request.query_params.multi_items(), PARAMETERS)
        if seq is not None:
            query["from"] = str(seq + 1)
        subscribe = read_query(query, name)
        parts.subscriptions.check(principal, subscribe)
        if request.scope[HEAD_ONLY]:
            return head_response()
        become_live(request)
        response = SseResponse(parts.subscriptions, parts.connections, principal)
        await response.begin(subscribe)
        return response
    except SubscriptionRefused as refused:
        if refused.code == "unknown_stream" and last is not None:
            return Response(status_code=204)  # deleted since the client has read it
        status = _STATUSES.get(refused.code, 422)
        retry_after = {"Retry-After": "2"} if status == 503 else None
        raise Problem(status, refused.detail, retry_after) from None
