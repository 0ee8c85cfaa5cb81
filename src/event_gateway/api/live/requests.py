"""Reads and checks the requests of clients of ``/v1/ws`` and of Server-Sent Events."""

from collections.abc import Mapping, Sequence, Set
from types import NoneType
from typing import Any

import msgspec

from event_gateway.config.request_bodies import InvalidBody, selection_from_json
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.matching.selection import FIELDS, TEXT_FIELDS
from event_gateway.core.streams.start import start_of, start_of_text
from event_gateway.core.streams.subscription import SubscribeRequest
from event_gateway.core.text.identifier import ID
from event_gateway.core.text.json_text import MalformedJson, read_json
from event_gateway.core.text.suggestion import suggestion
from event_gateway.streaming.refusal import SubscriptionRefused

MAX_SUBJECTS = 32
MAX_REF = 256  # characters
# The parameters of a query string that describes a subscription.
QUERY = FIELDS.keys() | frozenset(("stream", "subjects", "from", "token"))
_SUBSCRIBE = FIELDS.keys() | frozenset(
    ("action", "ref", "stream", "subjects", "from", "durable", "take_over")
)  # fmt: skip


def read_frame(text: str) -> dict[str, Any]:
    """The JSON object in a text frame. Raises SubscriptionRefused."""
    try:
        frame = read_json(text)
    except MalformedJson as error:
        raise SubscriptionRefused("malformed", f"the frame {error}") from None
    except InvalidDefinition as error:
        raise SubscriptionRefused("malformed", str(error)) from None
    if not isinstance(frame, dict):
        raise SubscriptionRefused("malformed", "the frame is not a JSON object")
    return frame


def ref_of(frame: Mapping[str, Any]) -> str | int | float | bool | None:
    """The ``ref`` of a frame, which its answer repeats. Raises SubscriptionRefused."""
    ref = frame.get("ref")
    if not isinstance(ref, (str, int, float, NoneType)):
        raise SubscriptionRefused("invalid", "ref must be a string or a number")
    if len(ref) > MAX_REF if isinstance(ref, str) else not -(2**63) <= (ref or 0) < 2**64:
        raise SubscriptionRefused("invalid", f"ref must have at most {MAX_REF} characters")
    return ref


def read_subscribe(frame: Mapping[str, Any]) -> SubscribeRequest:
    """The request in a ``subscribe`` frame. Raises SubscriptionRefused."""
    unknown = sorted(frame.keys() - _SUBSCRIBE)
    if unknown:
        hint = suggestion(unknown[0], _SUBSCRIBE)
        raise SubscriptionRefused("invalid", f"subscribe has no {unknown[0][:64]!r}{hint}")
    stream, subjects = frame.get("stream"), frame.get("subjects")
    durable, take_over = frame.get("durable"), frame.get("take_over", False)
    if (stream is None) == (subjects is None):
        raise SubscriptionRefused("invalid", "stream must name a stream, or subjects list patterns")
    if stream is not None and not isinstance(stream, str):
        raise SubscriptionRefused("invalid", "stream must name a stream")
    if durable is not None and not (isinstance(durable, str) and ID.fullmatch(durable)):
        raise SubscriptionRefused("invalid", f"durable must be a name of the form {ID.pattern}")
    if not isinstance(take_over, bool):
        raise SubscriptionRefused("invalid", "take_over must be true or false")
    start_given = frame.get("from", "new")
    try:
        start = start_of(start_given)
    except ValueError as error:
        raise SubscriptionRefused("invalid", str(error)) from None
    try:
        selection = selection_from_json({key: frame[key] for key in FIELDS if key in frame})
    except InvalidBody as error:
        raise SubscriptionRefused("invalid", str(error)) from None
    if stream is not None:
        return SubscribeRequest(stream, (), start, start_given, durable, take_over, selection)
    if not (
        isinstance(subjects, list)
        and 1 <= len(subjects) <= MAX_SUBJECTS
        and all(isinstance(subject, str) for subject in subjects)
    ):
        raise SubscriptionRefused(
            "invalid", f"subjects must be a list of 1 to {MAX_SUBJECTS} patterns"
        )
    if not start.new or durable is not None:
        raise SubscriptionRefused(
            "invalid", "subjects without a stream are live only: no from, no durable"
        )
    return SubscribeRequest(None, tuple(subjects), start, start_given, selection=selection)


def read_parameters(given: Sequence[tuple[str, str]], known: Set[str]) -> dict[str, str]:
    """The parameters of a query string. Raises SubscriptionRefused if one of them is not among the
    ``known`` ones, or is given twice."""
    query: dict[str, str] = {}
    for name, value in given:
        if name not in known:
            hint = suggestion(name, known)
            raise SubscriptionRefused("invalid", f"there is no parameter {name[:64]!r}{hint}")
        if name in query:
            raise SubscriptionRefused("invalid", f"the parameter {name} is given twice")
        query[name] = value
    return query


def read_query(query: Mapping[str, str], stream: str | None = None) -> SubscribeRequest:
    """The request in a query string: ``stream`` or ``subjects`` (separated by commas), ``from``,
    and the selection, whose members are JSON except for ``expression``.

    ``stream``: the name in the path, which rules. Raises SubscriptionRefused.
    """
    stream = stream or query.get("stream")
    frame: dict[str, Any] = {}
    if stream is not None:
        frame["stream"] = stream
    if "subjects" in query:
        frame["subjects"] = query["subjects"].split(",")
    for key in FIELDS.keys() & query.keys():
        frame[key] = query[key] if key in TEXT_FIELDS else _json(key, query[key])
    request = read_subscribe(frame)
    start_given = query.get("from", "new")
    try:
        start = start_of_text(start_given)
    except ValueError as error:
        raise SubscriptionRefused("invalid", str(error)) from None
    if request.stream is None and not start.new:
        raise SubscriptionRefused("invalid", "subjects without a stream are live only: no from")
    return msgspec.structs.replace(request, start=start, start_given=start_given)


def _json(key: str, text: str) -> Any:
    try:
        return read_json(text)
    except MalformedJson as error:
        raise SubscriptionRefused("invalid", f"{key} must be JSON: it {error}") from None
    except InvalidDefinition as error:
        raise SubscriptionRefused("invalid", f"{key}: {error}") from None
