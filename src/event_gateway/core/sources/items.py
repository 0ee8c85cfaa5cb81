"""Splits a request with a list of events."""

import msgspec

from event_gateway.core.sources.inbound import Inbound, json_value
from event_gateway.core.sources.provider import Entry, Refused

MAX_ITEMS = 1000
_raw_items = msgspec.json.Decoder(list[msgspec.Raw]).decode


def items(inbound: Inbound) -> list[Entry]:
    """An entry for each element of the body, a JSON array, with its bytes as they came; a body
    that is an object is one entry. Raises Refused."""
    if not isinstance(inbound.content, list):
        if not isinstance(inbound.content, dict):
            raise Refused("malformed", "the body is no JSON array and no object")
        return [Entry(inbound.content, inbound.json)]
    if len(inbound.content) > MAX_ITEMS:
        raise Refused("malformed", f"the body has more than {MAX_ITEMS} events")
    try:
        texts = [bytes(raw) for raw in _raw_items(inbound.body)]
    except (msgspec.DecodeError, RecursionError):
        raise Refused("malformed", "the body is no JSON array") from None
    return [Entry(json_value(text), text) for text in texts]
