"""The body of a request with several events: a CloudEvents batch, a JSON array, or lines."""

from event_gateway.core.cloudevents.media_types import BATCH, STRUCTURED, is_json_content

_STRUCTURED = f"content-type: {STRUCTURED}\r\n".encode()
_BATCH = f"content-type: {BATCH}\r\n".encode()
_JSON = b"content-type: application/json\r\n"


def batch_header(header: bytes) -> bytes:
    """The content-type line of a batch, from the header lines that describe one of its bodies."""
    if header == _STRUCTURED:
        return _BATCH
    return _JSON if _is_json(header) else header


def join(header: bytes, bodies: list[bytes]) -> bytes:
    """The body of a batch with this header: an array if it is JSON, else a line for each body."""
    if header in (_BATCH, _JSON):
        return b"[%b]" % b",".join(bodies)
    return b"\n".join(bodies)


def _is_json(header: bytes) -> bool:
    _, _, content_type = header.decode().strip().partition(": ")
    return is_json_content(content_type)
