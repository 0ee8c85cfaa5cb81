"""The id of a request: that which the client or a proxy gave it, or a new one."""

import re
import secrets
from collections.abc import Mapping

# The key of the ASGI scope under which a guarded route finds the id of its request.
REQUEST_ID = "event_gateway.request_id"
_GIVEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=@-]{0,127}")
# W3C Trace Context, 3.2: version, trace id, parent id, flags.
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


def request_id_of(headers: Mapping[str, str]) -> str:
    """``X-Request-Id`` if it is a plain id of at most 128 characters, else the trace id of
    ``traceparent``, else a new id. ``headers`` by their names in lower case."""
    given = headers.get("x-request-id", "")
    if _GIVEN.fullmatch(given):
        return given
    trace = _TRACEPARENT.fullmatch(headers.get("traceparent", ""))
    return secrets.token_hex(16) if trace is None else trace[1]
