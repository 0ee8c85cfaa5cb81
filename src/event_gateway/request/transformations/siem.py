"""``siem_format``: the event in the Elastic Common Schema 8, and the facts for the Common Event
Format (:mod:`event_gateway.request.transformations.cef`)."""

import re
from ipaddress import ip_address
from typing import Any

import msgspec

from event_gateway.core.cloudevents.event import DataKind, Event
from event_gateway.core.text.times import rfc3339
from event_gateway.core.transformation.definition import raw_payload_of
from event_gateway.request.transformations.ecs_classification import (
    SEVERITY_WORDS,
    Classification,
    classify,
)
from event_gateway.request.transformations.pending_body import JSON_TYPE

ECS_VERSION = "8.11.0"
OUTCOMES = frozenset(("success", "failure", "unknown"))
MAX_MESSAGE = 8192  # characters
_encode = msgspec.json.Encoder().encode
# The times that Elasticsearch accepts unchanged: no leap second, nanoseconds at most.
_PLAIN_TIME = re.compile(r"[-0-9]{10}T\d\d:\d\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)")
_TIME = re.compile(r"([-0-9]{10})T(\d\d:\d\d:)(\d\d)(\.\d{1,9})?\d*(.*)")


class _Data(msgspec.Struct):
    """The members of a payload from which user, address, outcome and severity are taken."""

    user_id: Any = None
    actor: Any = None
    created_by: Any = None
    author: Any = None
    source_ip: Any = None
    client_ip: Any = None
    ip_address: Any = None
    remote_addr: Any = None
    ip: Any = None
    outcome: Any = None
    severity: Any = None
    message: Any = None


class Facts(msgspec.Struct, frozen=True):
    """The facts about an event for a security system. ``time`` is in RFC 3339."""

    time: str
    message: str
    dataset: str
    action: str
    outcome: str
    severity: int
    classification: Classification
    user: str | None
    ip: str | None


_data = msgspec.json.Decoder(_Data).decode
_NOTHING = _Data()


def facts_of(event: Event, received_at: float) -> Facts:
    """The facts about an event, from its type and the well-known members of its payload."""
    data = _NOTHING
    if event.kind is DataKind.JSON:
        try:
            data = _data(event.data)
        except (msgspec.DecodeError, RecursionError):
            data = _NOTHING  # the payload is no object
    classification = classify(event.type)
    dataset, _, action = event.type.rpartition(".")
    return Facts(
        time=_time(event.time or rfc3339(received_at)),
        message=_message(event, data.message),
        dataset=dataset or event.type,
        action=action,
        outcome=data.outcome
        if isinstance(data.outcome, str) and data.outcome in OUTCOMES
        else classification.outcome,
        severity=_severity(data.severity, classification.severity),
        classification=classification,
        user=_first(_user, data.user_id, data.actor, data.created_by, data.author),
        ip=_first(
            _ip, data.source_ip, data.client_ip, data.ip_address, data.remote_addr, data.ip
        ),
    )  # fmt: skip


def siem_format(event: Event, received_at: float) -> tuple[bytes, bytes]:
    """Content type and body. The payload's bytes are included unchanged."""
    facts = facts_of(event, received_at)
    classification = facts.classification
    body: dict[str, Any] = {
        "@timestamp": facts.time,
        "ecs": {"version": ECS_VERSION},
        "message": facts.message,
        "event": {
            "id": event.id,
            "kind": classification.kind,
            "category": classification.category,
            "type": classification.type,
            "action": facts.action,
            "outcome": facts.outcome,
            "severity": facts.severity,
            "provider": event.source,
            "dataset": facts.dataset,
        },
        "labels": labels_of(event),
        "arrakis": {"data": raw_payload_of(event)},
    }
    if facts.user is not None:
        body["user"] = {"id": facts.user}
    if facts.ip is not None:
        body["source"] = {"ip": facts.ip}
    return JSON_TYPE, _encode(body)


def labels_of(event: Event) -> dict[str, str]:
    """The subject and the extension attributes, as strings."""
    labels = {} if event.subject is None else {"subject": event.subject}
    for name, value in event.extensions.items():
        labels[name] = value if isinstance(value, str) else _encode(value).decode()
    return labels


def _time(text: str) -> str:
    if _PLAIN_TIME.fullmatch(text):
        return text
    match = _TIME.fullmatch(text.upper())
    if match is None:
        return text
    date, minutes, second, fraction, zone = match.groups()
    return f"{date}T{minutes}{min(second, '59')}{fraction or ''}{zone}"


def _message(event: Event, value: object) -> str:
    if isinstance(value, str) and value.strip():
        return value[:MAX_MESSAGE]
    about = f"{event.type} {event.subject}" if event.subject else event.type
    return f"{about} from {event.source}"[:MAX_MESSAGE]


def _severity(value: object, default: int) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 10:
        return value
    return SEVERITY_WORDS.get(value.lower(), default) if isinstance(value, str) else default


def _first(read: Any, *values: object) -> str | None:
    """The first value that ``read`` accepts."""
    for value in values:
        if value is not None:
            text: str | None = read(value)
            if text is not None:
                return text
    return None


def _user(value: object) -> str | None:
    """A user's id, given as such or as the ``id`` of an object."""
    if isinstance(value, dict):
        value = value.get("id")
    if isinstance(value, str):
        return value or None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _ip(value: object) -> str | None:
    if isinstance(value, str) and len(value) <= 45 and "%" not in value:
        try:
            return str(ip_address(value))
        except ValueError:
            return None
    return None
