"""Bytes of HTTP clients."""

from collections.abc import Iterable
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from event_gateway.api.http.exchange import Exchange
from event_gateway.api.http.head import Head
from event_gateway.api.http.refusal import Refusal
from event_gateway.api.http.request_reader import RequestReader
from fuzz.pieces import bytes_of, cut, cuts

_requests = bytes_of(
    [b"GET / HTTP/1.1\r\n", b"POST /v1/events HTTP/1.1\r\n", b"OPTIONS * HTTP/1.1\r\n",
     b"GET http://h:80/a?b=c HTTP/1.0\r\n", b"CONNECT h:1 HTTP/1.1\r\n", b"PRI * HTTP/2.0\r\n",
     b"Host: h\r\n", b"Host: h, g\r\n", b"Host:\r\n", b"Content-Length: 3\r\n",
     b"Content-Length: 03\r\n", b"Content-Length: 3, 3\r\n", b"Content-Length: -1\r\n",
     b"Content-Length: 9999999999999999999999\r\n", b"Transfer-Encoding: chunked\r\n",
     b"Transfer-Encoding: gzip, chunked\r\n", b"Transfer-Encoding : chunked\r\n",
     b"Expect: 100-continue\r\n", b"Connection: close\r\n", b"Connection: Upgrade\r\n",
     b"Upgrade: websocket\r\n", b"Upgrade: h2c\r\n", b"X: y\r\n", b" folded\r\n", b"\r\n", b"\n",
     b"\r\n\r\n", b"abc", b"3\r\nabc\r\n", b"0\r\n\r\n", b"0\r\nT: r\r\n\r\n", b"3;x=y\r\nabc\r\n",
     b"ffffffffffffffff\r\n", b"\0", b"%2e%2e", b"GET /%ff?\xff HTTP/1.1\r\nHost: h\r\n\r\n",
     b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
     b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"],
    12,
)  # fmt: skip


class _Body:
    """What the reader needs of an exchange."""

    def __init__(self, head: Head) -> None:
        self.head = head
        self.length = head.length
        self.received = 0
        self.body = b""
        self.ended = False

    def feed(self, data: bytes) -> int:
        """Stores a piece of the body."""
        self.received += len(data)
        self.body += data
        return 0

    def end_body(self) -> None:
        """The body is complete."""
        assert not self.ended
        assert self.length is None or self.length == self.received
        self.ended = True


class _Recorded:
    """Notes what the reader makes of a connection's bytes."""

    takes_requests = True

    def __init__(self) -> None:
        self.bodies: list[_Body] = []
        self.refused: Refusal | None = None
        self.upgraded: bytes | None = None
        self.reader = RequestReader(self)

    def begin_head(self) -> None:
        """A request begins."""

    def begin_exchange(self, head: Head) -> Exchange:
        """Notes the head."""
        self.bodies.append(_Body(head))
        return cast(Exchange, self.bodies[-1])

    def complete(self, exchange: Exchange) -> None:
        """The request is complete."""
        assert exchange is cast(Exchange, self.bodies[-1])

    def pause_reading(self) -> None:
        """Nothing is paused: all is parsed at once."""

    def refuse(self, refusal: Refusal) -> None:
        """Notes the refusal, after which nothing is read, as a connection does."""
        self.refused = self.refused or refusal
        self.reader.stop()

    def upgrade(self, head: Head, rest: bytes) -> bool:
        """Leaves HTTP for a WebSocket."""
        protocol = next((value for name, value in head.headers if name == b"upgrade"), b"")
        if protocol.lower() != b"websocket":
            return False
        self.upgraded = head.url
        self.reader.stop()
        return True


def _read(parts: Iterable[bytes]) -> _Recorded:
    recorded = _Recorded()
    for part in parts:
        recorded.reader.feed(part)
    return recorded


@given(_requests, cuts)
def any_request(data: bytes, at: list[int]) -> None:
    """The requests do not depend on where the network cuts the bytes, and each has a safe head."""
    whole, parts = _read([data]), _read(cut(data, at))
    assert [_summary(body) for body in whole.bodies] == [_summary(body) for body in parts.bodies]
    assert whole.upgraded == parts.upgraded
    assert (whole.refused is None) == (parts.refused is None)
    if whole.refused is not None and parts.refused is not None:
        assert _status(whole.refused) == _status(parts.refused)
    for body in whole.bodies:
        head = body.head
        names = [name for name, _ in head.headers]
        assert names.count(b"host") <= 1
        assert not {b"content-length", b"transfer-encoding"} <= set(names)
        for name, value in head.headers:
            assert name == name.lower()
            assert not {*name, *value} & {0, 10, 13}


@given(_requests, st.lists(st.binary(max_size=24), min_size=2, max_size=5))
def repeated_heads(head: bytes, contents: list[bytes]) -> None:
    """Requests with one head, but for its length, are the same each in a part of its own, where the
    head is recognized, and all in one, where each is parsed."""
    requests = [
        b"%bContent-Length: %d\r\n\r\n%b" % (head, len(content), content) for content in contents
    ]
    whole, parts = _read([b"".join(requests)]), _read(requests)
    assert [_summary(body) for body in whole.bodies] == [_summary(body) for body in parts.bodies]
    assert whole.upgraded == parts.upgraded
    assert (whole.refused is None) == (parts.refused is None)


def _status(refusal: Refusal) -> int:
    """The status. What is no HTTP the reader can name only if its first line came in one part."""
    assert 400 <= refusal.status < 600
    return 400 if refusal.status in (501, 505) else refusal.status


def _summary(body: _Body) -> tuple[object, ...]:
    head = body.head
    return head.method, head.url, head.path, head.headers, head.length, body.body, body.ended
