"""Reads bodies of requests: as bytes, and JSON as values, structs and events."""

import re
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request

from event_gateway.api.server import problem_types
from event_gateway.api.server.problems import Problem
from event_gateway.core.cloudevents.event import Event
from event_gateway.core.cloudevents.json_format import from_structured
from event_gateway.core.errors import InvalidDefinition, InvalidEvent
from event_gateway.core.text.json_text import MalformedJson, read_json
from event_gateway.core.text.json_values import check_plain

T = TypeVar("T")
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_raw_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_PATH = re.compile(r"^(.*) - at `\$\.?(.*)`$")


def json_of(body: bytes) -> Any:
    """The value of a JSON body. Raises a Problem (400) if it is not JSON or not UTF-8, and
    InvalidDefinition if an object in it has a name twice."""
    try:
        return read_json(body)
    except MalformedJson as error:
        raise Problem(problem_types.MALFORMED_BODY, f"the body {error}") from None


def body_as(kind: type[T], body: Any) -> T:
    """A body as a msgspec struct. Raises InvalidDefinition with the key that is not valid."""
    check_plain(body)
    try:
        return msgspec.convert(body, kind)
    except msgspec.ValidationError as error:
        match = _PATH.match(str(error))
        key, detail = (match[2], match[1]) if match else ("", str(error))
        raise InvalidDefinition(key, detail.replace("`", "")) from None


def event_in(body: bytes, *, whole: bool = False) -> Event:
    """The event in the JSON body of a request, in the JSON format: its member ``event``, or with
    ``whole`` the body itself. Its data are the bytes that were sent.

    Raises InvalidDefinition with the key ``event``. The body was read by :func:`json_of` before.
    """
    try:
        return from_structured(body if whole else bytes(_members(body)["event"]))
    except KeyError:
        raise InvalidDefinition("event", "is missing") from None
    except InvalidEvent as error:
        raise InvalidDefinition("event", error.detail) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidDefinition("event", f"cannot be decoded: {error}") from None


def events_in(body: bytes) -> list[Event]:
    """The events in the member ``events`` of a JSON body; none where it is missing.

    Raises InvalidDefinition with the key of the event that is none.
    """
    raw = _members(body).get("events")
    events = []
    for position, each in enumerate(_raw_items(bytes(raw)) if raw is not None else ()):
        try:
            events.append(from_structured(bytes(each)))
        except InvalidEvent as error:
            raise InvalidDefinition(f"events[{position}]", error.detail) from None
        except (msgspec.DecodeError, RecursionError) as error:
            raise InvalidDefinition(f"events[{position}]", f"cannot be decoded: {error}") from None
    return events


async def read_body(request: Request, limit: int) -> bytes:
    """The body. Raises a Problem: 413 as soon as it is over ``limit`` bytes, 400 if it ends early.

    The HTTP layer bounds the time in which it arrives.
    """
    for name, value in request.scope["headers"]:
        if name == b"content-length" and int(value) > limit:  # the HTTP layer takes digits alone
            raise _too_large(limit)
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise Problem(400, "the body ended early")
        parts.append(message["body"])
        size += len(parts[-1])
        if size > limit:
            raise _too_large(limit)
        more = message["more_body"]
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(limit: int) -> Problem:
    return Problem(413, f"the body is over the limit of {limit} bytes")
