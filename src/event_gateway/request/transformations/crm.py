"""``crm_format``: the event as an action on an object of an account."""

from typing import Any

import msgspec

from event_gateway.core.cloudevents.event import DataKind, Event
from event_gateway.core.transformation.definition import raw_payload_of
from event_gateway.request.transformations.pending_body import JSON_TYPE

_encode = msgspec.json.Encoder().encode


class _Account(msgspec.Struct):
    namespace: msgspec.Raw = msgspec.Raw(b"null")


_account = msgspec.json.Decoder(_Account).decode


def crm_format(event: Event, received_at: float) -> tuple[bytes, bytes]:
    """Content type and body. The payload's bytes are included unchanged."""
    *before, action = event.type.split(".")
    _, _, object_id = (event.subject or "").partition("/")
    account: Any = None
    if event.kind is DataKind.JSON:
        try:
            account = _account(event.data).namespace
        except (msgspec.DecodeError, RecursionError):
            account = None  # the payload is no object
    body = {
        "event": event.type,
        "event_id": event.id,
        "occurred_at": event.time,
        "object_type": before[-1] if before else None,
        "object_id": object_id or None,
        "action": action,
        "account": account,
        "properties": raw_payload_of(event),
        "source": event.source,
    }
    return JSON_TYPE, _encode(body)
