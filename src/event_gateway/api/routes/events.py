"""``POST /v1/events``: CloudEvents in, structured, binary or batched.

A plain Starlette route: it is the hot path, and its bodies are parsed once, by the core.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from event_gateway.api.server.auth import read_body, require
from event_gateway.api.server.context import Context
from event_gateway.api.server.problems import Problem
from event_gateway.core.cloudevents.binary_mode import from_binary
from event_gateway.core.cloudevents.event import Event
from event_gateway.core.cloudevents.json_format import from_batch, from_structured, to_structured
from event_gateway.core.cloudevents.media_types import mode_of
from event_gateway.core.errors import InvalidEvent

MAX_BATCH = 1000
HOW_TO_SEND = (
    "send application/cloudevents+json, application/cloudevents-batch+json, "
    "or the attributes as ce- headers"
)
Admit = Callable[[Event], None]
_encode = msgspec.json.Encoder().encode
_STATUS = {"reserved": 403, "unsupported": 415, "malformed": 400, "invalid": 422, "schema": 422}


async def options_events(request: Request) -> Response:
    """Whether events may be sent here (HTTP 1.1 Web Hooks for Event Delivery 1.0.2, section 4).

    It needs no key: who may send is decided when something is sent.
    """
    context: Context = request.app.state.context
    headers = {"Allow": "POST"}
    origin = request.headers.get("webhook-request-origin")
    if origin is not None:
        for allowed in (origin, "*"):
            if allowed in context.allowed_origins:
                headers |= {"WebHook-Allowed-Origin": allowed, "WebHook-Allowed-Rate": "*"}
                break
    return Response(None, 200, headers)


async def post_events(request: Request) -> Response:
    """Takes events in; 202 only once the log has confirmed them."""
    context: Context = request.app.state.context
    require(request.headers, context.admin_key)
    if context.draining:
        raise Problem(503, "the gateway is shutting down", {"Retry-After": "2"})
    body = await read_body(request, context.max_body)
    events = _parse(request, body, context.catalog.admit)
    appended = await context.intake.accept(events)
    duplicates = sum(1 for one in appended if one.duplicate)
    answer = {
        "accepted": len(appended) - duplicates,
        "duplicates": duplicates,
        "items": [
            {"id": event.id, "sequence": one.seq, "duplicate": one.duplicate}
            for (event, _), one in zip(events, appended, strict=True)
        ],
    }
    return Response(_encode(answer), 202, media_type="application/json")


def _parse(request: Request, body: bytes, admit: Admit) -> list[tuple[Event, bytes]]:
    try:
        _check_encoding(request)
        content_type = _content_type(request)
        mode = mode_of(content_type)
        if mode == "batch":
            return _parse_batch(body, admit)
        if mode == "structured":
            event = from_structured(body)
            admit(event)
            return [(event, body)]
        headers = _attribute_headers(request)
        if not headers:
            shown = (content_type or "no content type")[:64]
            raise InvalidEvent("unsupported", f"{shown} without ce- headers is no CloudEvent: "
                                              f"{HOW_TO_SEND}")  # fmt: skip
        if "ce-datacontenttype" in request.headers:
            raise InvalidEvent("invalid", "ce-datacontenttype is not for HTTP: use Content-Type")
        event = from_binary(headers, content_type, body)
        admit(event)
        return [(event, to_structured(event))]
    except InvalidEvent as error:
        about: dict[str, Any] = (
            {} if error.path is None else {"reason": error.reason, "path": error.path}
        )
        raise Problem(_STATUS[error.reason], error.detail, **about) from None


def _content_type(request: Request) -> str | None:
    given = [value for name, value in request.headers.raw if name == b"content-type"]
    if len(given) > 1:
        raise InvalidEvent("invalid", "the header content-type is there twice")
    return _text(b"content-type", given[0]) if given else None


def _attribute_headers(request: Request) -> list[tuple[str, str]]:
    return [
        (name.decode("latin-1"), _text(name, value))
        for name, value in request.headers.raw
        if name.startswith(b"ce-")
    ]


def _text(name: bytes, value: bytes) -> str:
    """A header's value, of which HTTP says only that it is bytes."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        shown = name[:64].decode("latin-1")
        raise InvalidEvent("invalid", f"the header {shown} is not UTF-8") from None


def _check_encoding(request: Request) -> None:
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        raise InvalidEvent("unsupported", f"content-encoding {encoding[:32]} is not understood")


def _parse_batch(body: bytes, admit: Admit) -> list[tuple[Event, bytes]]:
    """The whole batch, or one problem that names each bad item: nothing is written then."""
    items = from_batch(body)
    if len(items) > MAX_BATCH:
        raise Problem(413, f"a batch has at most {MAX_BATCH} events")
    events: list[tuple[Event, bytes]] = []
    errors, statuses = [], set()
    for position, item in enumerate(items):
        try:
            if isinstance(item, InvalidEvent):
                raise item
            admit(item)
            events.append((item, to_structured(item)))
        except InvalidEvent as error:
            errors.append(_wrong(position, error))
            statuses.add(error.reason)
    if errors:
        status = 403 if statuses == {"reserved"} else 422
        raise Problem(status, f"{len(errors)} of {len(items)} events are not acceptable; "
                              "none was written", errors=errors[:100])  # fmt: skip
    return events


def _wrong(position: int, error: InvalidEvent) -> dict[str, Any]:
    about = {} if error.path is None else {"path": error.path}
    return {"index": position, "reason": error.reason, "detail": error.detail, **about}
