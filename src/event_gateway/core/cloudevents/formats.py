"""CloudEvents on the wire: what most of the gateway needs of its three modules."""

from event_gateway.core.cloudevents.binary_mode import from_binary, goes_binary, to_binary
from event_gateway.core.cloudevents.json_format import from_batch, from_structured, to_structured
from event_gateway.core.cloudevents.media_types import BATCH, STRUCTURED, is_json_content, mode_of
from event_gateway.core.cloudevents.nats_message import FORMAT_HEADER, LOG_FORMAT, from_message

__all__ = [
    "BATCH",
    "FORMAT_HEADER",
    "LOG_FORMAT",
    "STRUCTURED",
    "from_batch",
    "from_binary",
    "from_message",
    "from_structured",
    "goes_binary",
    "is_json_content",
    "mode_of",
    "to_binary",
    "to_structured",
]
