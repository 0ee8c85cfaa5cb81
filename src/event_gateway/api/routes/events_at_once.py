"""``POST /v1/events`` with one event, as most are sent: answered without a task and without ASGI,
which cost as much as all that is done with the event.

Only what is usual goes this way. Everything else, and each error, is answered by
:class:`api.routes.events.EventsEndpoint`, which has the rules; no step is done twice.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from starlette.types import ASGIApp

from event_gateway.api.access.authenticator import Unauthenticated
from event_gateway.api.access.caller_request import CallerRequest
from event_gateway.api.access.guarded_route import FOUND
from event_gateway.api.http.exchange import Exchange
from event_gateway.api.http.response_head import PreparedHead
from event_gateway.api.routes.events import (
    JSON,
    AcceptedResponse,
    EventsEndpoint,
    accepted,
    known_headers,
    parse,
    trace_of,
)
from event_gateway.api.server.problems import Problem
from event_gateway.api.server.request_spans import EVENTS
from event_gateway.core.access.narrowing import is_narrowed
from event_gateway.core.access.principal import Principal
from event_gateway.core.access.scope import EVENTS_PUBLISH

_ACCEPTED = PreparedHead(202, [JSON])


class EventsAtOnce:
    """The shortcut of HTTP connections. ``refusing`` makes what answers with an error."""

    def __init__(self, endpoint: EventsEndpoint, refusing: Callable[[Exception], ASGIApp]) -> None:
        self._endpoint = endpoint
        self._refusing = refusing

    def __call__(self, exchange: Exchange) -> "asyncio.Future[Any] | None":
        """Begins to take the event of a request in, and returns what it waits for; None if the
        application of the exchange is to answer."""
        head, endpoint = exchange.head, self._endpoint
        if head.path != EVENTS or head.method != b"POST":
            return None
        known, content = known_headers(head.headers), exchange.body
        if (
            b"batch" in known.get(b"content-type", b"").lower()
            or len(content) > endpoint.state.max_body
            or endpoint.state.draining
            or not endpoint.intake.takes_at_once
        ):
            return None
        try:
            if not self._may_publish(exchange, content):
                return None
            ((event, body),) = parse(head.headers, known, content, endpoint.admit)
            waits = endpoint.intake.begin(event, body, trace_of(known))
        except Exception as error:
            exchange.application = self._refusing(error)
            return None
        waits.add_done_callback(partial(self._appended, exchange, event.id))
        return waits

    def _may_publish(self, exchange: Exchange, content: bytes) -> bool:
        """Whether the caller is known at once and may publish any event; else the endpoint finds
        in the scope what is known of the caller."""
        authenticator, scope = self._endpoint.authenticator, exchange.scope

        async def body() -> bytes:
            return content

        try:
            found = authenticator.authenticate(CallerRequest(scope, body))
        except (Unauthenticated, Problem) as error:
            scope[FOUND] = error
            return False
        if (
            isinstance(found, Principal)
            and found.allows(EVENTS_PUBLISH)
            and found.method != "browser_token"
            and not is_narrowed(found)
            and not authenticator.limits.is_limited(found)
        ):
            return True
        scope[FOUND] = found
        return False

    def _appended(self, exchange: Exchange, event_id: str, waits: "asyncio.Future[Any]") -> None:
        """The log has confirmed the event, or not."""
        if waits.cancelled():
            exchange.end()
            return
        try:
            body = accepted([event_id], [self._endpoint.intake.ended(waits.result())])
        except Exception as error:
            exchange.answer_by(self._refusing(error))
            return
        if exchange.disconnected:
            return
        if exchange.answers_at_once():
            exchange.answer(_ACCEPTED, body)
        else:
            exchange.answer_by(AcceptedResponse(body))
