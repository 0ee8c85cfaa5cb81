"""The types of lifecycle events, as the catalog shows them."""

from typing import Any

import msgspec

from event_gateway.core.schema.event_type import EventType

OWNER = "event-gateway"

_TEXT: dict[str, Any] = {"type": "string"}
_TEXTS: dict[str, Any] = {"type": "array", "items": {"type": "string"}}
_COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
_NUMBER: dict[str, Any] = {"type": "integer", "minimum": 1}
_CODE: dict[str, Any] = {"type": ["integer", "null"], "minimum": 100, "maximum": 999}
_TIME: dict[str, Any] = {"type": ["string", "null"], "format": "date-time"}
_WEBHOOK: dict[str, Any] = {"webhook_id": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}}
_ABOUT: dict[str, Any] = _WEBHOOK | {"url": _TEXT, "events": _TEXTS}
_DELIVERY: dict[str, Any] = _WEBHOOK | {"event_id": _TEXT}
_ATTEMPT: dict[str, Any] = _DELIVERY | {"event_type": _TEXT, "attempt": _NUMBER}
_STREAM: dict[str, Any] = {"stream": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}}
_DEFINITION: dict[str, Any] = _STREAM | {
    "subjects": _TEXTS,
    "retention": {"type": ["string", "null"]},
    "max_messages": {"type": ["integer", "null"], "minimum": 1},
}
_AT: dict[str, Any] = {"type": "string", "format": "date-time"}
_REASON: dict[str, Any] = {"code": _TEXT, "text": _TEXT, "since": _AT, "processes": _TEXTS}
_REASONS: dict[str, Any] = {
    "type": "array",
    "items": {"type": "object", "properties": _REASON, "required": list(_REASON)},
}
_SUBSCRIPTION: dict[str, Any] = _STREAM | {"subscription_id": _TEXT}

_ALERT: dict[str, Any] = {
    "name": _TEXT,
    "webhook": {"type": ["string", "null"]},
    "state": _TEXT,
    "action": {"enum": ["trigger", "resolve"]},
    "severity": _TEXT,
    "detail": _TEXT,
    "value": {"type": "number"},
    "threshold": {"type": "number"},
    "since": _TIME,
    "runbook": _TEXT,
    "labels": {"type": "object", "additionalProperties": _TEXT},
}

# Type, description, the members that are always present, and optional members.
_KNOWN: tuple[tuple[str, str, dict[str, Any], dict[str, Any]], ...] = (
    ("webhook.registered", "A webhook was registered.", _ABOUT, {"reason": _TEXT}),
    ("webhook.updated", "A webhook, or its verification, was changed.", _ABOUT,
     {"reason": _TEXT}),
    ("webhook.deleted", "A webhook was deleted, and its pending deliveries cancelled.", _ABOUT,
     {"reason": _TEXT}),
    ("webhook.disabled", "The gateway stopped delivering to a webhook.",
     _ABOUT | {"reason": _TEXT}, {}),
    ("webhook.triggered", "An attempt to deliver an event starts.", _ATTEMPT, {}),
    ("webhook.succeeded", "A receiver accepted an event.",
     _ATTEMPT | {"status_code": _CODE, "duration_ms": _COUNT, "latency_ms": _COUNT}, {}),
    ("webhook.failed", "An attempt to deliver an event failed.",
     _DELIVERY | {
         "error_type": _TEXT, "error_message": _TEXT, "retry_count": _NUMBER,
         "status_code": _CODE, "next_attempt_at": _TIME,
     }, {}),
    ("webhook.dead_lettered", "A delivery failed for good and became a dead letter.",
     _DELIVERY | {"reason": _TEXT, "attempts": _COUNT}, {}),
    ("stream.created", "A named stream was created.", _DEFINITION, {}),
    ("stream.updated", "A named stream was changed.", _DEFINITION, {}),
    ("stream.deleted", "A named stream was deleted with its messages.", _DEFINITION, {}),
    ("stream.anchored", "The hash chain of a compliance stream got a signed anchor.",
     _STREAM | {
         "sequence": _NUMBER, "link": _TEXT, "time": _AT, "statement": _TEXT,
         "signature": _TEXT, "public_key": _TEXT, "digest": _TEXT,
     }, {}),
    ("stream.subscribed", "A subscription to a named stream started.",
     _SUBSCRIPTION | {"principal": _TEXT, "from": {}}, {}),
    ("gateway.health.degraded",
     "The health of the gateway has become degraded: once for each episode.",
     {"reasons": _REASONS, "since": _AT}, {}),
    ("gateway.health.recovered",
     "The health of the gateway is ok again; the reasons are those of the end of the episode.",
     {"reasons": _REASONS, "since": _AT, "recovered_at": _AT}, {}),
    ("stream.unsubscribed", "A subscription to a named stream ended.",
     _SUBSCRIPTION | {"reason": _TEXT, "sent": _COUNT}, {}),
    ("gateway.alert.firing", "An alert fires, about a webhook or over all.", _ALERT, {}),
    ("gateway.alert.resolved", "An alert that fired is resolved.",
     _ALERT | {"resolved_at": _TIME, "reason": _TEXT}, {}),
)  # fmt: skip


def _event_type(
    name: str, description: str, required: dict[str, Any], optional: dict[str, Any]
) -> EventType:
    schema = {
        "type": "object", "properties": required | optional, "required": list(required),
    }  # fmt: skip
    return EventType(
        type=name, description=description, owner=OWNER,
        schema=msgspec.Raw(msgspec.json.encode(schema)), enforce="off", managed_by="gateway",
    )  # fmt: skip


LIFECYCLE_TYPES = {entry[0]: _event_type(*entry) for entry in _KNOWN}
