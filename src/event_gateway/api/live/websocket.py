"""``/v1/ws``: live events of named streams, and of subjects of the log, over WebSocket."""

from collections.abc import Awaitable, Callable
from functools import partial
from urllib.parse import parse_qsl, urlsplit

from fastapi import APIRouter
from wsproto import events

from event_gateway.api.access.authenticator import Authenticator, Unauthenticated
from event_gateway.api.access.caller_request import CallerRequest, RawHeaders
from event_gateway.api.http.peer import PEER, Peer
from event_gateway.api.live.bare_session import SUBPROTOCOL, BareSession
from event_gateway.api.live.close_codes import (
    FORBIDDEN,
    GOING_AWAY,
    POLICY,
    TOO_MANY,
    TRY_AGAIN,
    UNAUTHENTICATED,
)
from event_gateway.api.live.connections import Connections
from event_gateway.api.live.opening_session import OpeningSession
from event_gateway.api.live.requests import QUERY, read_parameters
from event_gateway.api.live.session import LiveSession
from event_gateway.api.live.websocket_protocol import (
    OpenedSession,
    OpenSession,
    WebSocketProtocol,
    WebSocketSession,
)
from event_gateway.api.server.problems import Problem
from event_gateway.api.server.request_spans import RequestSpan, attributes_of, span_name
from event_gateway.api.server.state import ApiState
from event_gateway.audit.trail import AuditTrail
from event_gateway.core.access.principal import Principal
from event_gateway.core.access.scope import STREAMS_READ
from event_gateway.core.audit.record import who
from event_gateway.observability.tracing.spans import Tracer, Tracing
from event_gateway.streaming.live_subscriptions import LiveSubscriptions
from event_gateway.streaming.refusal import SubscriptionRefused

PATH = "/v1/ws"
OPERATION = f"GET {PATH}"  # the route's name in the audit log
NOT_BARE = f"only the subprotocol {SUBPROTOCOL} takes a subscription from the URL: send subscribe"
NO_UPGRADE = (
    "this path speaks WebSocket, and the request has no 'Connection: Upgrade' and 'Upgrade: "
    "websocket'. If the client sent them, a proxy has removed them: it must speak HTTP/1.1 to the "
    "gateway and pass both on (nginx: proxy_http_version 1.1; proxy_set_header Upgrade "
    "$http_upgrade; proxy_set_header Connection upgrade;)"
)
router = APIRouter(tags=["streams"])


@router.get(PATH, include_in_schema=False)
async def no_upgrade() -> None:
    """Answers requests that are no WebSocket handshake (RFC 9110, 15.5.22 and 7.8)."""
    raise Problem(426, NO_UPGRADE, {"Upgrade": "websocket", "Connection": "Upgrade"})


class _RefusedSession:
    """Closes the connection as soon as it is open: the close code tells the client why."""

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        self._reason = reason

    def opened(self, socket: WebSocketProtocol) -> None:
        """Closes the connection."""
        socket.close(self.code, self._reason)

    def received(self, message: str | bytes) -> None:
        """Ignores messages."""

    def drained(self) -> None:
        """Has nothing to send."""

    def closed(self) -> None:
        """Has nothing to end."""


def sessions(
    *,
    subscriptions: LiveSubscriptions,
    connections: Connections,
    authenticator: Authenticator,
    audit: AuditTrail,
    state: ApiState,
    tracing: Tracing,
) -> OpenSession:
    """What opens a session for each upgrade request to ``/v1/ws``."""

    def open_session(request: events.Request, peer: Peer) -> OpenedSession | None:
        target = urlsplit(request.target)
        if target.path != PATH:
            return None
        if state.draining:
            return _RefusedSession(GOING_AWAY, "the gateway restarts"), None
        bare = SUBPROTOCOL in request.subprotocols
        given = parse_qsl(target.query, keep_blank_values=True)
        find = partial(find_session, _caller_request(request, target.query, peer), given, bare)
        if tracing.tracer is not None:
            find = partial(find_traced, tracing.tracer, request, peer, find)
        return OpeningSession(find), SUBPROTOCOL if bare else None

    async def find_session(
        caller: CallerRequest, given: list[tuple[str, str]], bare: bool
    ) -> WebSocketSession:
        try:
            found = authenticator.authenticate(caller)
            principal = found if isinstance(found, Principal) else await found
            authenticator.limits.check_quota(authenticator.limits.spend(principal))
        except Unauthenticated as error:
            record_refusal(caller, None, 401)
            return _RefusedSession(UNAUTHENTICATED, str(error))
        except Problem as problem:
            code = TOO_MANY if problem.status == 429 else TRY_AGAIN
            return _RefusedSession(code, problem.detail)
        if not principal.allows(STREAMS_READ):
            record_refusal(caller, principal, 403)
            return _RefusedSession(FORBIDDEN, f"the caller lacks the scope {STREAMS_READ}")
        try:
            query = read_parameters(given, QUERY)
        except SubscriptionRefused as refused:
            return _RefusedSession(POLICY, f"{refused.code}: {refused.detail}")
        if not bare and query.keys() - {"token"}:
            return _RefusedSession(POLICY, NOT_BARE)
        if bare:
            return BareSession(subscriptions, connections, principal, query)
        return LiveSession(subscriptions, connections, principal)

    def record_refusal(caller: CallerRequest, principal: Principal | None, status: int) -> None:
        audit.refused(
            None if principal is None else who(principal), OPERATION, "", status,
            client=caller.client, request_id=caller.request_id,
        )  # fmt: skip

    return open_session


async def find_traced(
    tracer: Tracer,
    request: events.Request,
    peer: Peer,
    find: Callable[[], Awaitable[WebSocketSession]],
) -> WebSocketSession:
    """The session of a handshake, which is recorded as a span; what follows in the connection is
    not. ``find``: finds the session."""
    headers = _headers(request)
    span = RequestSpan(tracer, {name.decode(): value.decode("latin-1") for name, value in headers})
    session = await find()
    attributes = attributes_of(
        "GET", PATH, PATH, peer, [*headers, (b"host", request.host.encode("latin-1", "replace"))]
    )
    attributes["network.protocol.version"] = "1.1"
    error = ""
    if isinstance(session, _RefusedSession):
        if session.code in (UNAUTHENTICATED, TOO_MANY):
            return session  # strangers do not fill the collector
        attributes["event_gateway.close_code"] = session.code
        error = "" if session.code != TRY_AGAIN else str(session.code)
    span.record(span_name("GET", PATH), attributes, 101, error)
    return session


def _caller_request(request: events.Request, query: str, peer: Peer) -> CallerRequest:
    scope = {
        "method": "GET", "path": PATH, "raw_path": PATH.encode(), "headers": _headers(request),
        "query_string": query.encode(), PEER: peer,
    }  # fmt: skip
    return CallerRequest(scope, _no_body)


async def _no_body() -> bytes:
    return b""


def _headers(request: events.Request) -> RawHeaders:
    return [(name.lower(), value) for name, value in request.extra_headers]
