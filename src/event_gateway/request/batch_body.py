"""The body of several events: a batch of CloudEvents, a JSON array, or lines."""

from event_gateway.core.cloudevents.media_types import BATCH, STRUCTURED, is_json_content

_STRUCTURED = f"content-type: {STRUCTURED}\r\n".encode()
_BATCH = f"content-type: {BATCH}\r\n".encode()
_JSON = b"content-type: application/json\r\n"


def kind(described: bytes) -> bytes:
    """The header lines of a batch in which a body with these lines can be."""
    if described == _STRUCTURED:
        return _BATCH
    return _JSON if _is_json(described) else described


def joined(lines: bytes, bodies: list[bytes]) -> bytes:
    """The bodies as one: an array where they are JSON, else a line for each."""
    if lines in (_BATCH, _JSON):
        return b"[%b]" % b",".join(bodies)
    return b"\n".join(bodies)


def _is_json(described: bytes) -> bool:
    _, _, content_type = described.decode().strip().partition(": ")
    return is_json_content(content_type)
