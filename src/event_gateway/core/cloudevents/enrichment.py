"""The member ``enrichment`` of an event's data: how it is put in, and what others may see of it."""

from typing import Any

import msgspec

from event_gateway.core.cloudevents.event import Event, Received

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_enrichment = msgspec.json.Decoder(dict[str, Any])
_encode = msgspec.json.Encoder().encode
# What an enrichment says of its own event; the rest names other events.
_OF_THE_EVENT = ("processed_at", "gateway_version")


def splice(data: bytes, enrichment: bytes) -> bytes | None:
    """``data`` with a member ``enrichment``; None if the data is not a JSON object.

    A member of that name that the publisher wrote is replaced.
    """
    text = data.strip()
    if text[:1] != b"{":
        return None
    # One byte is found four times as fast as two, and most data has no escapes.
    if b'"enrichment"' in text or (b"\\" in text and b"\\u" in text):
        members = _fields.decode(text)
        if "enrichment" in members:
            members["enrichment"] = msgspec.Raw(enrichment)
            return msgspec.json.encode(members)
    head = text[:-1].rstrip()
    name = b'"enrichment":' if head == b"{" else b',"enrichment":'
    return b"".join((head, name, enrichment, b"}"))


def without_others(received: Received) -> Event:
    """The event as it is sent to a receiver or subscriber that may not see every event: enriched,
    but its ``correlation_chain`` and ``related_events`` are empty, as they may name any event."""
    enriched = received.enriched
    if enriched is None:
        return received.event
    try:
        full = _enrichment.decode(_fields.decode(enriched.data)["enrichment"])
        own = {name: full[name] for name in _OF_THE_EVENT}
        shown = _encode(own | {"correlation_chain": [], "related_events": []})
        data = splice(received.event.data, shown)
    except (msgspec.DecodeError, RecursionError, KeyError):
        data = None  # such data is passed on as it came in
    return received.event if data is None else msgspec.structs.replace(enriched, data=data)
