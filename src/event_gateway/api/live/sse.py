"""``/v1/streams/{name}/sse``: a stream's events as Server-Sent Events (HTML, section 9.2)."""

import asyncio
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from starlette.types import Receive, Scope, Send

from event_gateway.api.http.connection import LIVE
from event_gateway.api.live.connections import Connections
from event_gateway.api.live.requests import read_query
from event_gateway.api.server.auth import Authenticator, Unauthenticated
from event_gateway.api.server.dependencies import provided
from event_gateway.api.server.problems import Problem
from event_gateway.api.server.state import ApiState
from event_gateway.core.access.principal import Principal
from event_gateway.core.streams.start import MAX_SEQ, sequence_of
from event_gateway.core.streams.subscription import SubscribeRequest
from event_gateway.streaming.framing import SseFraming
from event_gateway.streaming.live_subscriptions import LiveSubscriptions, new_id
from event_gateway.streaming.outbox import Outbox
from event_gateway.streaming.refusal import SubscriptionRefused
from event_gateway.tasks import spawn

router = APIRouter(prefix="/v1/streams", tags=["streams"])

HEARTBEAT = 15.0  # seconds without an event after which the gateway sends a comment
RETRY = b"retry: 2000\n\n"  # ms after which a browser connects again
_STATUSES = {"unknown_stream": 404, "forbidden": 403, "unavailable": 503}


@dataclass(frozen=True, slots=True, kw_only=True)
class SseParts:
    """What the route uses."""

    subscriptions: LiveSubscriptions
    connections: Connections
    authenticator: Authenticator
    state: ApiState


Parts = Annotated[SseParts, Depends(provided(SseParts))]


@router.get("/{name}/sse")
async def server_sent_events(
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
) -> Response:
    """A stream's events, each with its sequence as id, and comments while there are none."""
    if parts.state.draining:
        raise Problem(503, "the gateway restarts", {"Retry-After": "2"})
    try:
        principal = parts.authenticator.subscriber(request.headers, request.query_params)
    except Unauthenticated as error:
        raise Problem(401, str(error), {"WWW-Authenticate": "Bearer"}) from None
    if last_event_id is not None:
        last = sequence_of(last_event_id)
        if last is None or last == MAX_SEQ:
            raise Problem(422, "Last-Event-ID must be a sequence")
        start = str(last + 1)
    refusal = request.scope["extensions"][LIVE]()
    if refusal is not None:
        raise Problem(refusal.status, refusal.detail, {"Retry-After": "2"})
    response = SseResponse(parts.subscriptions, parts.connections, principal)
    query = {key: value for key, value in request.query_params.items() if key != "stream"}
    try:
        await response.begin(read_query(query | {"from": start}, name))
    except SubscriptionRefused as refused:
        status = _STATUSES.get(refused.code, 422)
        retry = {"Retry-After": "2"} if status == 503 else None
        raise Problem(status, refused.detail, retry) from None
    return response


class SseResponse(Response):
    """A response that goes on as long as its client stays."""

    def __init__(
        self, subscriptions: LiveSubscriptions, connections: Connections, principal: Principal
    ) -> None:
        super().__init__(media_type="text/event-stream")
        self.headers["Cache-Control"] = "no-store"
        self.headers["X-Accel-Buffering"] = "no"  # a proxy that buffers would delay events
        del self.headers["content-length"]
        self._subscriptions = subscriptions
        self._connections = connections
        self._principal = principal
        self._id = new_id()
        self._outbox = Outbox(subscriptions.budget, lambda outbox: self._wake.set())
        self._wake = asyncio.Event()
        self._over = False

    async def begin(self, request: SubscribeRequest) -> None:
        """Subscribes. Raises SubscriptionRefused, and Problem if the key has too many
        connections."""
        if not self._connections.add(self._principal.name, self):
            raise Problem(429, self._connections.too_many)
        try:
            await self._subscriptions.begin(
                self._principal, request, self._id, self._outbox, SseFraming(),
                joined=lambda seq: None, on_ended=self._ended,
            )  # fmt: skip
        except BaseException:
            self._connections.remove(self._principal.name, self)
            raise

    async def going_away(self) -> None:
        """Ends the response; the browser connects again."""
        self._over = True
        self._wake.set()

    def _ended(self, subscription_id: str, code: str) -> None:
        frame = SseFraming().notice("unsubscribed", {"code": code})
        self._outbox.put(*frame)
        self._over = True
        self._wake.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the response (ASGI)."""
        leaving = spawn(self._wait_for_disconnect(receive), name="sse-client")
        try:
            head = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
            await send(head)
            body = RETRY
            while True:
                await send({"type": "http.response.body", "body": body, "more_body": True})
                if self._over and not self._outbox.bytes:
                    break
                try:
                    async with asyncio.timeout(HEARTBEAT):
                        await self._wake.wait()
                except TimeoutError:
                    body = b":\n\n"
                    continue
                self._wake.clear()
                if leaving.done():
                    return
                body = b"".join([part for piece in self._outbox.take() for part in piece])
            await send({"type": "http.response.body", "body": b""})
        finally:
            leaving.cancel()
            self._outbox.take()
            self._connections.remove(self._principal.name, self)
            self._subscriptions.end_soon(self._id, "closed")

    async def _wait_for_disconnect(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._over = True
        self._wake.set()
