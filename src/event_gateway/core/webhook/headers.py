"""The headers that a webhook may set: neither the gateway's own nor those that frame a request.

Receivers behind CGI or WSGI cannot tell ``_`` from ``-`` (RFC 3875, 4.1.18), and case does not
count (RFC 9110, 5.1): names are compared without both.
"""

import re
from collections.abc import Iterator, Mapping

from event_gateway.core.errors import InvalidDefinition

MAX_HEADERS = 32
MAX_VALUE = 4096  # characters
HEADER_NAME = re.compile(r"(?=.*[A-Za-z0-9])[A-Za-z0-9_-]{1,128}")
# What frames a request or describes its body, is for one hop only (RFC 9110, 7.6.1), or is written
# by the gateway.
_RESERVED = frozenset(
    (
        "host", "content-length", "content-type", "content-encoding", "content-range",
        "transfer-encoding", "te", "trailer", "trailers", "connection", "keep-alive", "close",
        "proxy-connection", "upgrade", "http2-settings", "expect", "max-forwards", "user-agent",
        "traceparent", "tracestate",
    )
)  # fmt: skip
_RESERVED_PREFIXES = ("webhook-", "ce-", "x-event-gateway-", "proxy-")
# Credentials are secrets: a webhook refers to them by name.
_SECRET = frozenset(("authorization", "proxy-authorization"))


def normal(name: str) -> str:
    """The form in which names are compared."""
    return name.lower().replace("_", "-")


def is_reserved(name: str) -> bool:
    """Whether a header is not for webhooks to set."""
    return normal(name) in _RESERVED or normal(name).startswith(_RESERVED_PREFIXES)


def header_problems(headers: Mapping[str, str]) -> Iterator[InvalidDefinition]:
    """All reasons why a webhook cannot have these headers, each with its key."""
    if len(headers) > MAX_HEADERS:
        yield InvalidDefinition("headers", f"a webhook has at most {MAX_HEADERS} headers")
        return
    seen: dict[str, str] = {}
    for name, value in headers.items():
        if HEADER_NAME.fullmatch(name) is None:
            # Only the beginning is repeated: a secret may follow a colon or a scheme.
            begins = re.split(r"[^A-Za-z0-9_-]", name[:64], maxsplit=1)[0]
            yield InvalidDefinition(
                "headers", f"the name that begins with {begins!r} is not a header name"
            )
            continue
        key = f"headers.{name}"
        if normal(name) in _SECRET:
            yield InvalidDefinition(
                key, "would store a secret in clear text; use security with a secret_name"
            )
        elif is_reserved(name):
            yield InvalidDefinition(key, "is set by the gateway itself, or frames the request")
        elif normal(name) in seen:
            yield InvalidDefinition(key, f"is the same header as {seen[normal(name)]}")
        seen[normal(name)] = name
        if len(value) > MAX_VALUE or not value.isascii() or not value.isprintable():
            yield InvalidDefinition(
                key, f"must be printable ASCII of at most {MAX_VALUE} characters"
            )
