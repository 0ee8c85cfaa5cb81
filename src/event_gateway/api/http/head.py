"""Checks the head of a request by RFC 9110 and RFC 9112."""

import functools
import re
import urllib.parse
from dataclasses import dataclass
from typing import Any

import httptools

from event_gateway.api.http.refusal import Header, RequestRefused, refused

# RFC 9110, 7.2. A comma joins two hosts, which RFC 9112, 3.2 forbids; an empty host names nobody.
_HOST = re.compile(
    rb"(?:\[[0-9A-Fa-f:.]+\]|(?:[A-Za-z0-9._~!$&'()*+;=-]|%[0-9A-Fa-f]{2})+)(?::[0-9]{0,5})?"
)
MAX_REMEMBERED = 256  # bytes of a URL that is not parsed again
_CHECKED = frozenset((b"host", b"content-length", b"transfer-encoding", b"expect"))


@dataclass(slots=True)
class Head:
    """``length``: bytes of the body, None for a chunked one; ``expects_continue``: the client waits
    for ``100 Continue`` before it sends the body."""

    method: bytes
    version: str
    url: bytes
    headers: list[Header]
    keep_alive: bool
    length: int | None = 0
    expects_continue: bool = False
    path: str = "/"
    raw_path: bytes = b"/"
    query: bytes = b""


def read_head(
    method: bytes, version: str, url: bytes, headers: list[Header], keep_alive: bool
) -> Head:
    """The head, checked. Names of headers are in lower case. Raises RequestRefused."""
    if version == "1.0":
        keep_alive = False
    elif version != "1.1":
        raise refused(505, "the gateway speaks HTTP/1.1 and HTTP/1.0")
    head = Head(method, version, url, headers, keep_alive)
    hosts = 0
    for name, value in headers:
        if name not in _CHECKED:
            continue
        if name == b"host":
            hosts += 1
            if _HOST.fullmatch(value) is None:
                raise refused(400, "the Host header is not a host with an optional port")
        elif name == b"content-length":
            head.length = int(value)  # the parser takes digits alone, and one such header
        elif name == b"transfer-encoding":
            _check_transfer_encoding(head, value)
        elif version == "1.1":  # HTTP/1.0 has no Expect: it is ignored
            if value.lower() != b"100-continue":
                raise refused(417, "the only expectation that the gateway meets is 100-continue")
            head.expects_continue = True
    if hosts > 1:
        raise refused(400, "the request has more than one Host header")
    if not hosts and version == "1.1":
        raise refused(400, "the request has no Host header")
    if method == b"CONNECT":
        raise refused(501, "the gateway is no proxy")
    _read_target(head)
    return head


def head_bytes(head: Head, *, without: bytes = b"") -> bytes:
    """The head as a request begins with it. ``without``: a header that is left out."""
    lines = [b"%b %b HTTP/%b" % (head.method, head.url, head.version.encode())]
    lines += [b"%b: %b" % header for header in head.headers if header[0] != without]
    return b"\r\n".join((*lines, b"", b""))


def _check_transfer_encoding(head: Head, value: bytes) -> None:
    if head.version == "1.0":
        raise refused(400, "HTTP/1.0 has no Transfer-Encoding")
    if head.length is None or value.strip().lower() != b"chunked":
        raise refused(501, "the only transfer coding that the gateway takes is chunked, once")
    head.length = None


def _read_target(head: Head) -> None:
    """Reads the request target (RFC 9112, 3.2)."""
    parse = _parsed if len(head.url) <= MAX_REMEMBERED else httptools.parse_url
    try:
        target = parse(head.url)
    except httptools.HttpParserInvalidURLError:
        raise _bad_target() from None
    if target.path is not None:
        head.raw_path = target.path
        head.path = target.path.decode("ascii")  # the parser takes nothing else
        if "%" in head.path:
            head.path = urllib.parse.unquote(head.path)
    if target.query is not None:
        head.query = target.query
    if head.raw_path[0] != b"/"[0] and (head.method != b"OPTIONS" or head.url != b"*"):
        raise _bad_target()
    if target.schema is not None and target.schema.lower() not in (b"http", b"https"):
        raise _bad_target()
    if target.fragment is not None:
        raise refused(400, "the request target has a fragment")


@functools.lru_cache(maxsize=1024)
def _parsed(url: bytes) -> Any:
    return httptools.parse_url(url)


def _bad_target() -> RequestRefused:
    return refused(400, "the request target is not a path or an http URL")
