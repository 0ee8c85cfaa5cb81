"""One keep-alive HTTP/1.1 connection to a receiver (RFC 9112), for one request at a time."""

import asyncio
import math
import ssl
from collections.abc import Callable

import httptools
import msgspec

from event_gateway.core.webhook.error_type import AttemptErrorType
from event_gateway.transport.exchange import Failure, OutgoingExchange, Response
from event_gateway.transport.target import Origin

MAX_HEADER_BYTES = 64 * 1024
MAX_HEADERS = 256
KEPT_HEADERS = 64
MAX_REPEATED = 1024  # bytes of a response that is kept to be recognised when it comes again

Finished = Callable[["HttpConnection", OutgoingExchange, Response | Failure], None]


class HttpConnection(asyncio.Protocol):
    """Writes requests and parses responses. Calls ``finished`` when an exchange ends, and ``lost``
    when the connection closes while idle. ``reusable``: it can take another request."""

    _answered: bool  # a byte of the response has arrived
    _received: int  # bytes of it so far
    _framed: bool  # a header says how the body ends
    _body_waits: bool  # the time for the rest of the body runs

    def __init__(
        self,
        body_limit: int,
        finished: Finished,
        lost: Callable[["HttpConnection"], None],
        body_timeout: float = math.inf,
    ) -> None:
        """``body_timeout``: seconds from the head to the end of the body, after which the response
        is complete as it is."""
        self._body_limit = body_limit
        self._body_timeout = body_timeout
        # The body may come in chunks of one byte, each with its length and two line ends.
        self._max_received = 2 * MAX_HEADER_BYTES + 8 * body_limit
        self._finished = finished
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._feeding = False
        self._ended: tuple[OutgoingExchange, Response | Failure] | None = None  # while feeding
        self._parser = httptools.HttpResponseParser(self)
        # What RFC 9112 lets a client take: folded headers (5.2), line feeds alone (2.2),
        # Transfer-Encoding beside Content-Length (6.3), white space after a chunk's size (7.1).
        self._parser.set_dangerous_leniencies(
            lenient_headers=True,
            lenient_chunked_length=True,
            lenient_optional_cr_before_lf=True,
            lenient_spaces_after_chunk_size=True,
        )
        self.exchange: OutgoingExchange | None = None
        self.origin: Origin = ("", "", 0, "")
        self.reusable = True
        self.opened_at = self.idle_since = 0.0  # in the event loop's time
        self.generation = 0  # see OutgoingExchange.generation
        self.forget_response()
        self._reset()

    def send(self, exchange: OutgoingExchange) -> None:
        """Starts an exchange; the connection must be idle."""
        assert self._transport is not None
        self.exchange = exchange
        if self._answered:
            self._reset()
        self._transport.write(exchange.data)

    def forget_response(self) -> None:
        """Parses the next response, also where its bytes are those of the one before."""
        # The last response that came whole in one read, and its bytes: a receiver gives the same
        # answer again and again, but for its date, and to parse it costs more than all else of it.
        self._repeated = b""
        self._parsed: Response | None = None

    def abort(self) -> None:
        """Closes at once."""
        self.reusable = False
        if self._transport is not None:
            self._transport.abort()

    def expire(self) -> None:
        """Ends the exchange, whose deadline has passed: with the response if its head is complete,
        as a timeout otherwise."""
        if self._status:
            self._truncate()
        else:
            self._fail(AttemptErrorType.RESPONSE_TIMEOUT, "no complete response in time")

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        exchange = self.exchange
        if exchange is None:
            # Bytes without a request would be parsed as the response to the next request.
            self.abort()
            return
        is_first = not self._answered
        transport = self._transport
        assert transport is not None
        if is_first and data == self._repeated and not transport.get_write_buffer_size():
            parsed = self._parsed
            assert parsed is not None
            self.exchange = None
            self._finished(
                self, exchange, Response(parsed.status, parsed.headers, parsed.body, False)
            )
            return
        self._answered = True
        self._received += len(data)
        # The exchange ends once all of the data is parsed: `finished` may send the next request on
        # this connection, and what follows a response in the data would be taken for its response.
        self._feeding = True
        try:
            self._parse(data)
        finally:
            self._feeding = False
        if self._ended is not None:
            (exchange, result), self._ended = self._ended, None
            if is_first and self.reusable and len(data) <= MAX_REPEATED:
                self._remember(data, result)
            self._end(exchange, result)

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail(AttemptErrorType.PROTOCOL_ERROR, "the receiver switched protocols")
        except httptools.HttpParserError as error:
            if self.exchange is None:
                self.reusable = False  # garbage behind a complete response
            elif self._has_status():
                self._truncate()
            else:
                self._fail(AttemptErrorType.PROTOCOL_ERROR, f"not an HTTP/1.1 response: {error}")
        if self.exchange is not None and self._received > self._max_received:
            # The parser buffers a header until it is complete, and 1xx responses may never end.
            self._too_large()
        elif self.exchange is not None and self._status and not self._body_waits:
            self._body_waits = True
            self.exchange.end_body_within(self._body_timeout)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.reusable = False
        if self.exchange is None:
            self._lost(self)
            return
        if self._status and self._until_close and error is None:
            self._complete()
        elif self._status:
            self._truncate()
        elif isinstance(error, ssl.SSLError):  # TLS 1.3 refuses a client certificate this late
            self._fail(AttemptErrorType.TLS_ERROR, error.reason or str(error))
        elif self._answered:
            self._fail(
                AttemptErrorType.CONNECTION_RESET, "the connection ended within the response"
            )
        else:
            self._fail(AttemptErrorType.CONNECTION_RESET, str(error or "closed without a response"))

    # httptools' callbacks

    def on_message_begin(self) -> None:
        if self.exchange is None:
            self.reusable = False

    def on_status(self, reason: bytes) -> None:
        self._status_line = self._parser.get_status_code()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value)
        self._header_count += 1
        if self._header_bytes > MAX_HEADER_BYTES or self._header_count > MAX_HEADERS:
            self._too_large()
            return
        if self._status:  # a trailer: it says nothing of the response (RFC 9110, 6.5.1)
            return
        lowered = name.lower()
        if lowered in (b"content-length", b"transfer-encoding"):
            if self._framed:  # both: the connection must end after the response (RFC 9112, 6.3)
                self.reusable = False
            self._framed = True
        if len(self._headers) < KEPT_HEADERS:
            self._headers[lowered.decode("latin-1")] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 100:
            self._fail(
                AttemptErrorType.PROTOCOL_ERROR, f"the receiver answered with the status {status}"
            )
        elif status == 101:
            self._fail(AttemptErrorType.PROTOCOL_ERROR, "the receiver switched protocols")
        if status < 200:
            return
        self._status = status
        self._until_close = not self._framed and status not in (204, 304)

    def on_body(self, body: bytes) -> None:
        if self.exchange is None:
            return
        room = self._body_limit - self._body_bytes
        self._body.append(body[:room])
        self._body_bytes += len(body)
        if self._body_bytes > self._body_limit:
            self._truncate()

    def on_message_complete(self) -> None:
        if self.exchange is None:
            return
        if not self._status:  # 100 Continue and the like: the real response follows
            self._headers.clear()
            self._framed = False
            self._status_line = 0
            return
        if not self._parser.should_keep_alive():
            self.reusable = False
        self._complete()

    def _remember(self, data: bytes, result: Response | Failure) -> None:
        """Keeps a response that came whole. The parser is where it was before it, so the same bytes
        are the same response."""
        if isinstance(result, Response):
            self._repeated, self._parsed = data, msgspec.structs.replace(result)

    def _reset(self) -> None:
        self._answered = False
        self._received = 0
        self._status = self._status_line = 0
        self._headers: dict[str, str] = {}
        self._header_bytes = 0
        self._header_count = 0
        self._framed = False
        self._until_close = False
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._truncated = False
        self._body_waits = False

    @property
    def answered(self) -> bool:
        """Whether a byte of the response has arrived."""
        return self._answered

    @property
    def certificate_ends_at(self) -> float | None:
        """When the receiver's certificate ends, in seconds since the epoch; None without TLS."""
        assert self._transport is not None
        certificate = self._transport.get_extra_info("peercert")
        return ssl.cert_time_to_seconds(certificate["notAfter"]) if certificate else None

    def _truncate(self) -> None:
        """Completes the exchange with what has arrived: the status is known, and the rest of the
        response is damaged, missing, or could be endless."""
        self._truncated = True
        self.reusable = False
        self._complete()

    def _has_status(self) -> bool:
        """Whether the final status was read. It counts also if the head ends damaged; which of the
        headers before the damage were read depends on where the network cut the bytes, so that
        none of them counts, nor does a status without a reason phrase, of which the parser tells
        only with what follows."""
        if not self._status and self._status_line >= 200:
            self._status = self._status_line
            self._headers.clear()
        return bool(self._status)

    def _too_large(self) -> None:
        """Ends the exchange, whose response is over a bound: with its status if that was read."""
        if self._has_status():
            self._truncate()
        else:
            self._fail(AttemptErrorType.RESPONSE_TOO_LARGE, "the response's headers are too large")

    def _complete(self) -> None:
        transport = self._transport
        if transport is not None and transport.get_write_buffer_size():
            self.reusable = False  # the receiver answered before it had read the whole request
        self._finish(Response(self._status, self._headers, b"".join(self._body), self._truncated))

    def _fail(self, error_type: AttemptErrorType, message: str) -> None:
        self.reusable = False
        self._finish(Failure(error_type.value, message))

    def _finish(self, result: Response | Failure) -> None:
        exchange, self.exchange = self.exchange, None
        if exchange is None:
            return
        if self._feeding:
            self._ended = exchange, result
        else:
            self._end(exchange, result)

    def _end(self, exchange: OutgoingExchange, result: Response | Failure) -> None:
        if not self.reusable:
            self.abort()
        self._finished(self, exchange, result)
