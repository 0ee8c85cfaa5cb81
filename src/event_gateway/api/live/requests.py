"""What clients of ``/v1/ws`` and of Server-Sent Events ask for, read and checked."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from event_gateway.api.live.refused import Refused
from event_gateway.config.definitions import InvalidBody
from event_gateway.config.selection_model import KEYS, selection_from_json
from event_gateway.core.streams.start import start_of, start_of_text
from event_gateway.core.streams.subscription import SubscribeRequest
from event_gateway.core.text.identifier import ID

MAX_SUBJECTS = 32
_SUBSCRIBE = KEYS | frozenset(
    ("action", "ref", "stream", "subjects", "from", "durable", "take_over")
)  # fmt: skip


def request_of(text: str) -> dict[str, Any]:
    """The request in a frame. Raises Refused."""
    try:
        request = json.loads(text)
    except (ValueError, RecursionError):
        raise Refused("malformed", "the frame is no JSON") from None
    if not isinstance(request, dict):
        raise Refused("malformed", "the frame is no JSON object")
    return request


def wanted_of(request: Mapping[str, Any]) -> SubscribeRequest:
    """What a subscribe request asks for. Raises Refused."""
    unknown = sorted(request.keys() - _SUBSCRIBE)
    if unknown:
        raise Refused("invalid", f"subscribe has no {unknown[0][:64]!r}")
    stream, subjects = request.get("stream"), request.get("subjects")
    durable, take_over = request.get("durable"), request.get("take_over", False)
    if (stream is None) == (subjects is None):
        raise Refused("invalid", "stream must name a stream, or subjects list patterns")
    if stream is not None and not isinstance(stream, str):
        raise Refused("invalid", "stream must name a stream")
    if durable is not None and not (isinstance(durable, str) and ID.fullmatch(durable)):
        raise Refused("invalid", f"durable must be a name of the form {ID.pattern}")
    if not isinstance(take_over, bool):
        raise Refused("invalid", "take_over is true or false")
    asked = request.get("from", "new")
    try:
        start = start_of(asked)
    except ValueError as error:
        raise Refused("invalid", str(error)) from None
    try:
        selection = selection_from_json({key: request[key] for key in KEYS & request.keys()})
    except InvalidBody as error:
        raise Refused("invalid", str(error)) from None
    if stream is not None:
        return SubscribeRequest(stream, (), start, asked, durable, take_over, selection)
    if not (
        isinstance(subjects, list)
        and 1 <= len(subjects) <= MAX_SUBJECTS
        and all(isinstance(one, str) for one in subjects)
    ):
        raise Refused("invalid", f"subjects must be a list of 1 to {MAX_SUBJECTS} patterns")
    if not start.new or durable is not None:
        raise Refused("invalid", "subjects without a stream are live only: no from, no durable")
    return SubscribeRequest(None, tuple(subjects), start, asked, selection=selection)


def wanted_of_query(query: Mapping[str, str], stream: str | None = None) -> SubscribeRequest:
    """What a query string asks for: ``stream`` or ``subjects`` (with commas), ``from``, and
    what it wants of the events as JSON, but for ``expression``.

    Raises Refused.
    """
    stream = stream or query.get("stream")
    request: dict[str, Any] = {}
    if stream is not None:
        request["stream"] = stream
    if "subjects" in query:
        request["subjects"] = query["subjects"].split(",")
    for key in KEYS & query.keys():
        request[key] = query[key] if key == "expression" else _json(key, query[key])
    wanted = wanted_of(request)
    asked = query.get("from", "new")
    try:
        start = start_of_text(asked)
    except ValueError as error:
        raise Refused("invalid", str(error)) from None
    if wanted.stream is None and not start.new:
        raise Refused("invalid", "subjects without a stream are live only: no from")
    return msgspec.structs.replace(wanted, start=start, asked=asked)


def _json(key: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Refused("invalid", f"{key} must be JSON") from None
