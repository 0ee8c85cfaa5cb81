"""Bytes of receivers: their responses to webhooks."""

from collections.abc import Iterable

from hypothesis import example, given
from hypothesis import strategies as st

from event_gateway.transport.connection import HttpConnection
from event_gateway.transport.exchange import Failure, OutgoingExchange, Response
from event_gateway.transport.target import parse_target
from fuzz.pieces import bytes_of, complete, cut, cuts
from support.recording_transport import RecordingTransport

BODY_LIMIT = 16
_responses = bytes_of(
    [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 204 No Content\r\n", b"HTTP/1.0 500 \r\n",
     b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 101 X\r\n", b"HTTP/1.1 410\r\n",
     b"HTTP/2 200\r\n",
     b"HTTP/1.1 999 X\r\n", b"HTTP/1.1 2000 X\r\n", b"ICY 200 OK\r\n", b"Content-Length: 3\r\n",
     b"Content-Length: 99\r\n", b"Content-Length: x\r\n", b"Content-Length: 3\r\n",
     b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: identity\r\n",
     b"Connection: close\r\n", b"Connection: Upgrade\r\nUpgrade: x\r\n", b"X: y\r\n",
     b" folded\r\n", b"Retry-After: 1\r\n", b"\r\n", b"\n", b"\r\n\r\n", b"abc", b"3\r\nabc\r\n",
     b"0\r\n\r\n", b"0\r\nT: r\r\n\r\n", b"3 \r\nabc\r\n", b"fffffffffffffffff\r\n", b"\0",
     b"x" * 20,
     b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"],
    10,
)  # fmt: skip
Result = Response | Failure


async def _read(parts: Iterable[bytes], *, end: bool) -> tuple[list[Result], HttpConnection]:
    """The results of one exchange whose response comes in parts, after which the receiver closes
    the connection (``end``) or the time is over."""
    results: list[Result] = []

    def finished(_connection: HttpConnection, _exchange: OutgoingExchange, result: Result) -> None:
        results.append(result)

    connection = HttpConnection(BODY_LIMIT, finished, lambda _connection: None)
    transport = RecordingTransport()
    connection.connection_made(transport)
    target = parse_target("http://receiver.example/")
    connection.send(OutgoingExchange(target, b"POST / HTTP/1.1\r\n\r\n", 1.0, results.append))
    for part in parts:
        if connection.exchange is None:
            break
        connection.data_received(part)
    if connection.exchange is not None:
        if end:
            connection.connection_lost(None)
        else:
            connection.expire()
    return results, connection


@given(_responses, cuts, st.booleans())
@example(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nHTTP/1.1 200 OK\r\n", [37], False)
@example(b"HTTP/1.1 410\r\nRetry-After: 1\r\nHTTP/1.1 200 OK\r\n", [31], False)
def any_response(data: bytes, at: list[int], end: bool) -> None:
    """An exchange ends once, with the same result wherever the network cuts the bytes, and within
    the bounds."""

    async def both() -> None:
        whole, connection = await _read([data] if data else [], end=end)
        parts, _ = await _read(cut(data, at), end=end)
        assert len(whole) == len(parts) == 1
        first, second = whole[0], parts[0]
        if isinstance(first, Response):
            assert isinstance(second, Response)
            assert first.status == second.status
            assert first.status >= 200
            assert len(first.body) <= BODY_LIMIT
            assert first.body == second.body
            assert first.headers == second.headers
        else:
            assert isinstance(second, Failure)
            assert first.error_type == second.error_type
        assert connection.exchange is None

    complete(both())


@given(_responses, _responses)
@example(b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc")
@example(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc\r\n", b"HTTP/1.1 410\r\n\r\n")
def repeated_response(data: bytes, other: bytes) -> None:
    """A response that comes again on its connection, and the one behind it, are what they are if
    each is parsed."""

    async def both() -> None:
        remembered, parsed = _exchanges(data, other), _exchanges(data, other, parse_all=True)
        assert [str(result) for result in remembered] == [str(result) for result in parsed]

    complete(both())


def _exchanges(data: bytes, other: bytes, *, parse_all: bool = False) -> list[Result]:
    """The results of exchanges on one connection, as long as it takes more: three with the same
    response, and one with another. ``parse_all``: it remembers no response."""
    results: list[Result] = []
    connection = HttpConnection(
        BODY_LIMIT, lambda _connection, _exchange, result: results.append(result), lambda _: None
    )
    connection.connection_made(RecordingTransport())
    target = parse_target("http://receiver.example/")
    for response in (data, data, data, other):
        if not connection.reusable or not response:
            break
        connection.send(OutgoingExchange(target, b"POST / HTTP/1.1\r\n\r\n", 1.0, results.append))
        connection.data_received(response)
        if connection.exchange is not None:
            connection.expire()
        if parse_all:
            connection.forget_response()
    return results
