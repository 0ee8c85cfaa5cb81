"""``/v1/ws``: live events of named streams, and of subjects of the log, over WebSocket."""

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

from wsproto import events

from event_gateway.api.live.bare_session import SUBPROTOCOL, BareSession
from event_gateway.api.live.close_codes import GOING_AWAY, UNAUTHENTICATED
from event_gateway.api.live.connections import Connections
from event_gateway.api.live.session import LiveSession
from event_gateway.api.live.websocket_protocol import (
    OpenedSession,
    OpenSession,
    WebSocketProtocol,
)
from event_gateway.api.server.auth import Authenticator, Unauthenticated
from event_gateway.api.server.state import ApiState
from event_gateway.streaming.live_subscriptions import LiveSubscriptions

PATH = "/v1/ws"


class _RefusedSession:
    """Closes the connection as soon as it is open: the close code tells the client why."""

    def __init__(self, code: int, reason: str) -> None:
        self._code = code
        self._reason = reason

    def opened(self, socket: WebSocketProtocol) -> None:
        """Closes the connection."""
        socket.close(self._code, self._reason)

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
    state: ApiState,
) -> OpenSession:
    """What opens a session for each upgrade request to ``/v1/ws``."""

    def open_session(request: events.Request) -> OpenedSession | None:
        target = urlsplit(request.target)
        if target.path != PATH:
            return None
        if state.draining:
            return _RefusedSession(GOING_AWAY, "the gateway restarts"), None
        bare = SUBPROTOCOL in request.subprotocols
        subprotocol = SUBPROTOCOL if bare else None
        query = dict(parse_qsl(target.query, keep_blank_values=True))
        try:
            principal = authenticator.subscriber(_headers(request), query)
        except Unauthenticated as error:
            return _RefusedSession(UNAUTHENTICATED, str(error)), subprotocol
        if bare:
            return BareSession(subscriptions, connections, principal, query), subprotocol
        return LiveSession(subscriptions, connections, principal), None

    return open_session


def _headers(request: events.Request) -> Mapping[str, str]:
    return {
        name.decode("latin-1").lower(): value.decode("latin-1")
        for name, value in request.extra_headers
    }
