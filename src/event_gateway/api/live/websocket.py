"""``/v1/ws``: live events of named streams, and of subjects of the log, over WebSocket."""

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

from wsproto import events

from event_gateway.api.live.bare_session import SUBPROTOCOL, BareSession
from event_gateway.api.live.session import LiveSession
from event_gateway.api.live.websocket_protocol import GOING_AWAY, Open, Opened, WebSocketProtocol
from event_gateway.api.server.auth import Unauthenticated, principal_of
from event_gateway.api.server.context import Context

PATH = "/v1/ws"
UNAUTHENTICATED = 4401


class _TurnedAway:
    """A session that is over when it begins; the client is told why."""

    def __init__(self, code: int, reason: str) -> None:
        self._code = code
        self._reason = reason

    def opened(self, socket: WebSocketProtocol) -> None:
        """Closes."""
        socket.close(self._code, self._reason)

    def received(self, message: str | bytes) -> None:
        """Nothing is taken."""

    def drained(self) -> None:
        """Nothing is sent."""

    def closed(self) -> None:
        """Nothing was begun."""


def sessions(context: Context) -> Open:
    """Opens a session for each request to ``/v1/ws``."""

    def opened(request: events.Request) -> Opened | None:
        target = urlsplit(request.target)
        if target.path != PATH:
            return None
        if context.draining:
            return _TurnedAway(GOING_AWAY, "the gateway restarts"), None
        bare = SUBPROTOCOL in request.subprotocols
        chosen = SUBPROTOCOL if bare else None
        query = dict(parse_qsl(target.query, keep_blank_values=True))
        try:
            principal = principal_of(context, _headers(request), query)
        except Unauthenticated as error:
            return _TurnedAway(UNAUTHENTICATED, str(error)), chosen
        if bare:
            return BareSession(context, principal, query), chosen
        return LiveSession(context, principal), None

    return opened


def _headers(request: events.Request) -> Mapping[str, str]:
    return {
        name.decode("latin-1").lower(): value.decode("latin-1")
        for name, value in request.extra_headers
    }
