"""Writes the head of a response."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from event_gateway.api.http.refusal import Header
from event_gateway.api.http.security_headers import security_lines

_STATUS_LINES = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode())
    for status in HTTPStatus
}


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """``lines``: the status line and the headers, each with its line break, without the empty line
    behind them; ``length``: that of the body, None if no header says it; ``says_close``: whether a
    header says that the connection is closed."""

    lines: bytes
    length: int | None
    says_close: bool


def response_head(status: int, headers: Iterable[Header], *, secure: bool) -> ResponseHead:
    """The head with these headers, whose names are in lower case, and those that every response
    has. ``secure``: it goes over TLS. Raises RuntimeError if a header contains a line break."""
    lines = [_STATUS_LINES[status]]
    length = None
    says_close = stored = policy = False
    for name, value in headers:
        lines.append(b"%b: %b\r\n" % (name, value))
        if name == b"content-length":
            length = int(value)
        elif name == b"connection" and value.lower() == b"close":
            says_close = True
        elif name == b"cache-control":
            stored = True
        elif name == b"content-security-policy" or (
            name == b"content-type" and value.startswith(b"text/html")
        ):
            policy = True
    head = b"".join(lines)
    if head.count(b"\n") != len(lines) or head.count(b"\r") != len(lines):
        raise RuntimeError("a header of the response contains a line break")
    head += security_lines(stored=stored, policy=policy, secure=secure)
    return ResponseHead(head, length, says_close)


class PreparedHead:
    """The head of a response that differs only in its length: written once a second, as the server
    makes new headers of its own with each change of the date."""

    def __init__(self, status: int, headers: Iterable[Header]) -> None:
        self._status = status
        self._headers = tuple(headers)
        self._defaults: Sequence[Header] | None = None
        self._lines: dict[tuple[Sequence[Header], bool], bytes] = {}

    def bytes_for(
        self, length: int, *, defaults: Sequence[Header], cors: Sequence[Header], secure: bool
    ) -> bytes:
        """The whole head. ``defaults``: the server's headers, the same list until they change;
        ``cors``: one of few tuples of headers."""
        if defaults is not self._defaults:
            self._defaults = defaults
            self._lines.clear()
        lines = self._lines.get((cors, secure))
        if lines is None:
            headers = (*defaults, *cors, *self._headers)
            lines = response_head(self._status, headers, secure=secure).lines
            self._lines[cors, secure] = lines
        return b"%bcontent-length: %d\r\n\r\n" % (lines, length)
