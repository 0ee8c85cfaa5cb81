"""Answers that the HTTP layer gives by itself, before any route sees a request: problem details."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from http import HTTPStatus

import httptools
import msgspec

from event_gateway.api.http.security_headers import security_lines
from event_gateway.api.server.problem_types import ProblemType, general_type
from event_gateway.api.server.problems import CONTENT_TYPE, problem_object

Header = tuple[bytes, bytes]

# A first word that could be a method (RFC 9110, 5.6.2), as far as it has arrived.
_METHOD = re.compile(rb"[\r\n]*[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}(?: |\Z)")
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer with an error status. The connection is closed after it. ``kind``: the type of the
    problem, by default the general one of the status."""

    status: int
    detail: str
    headers: tuple[Header, ...] = ()
    kind: ProblemType | None = None

    def with_headers(self, headers: Iterable[Header]) -> "Refusal":
        """The same answer with further headers."""
        return replace(self, headers=(*self.headers, *headers))

    def response(self, default_headers: Iterable[Header] = ()) -> bytes:
        """The whole response."""
        body = _encode(problem_object(self.kind or general_type(self.status), self.detail))
        head = [
            b"HTTP/1.1 %d %b\r\n" % (self.status, HTTPStatus(self.status).phrase.encode()),
            *(b"%b: %b\r\n" % header for header in (*default_headers, *self.headers)),
            b"content-type: %b\r\n" % CONTENT_TYPE.encode(),
            security_lines(stored=False, policy=False, secure=False),
            b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body),
        ]
        return b"".join(head) + body


class RequestRefused(Exception):
    """A request that the HTTP layer refuses; ``refusal`` is the answer."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.detail)
        self.refusal = refusal


def refused(status: int, detail: str) -> RequestRefused:
    """The exception for an answer."""
    return RequestRefused(Refusal(status, detail))


def refusal_of(error: httptools.HttpParserError, begins: bytes) -> Refusal:
    """The answer to bytes that the parser does not take. ``begins``: how the request begins, or
    nothing where that is not known."""
    text = str(error)
    if isinstance(error, httptools.HttpParserInvalidMethodError):
        if _METHOD.match(begins):
            return Refusal(501, "the method is not implemented")
        return Refusal(400, "the request does not begin with a method")
    if isinstance(error, httptools.HttpParserInvalidURLError):
        return Refusal(400, f"the URL is not valid: {text}")
    if text == "Invalid HTTP version" or "PRI" in text or "HTTP/2" in text:
        return Refusal(505, "the gateway speaks HTTP/1.1 and HTTP/1.0")
    return Refusal(400, f"the request is not valid HTTP: {text}")
