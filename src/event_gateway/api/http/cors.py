"""Cross-origin requests of browsers: the CORS protocol (Fetch standard, 3.2), and the ``Origin`` of
a WebSocket handshake (RFC 6455, 10.2).

It works on the heads of requests, so that every answer has the headers: those of routes, streams of
events, errors, and refusals of the HTTP layer itself. The gateway takes no cookies, so no answer
allows credentials.
"""

import re
from collections.abc import Iterable, Sequence

from starlette.responses import Response

from event_gateway.api.http.head import Head
from event_gateway.api.http.refusal import Header, Refusal
from event_gateway.api.server.problems import Problem
from event_gateway.core.text.origin import is_same_host

MAX_AGE = 7200  # seconds for which a browser keeps the answer to a preflight; Chromium's most
METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
HEADERS = (
    b"authorization, content-type, last-event-id, x-api-key, idempotency-key, cache-control, "
    b"if-match, if-none-match, "
    b"traceparent, tracestate"
)
EXPOSED = (
    b"location, etag, idempotency-replayed, retry-after, allow, www-authenticate, x-request-id, "
    b"ratelimit, ratelimit-policy"
)

_NOT_LISTED = "the origin of the page is not in server.cors.origins"
_VARY: Header = (b"vary", b"Origin")
# The attributes of an event in binary mode have any names.
_ATTRIBUTE = re.compile(rb"ce-[a-z0-9]{1,64}")
MAX_ATTRIBUTES = 64


class Cors:
    """``origins``: those of the pages that may use the gateway, as browsers write them; without
    any, the gateway takes no part in CORS."""

    def __init__(self, origins: Iterable[str] = ()) -> None:
        self.configure(origins)

    def configure(self, origins: Iterable[str]) -> None:
        """Applies changed origins."""
        exposed = (b"access-control-expose-headers", EXPOSED)
        self._answers: dict[bytes, tuple[Header, ...]] = {
            origin.encode(): (
                (b"access-control-allow-origin", origin.encode()), exposed, _VARY,
            )
            for origin in origins
        }  # fmt: skip

    def headers(self, request: Sequence[Header]) -> tuple[Header, ...]:
        """The headers of any answer to a request with these headers."""
        if not self._answers:
            return ()
        origin = _only(request, b"origin")
        return self._answers.get(origin, (_VARY,)) if origin is not None else (_VARY,)

    def is_preflight(self, head: Head) -> bool:
        """Whether a browser asks what a page may send."""
        return (
            head.method == b"OPTIONS"
            and bool(self._answers)
            and _only(head.headers, b"origin") is not None
            and _only(head.headers, b"access-control-request-method") is not None
        )

    def preflight(self, head: Head) -> Response:
        """The answer to a preflight, beside the headers of any answer."""
        if _only(head.headers, b"origin") not in self._answers:
            return Problem(403, _NOT_LISTED).response()
        names = (_only(head.headers, b"access-control-request-headers") or b"").lower().split(b",")
        attributes = [name for each in names if _ATTRIBUTE.fullmatch(name := each.strip())]
        allowed = b", ".join([HEADERS, *attributes[:MAX_ATTRIBUTES]])
        headers = {
            "access-control-allow-methods": METHODS,
            "access-control-allow-headers": allowed.decode("ascii"),
            "access-control-max-age": str(MAX_AGE),
        }
        # Private Network Access: Chromium sent this header from 2022 on. Today it asks the user.
        if _only(head.headers, b"access-control-request-private-network") == b"true":
            headers["access-control-allow-private-network"] = "true"
        return Response(status_code=204, headers=headers)

    def refuses_socket(self, head: Head) -> Refusal | None:
        """The answer to a WebSocket handshake of a page that may not use the gateway: browsers
        let any page open a WebSocket. Without origins configured there is none."""
        if not self._answers or all(name != b"origin" for name, _ in head.headers):
            return None
        origin, host = _only(head.headers, b"origin"), _only(head.headers, b"host")
        if origin is not None and self.allows_page(
            origin.decode("latin-1"), "" if host is None else host.decode("latin-1")
        ):
            return None
        return Refusal(403, _NOT_LISTED)

    def allows_page(self, origin: str, host: str) -> bool:
        """Whether a page may use the gateway at this host: its own pages, and those of origins that
        are listed."""
        return origin.encode("latin-1", "replace") in self._answers or is_same_host(origin, host)


def _only(headers: Sequence[Header], name: bytes) -> bytes | None:
    """The value of a header; None if there is none, or more than one."""
    values = [value for key, value in headers if key == name]
    return values[0] if len(values) == 1 else None
