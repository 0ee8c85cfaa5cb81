"""``POST /v1/events``: takes in CloudEvents, structured, binary or batched.

The hot path: the application calls the endpoint itself (:mod:`api.server.application`).
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from event_gateway.api.access.authenticator import Authenticator
from event_gateway.api.access.guarded_route import BodyOnce, authorized_caller
from event_gateway.api.server import problem_types
from event_gateway.api.server.problems import Problem, invalid
from event_gateway.api.server.request_spans import SPAN, RequestSpan
from event_gateway.api.server.state import ApiState
from event_gateway.broker.event_log import Appended
from event_gateway.config.problems import MAX_PROBLEMS
from event_gateway.core.access.narrowing import is_narrowed, may_read, publish_refusal
from event_gateway.core.access.principal import Principal
from event_gateway.core.access.scope import EVENTS_PUBLISH
from event_gateway.core.cloudevents.binary_mode import from_binary
from event_gateway.core.cloudevents.event import Event, Received
from event_gateway.core.cloudevents.json_format import (
    MAX_BATCH,
    TooManyEvents,
    from_batch,
    from_structured,
    to_structured,
)
from event_gateway.core.cloudevents.media_types import mode_of
from event_gateway.core.cloudevents.trace_context import TraceContext, read_context
from event_gateway.core.errors import InvalidEvent
from event_gateway.core.streams.definition import EVENTS
from event_gateway.ingest.intake import Intake

HOW_TO_SEND = (
    "send application/cloudevents+json, application/cloudevents-batch+json, "
    "or the attributes as ce- headers"
)
Admit = Callable[[Event], None]
Headers = Sequence[tuple[bytes, bytes]]
OPERATION = "POST /v1/events"  # the route's name in the audit log
_KNOWN = frozenset((b"content-type", b"content-encoding", b"traceparent", b"tracestate"))
_IDENTITY = b"identity"
JSON = (b"content-type", b"application/json")
_encode = msgspec.json.Encoder().encode
_STATUS = {
    "forbidden": 403,
    "reserved": 403,
    "unsupported": 415,
    "malformed": 400,
    "invalid": 422,
    "schema": 422,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsEndpoint:
    """The two routes of ``/v1/events``. ``admit`` raises InvalidEvent for events that the catalog
    rejects; ``read`` reads an event of the log."""

    intake: Intake
    admit: Admit
    read: Callable[[str, int], Awaitable[Received | None]]
    authenticator: Authenticator
    state: ApiState

    async def options(self, request: Request) -> Response:
        """Whether events may be sent here (HTTP 1.1 Web Hooks for Event Delivery 1.0.2, section 4).

        Needs no key: the gateway checks the key when an event is sent.
        """
        headers = {"Allow": "GET, OPTIONS, POST"}
        origin = request.headers.get("webhook-request-origin")
        if origin is not None:
            for allowed in (origin, "*"):
                if allowed in self.state.allowed_origins:
                    headers |= {"WebHook-Allowed-Origin": allowed, "WebHook-Allowed-Rate": "*"}
                    break
        return Response(None, 200, headers)

    async def post(self, request: Request) -> Response:
        """Takes events in; answers 202 once the log has confirmed them."""
        body = BodyOnce(request, self.state.max_body)
        principal = await authorized_caller(
            self.authenticator, request, body, EVENTS_PUBLISH, OPERATION
        )
        if self.state.draining:
            detail = "the gateway is shutting down: the event was not taken, send it again"
            kind = problem_types.SHUTTING_DOWN
            raise Problem(kind, detail, {"Retry-After": "2"}, outcome="not taken")
        narrowed = is_narrowed(principal)
        admit = self.admit if not narrowed else _admit_for(principal, self.admit)
        headers: Headers = request.scope["headers"]
        content = await body.read()
        known = known_headers(headers)
        events = parse(headers, known, content, admit)
        span: RequestSpan | None = request.scope.get(SPAN)
        if span is None:
            appended = await self.intake.accept(events, trace=trace_of(known))
        else:
            trace, link = span.of_events([event for event, _ in events])
            appended = await self.intake.accept(events, trace=trace, link=link)
        if narrowed:
            await self._check_duplicates(principal, events, appended)
        return AcceptedResponse(accepted([event.id for event, _ in events], appended))

    async def _check_duplicates(
        self, principal: Principal, events: list[tuple[Event, bytes]], appended: list[Appended]
    ) -> None:
        """Raises a Problem if the log took an event for a duplicate of one that the caller may not
        read: it is another event, which was not accepted."""
        for (event, _), ack in zip(events, appended, strict=True):
            first = await self.read(EVENTS, ack.seq) if ack.duplicate else None
            if first is not None and not may_read(principal, first):
                detail = f"the source and id of {event.id[:64]} belong to an event of others: it "
                detail += "was not accepted, send it with a source of your own"
                raise Problem(409, detail)


def accepted(ids: Sequence[str], appended: Sequence[Appended]) -> bytes:
    """The body of the answer to events that were taken in, by their ids."""
    duplicates = sum([ack.duplicate for ack in appended])
    answer = {
        "accepted": len(appended) - duplicates,
        "duplicates": duplicates,
        "items": [
            {"id": event_id, "sequence": ack.seq, "duplicate": ack.duplicate}
            for event_id, ack in zip(ids, appended, strict=True)
        ],
    }
    return _encode(answer)


class AcceptedResponse(Response):
    """202, with its headers made in place: Starlette's way costs as much as the parsing."""

    def __init__(self, body: bytes) -> None:
        self.status_code = 202
        self.body = body
        self.background = None
        self.raw_headers = [(b"content-length", b"%d" % len(body)), JSON]


def parse(
    headers: Headers, known: dict[bytes, bytes], body: bytes, admit: Admit
) -> list[tuple[Event, bytes]]:
    """The events of a request, each with its structured form; ``known``: of its headers. Raises a
    Problem."""
    try:
        return _parse(headers, known, body, admit)
    except InvalidEvent as error:
        raise _refusal(error) from None


def _parse(
    headers: Headers, known: dict[bytes, bytes], body: bytes, admit: Admit
) -> list[tuple[Event, bytes]]:
    _check_encoding(known)
    content_type = _content_type(headers, known)
    mode = mode_of(content_type)
    if mode == "batch":
        return _parse_batch(body, admit)
    if mode == "structured":
        event = from_structured(body)
        admit(event)
        return [(event, body)]
    attributes = _attribute_headers(headers)
    if not attributes:
        shown = (content_type or "no content type")[:64]
        raise InvalidEvent(
            "unsupported", f"{shown} without ce- headers is not a CloudEvent: {HOW_TO_SEND}"
        )
    if any(name == "ce-datacontenttype" for name, _ in attributes):
        raise InvalidEvent("invalid", "ce-datacontenttype is not for HTTP: use Content-Type")
    event = from_binary(attributes, content_type, body)
    admit(event)
    return [(event, to_structured(event))]


def _refusal(error: InvalidEvent) -> Problem:
    members: dict[str, Any] = (
        {} if error.path is None else {"reason": error.reason, "path": error.path}
    )
    return Problem(_STATUS[error.reason], error.detail, **members)


def _admit_for(caller: Principal, admit: Admit) -> Admit:
    """What admits events that a narrowed caller publishes."""

    def narrowed(event: Event) -> None:
        refusal = publish_refusal(caller, Received(event, EVENTS, 0, 0.0))
        if refusal is not None:
            raise InvalidEvent("forbidden", refusal)
        admit(event)

    return narrowed


def known_headers(headers: Headers) -> dict[bytes, bytes]:
    """The headers that say something of an event in any mode; of each name the first."""
    known: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _KNOWN and name not in known:
            known[name] = value
    return known


def _content_type(headers: Headers, known: dict[bytes, bytes]) -> str | None:
    given = known.get(b"content-type")
    if given is None:
        return None
    if sum([name == b"content-type" for name, _ in headers]) > 1:
        raise InvalidEvent("invalid", "the header content-type occurs twice")
    return _text(b"content-type", given)


def trace_of(known: dict[bytes, bytes]) -> TraceContext | None:
    """The trace of the request."""
    given = known.get(b"traceparent")
    if given is None:
        return None
    state = known.get(b"tracestate")
    return read_context(given.decode("latin-1"), None if state is None else state.decode("latin-1"))


def _attribute_headers(headers: Headers) -> list[tuple[str, str]]:
    return [
        (name.decode("latin-1"), _text(name, value))
        for name, value in headers
        if name.startswith(b"ce-")
    ]


def _text(name: bytes, value: bytes) -> str:
    """A header's value, which must be UTF-8; HTTP itself allows any bytes."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        shown = name[:64].decode("latin-1")
        raise InvalidEvent("invalid", f"the header {shown} is not UTF-8") from None


def _check_encoding(known: dict[bytes, bytes]) -> None:
    encoding = known.get(b"content-encoding", _IDENTITY)
    if encoding.lower() != _IDENTITY:
        shown = encoding[:32].decode("latin-1")
        raise InvalidEvent("unsupported", f"content-encoding {shown} is not supported")


def _parse_batch(body: bytes, admit: Admit) -> list[tuple[Event, bytes]]:
    """The events of a batch. Raises a Problem that names each bad item; then nothing is written."""
    try:
        items = from_batch(body)
    except TooManyEvents:
        raise Problem(413, f"a batch has at most {MAX_BATCH} events") from None
    events: list[tuple[Event, bytes]] = []
    errors, statuses = [], set()
    for position, (item, text) in enumerate(items):
        try:
            if isinstance(item, InvalidEvent):
                raise item
            admit(item)
            events.append((item, text))
        except InvalidEvent as error:
            errors.append(_item_error(position, error))
            statuses.add(error.reason)
    if errors:
        status = 403 if statuses <= {"forbidden", "reserved"} else 422
        shown = errors[:MAX_PROBLEMS]
        detail = f"{len(errors)} of {len(items)} events are not valid; none was written"
        raise invalid(status, detail, shown, len(errors) - len(shown))
    return events


def _item_error(position: int, error: InvalidEvent) -> dict[str, Any]:
    path = {} if error.path is None else {"path": error.path}
    return {"index": position, "reason": error.reason, "detail": error.detail, **path}
