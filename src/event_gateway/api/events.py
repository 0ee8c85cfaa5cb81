"""``POST /v1/events``: CloudEvents in, structured, binary or batched.

A plain Starlette route: it is the hot path, and its bodies are parsed once, by the core.
"""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from event_gateway.api.auth import read_body, require
from event_gateway.api.context import Context
from event_gateway.api.problems import Problem
from event_gateway.core.errors import InvalidEvent
from event_gateway.core.event import Event
from event_gateway.core.formats import from_batch, from_binary, from_structured, to_structured
from event_gateway.core.reserved import check_reserved

MAX_BATCH = 1000
HOW_TO_SEND = (
    "send application/cloudevents+json, application/cloudevents-batch+json, "
    "or the attributes as ce- headers"
)
_encode = msgspec.json.Encoder().encode
_STATUS = {"reserved": 403, "unsupported": 415, "malformed": 400, "invalid": 422}


async def post_events(request: Request) -> Response:
    """Takes events in; 202 only once the log has confirmed them."""
    context: Context = request.app.state.context
    require(request.headers, context.admin_key)
    if context.draining:
        raise Problem(503, "the gateway is shutting down", {"Retry-After": "2"})
    body = await read_body(request, context.max_body)
    events = _parse(request, body)
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


def _parse(request: Request, body: bytes) -> list[tuple[Event, bytes]]:
    content_type = request.headers.get("content-type")
    media, _, parameters = (content_type or "").lower().partition(";")
    media = media.strip()
    try:
        _check_encoding(request, parameters)
        if media.startswith("application/cloudevents-batch"):
            _json_only(media, "application/cloudevents-batch")
            return _parse_batch(body)
        if media.startswith("application/cloudevents"):
            _json_only(media, "application/cloudevents")
            event = from_structured(body)
            check_reserved(event)
            return [(event, body)]
        if not any(name.startswith("ce-") for name in request.headers):
            raise InvalidEvent("unsupported", f"{media or 'no content type'} without ce- headers "
                               f"is no CloudEvent: {HOW_TO_SEND}")  # fmt: skip
        if "ce-datacontenttype" in request.headers:
            raise InvalidEvent("invalid", "ce-datacontenttype is not for HTTP: use Content-Type")
        event = from_binary(request.headers.items(), content_type, body)
        check_reserved(event)
        return [(event, to_structured(event))]
    except InvalidEvent as error:
        raise Problem(_STATUS[error.reason], error.detail) from None


def _check_encoding(request: Request, parameters: str) -> None:
    encoding = request.headers.get("content-encoding", "identity")
    if encoding != "identity":
        raise InvalidEvent("unsupported", f"content-encoding {encoding[:32]} is not understood")
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        charset = value.strip().strip('"')
        if name.strip() == "charset" and charset not in ("utf-8", "us-ascii"):
            raise InvalidEvent(
                "unsupported", f"charset {charset[:32]} is not understood; send utf-8"
            )


def _json_only(media: str, kind: str) -> None:
    if media not in (kind, f"{kind}+json"):
        raise InvalidEvent("unsupported", f"{media} is not understood; send {kind}+json")


def _parse_batch(body: bytes) -> list[tuple[Event, bytes]]:
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
            check_reserved(item)
            events.append((item, to_structured(item)))
        except InvalidEvent as error:
            errors.append({"index": position, "reason": error.reason, "detail": error.detail})
            statuses.add(error.reason)
    if errors:
        status = 403 if statuses == {"reserved"} else 422
        raise Problem(status, f"{len(errors)} of {len(items)} events are not acceptable; "
                              "none was written", errors=errors[:100])  # fmt: skip
    return events
