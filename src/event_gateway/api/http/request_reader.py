"""Reads the requests of a connection, within the limits of what a request may take.

httptools parses. Its calls are the methods with names ``on_…``.
"""

from typing import NoReturn, Protocol

import httptools

from event_gateway.api.http import limits
from event_gateway.api.http.exchange import Exchange
from event_gateway.api.http.head import Head, head_bytes, read_head
from event_gateway.api.http.limits import MAX_HEAD, MAX_HEADERS, MAX_URL
from event_gateway.api.http.refusal import Header, Refusal, RequestRefused, refusal_of
from event_gateway.api.http.repeated_head import RepeatedHead


class ReaderOwner(Protocol):
    """The connection, as far as a reader needs it."""

    @property
    def takes_requests(self) -> bool:
        """Whether another request may be parsed now."""

    def begin_head(self) -> None:
        """The first byte of a request has come."""

    def begin_exchange(self, head: Head) -> Exchange:
        """The head is complete."""

    def complete(self, exchange: Exchange) -> None:
        """The request is complete."""

    def pause_reading(self) -> None:
        """Enough has come for now."""

    def refuse(self, refusal: Refusal) -> None:
        """The request that is being read is refused, and nothing is read after it."""

    def upgrade(self, head: Head, rest: bytes) -> bool:
        """The request asks for another protocol; ``rest`` is what came after its head. False if
        the connection stays with HTTP."""


class RequestReader:
    """``in_head``: a request has begun, its head is not complete; ``exchange``: that whose body is
    not complete; ``unparsed``: what came while no more requests were taken."""

    __slots__ = (
        "_begun", "_chunks", "_framing", "_fresh", "_head", "_head_size", "_headers", "_last",
        "_owner", "_parser", "_refusal", "_repeated", "_stopped", "_url", "exchange", "in_head",
        "unparsed",
    )  # fmt: skip

    def __init__(self, owner: ReaderOwner) -> None:
        self._owner = owner
        self._parser = httptools.HttpRequestParser(self)
        self._repeated = RepeatedHead()
        self._head: Head | None = None  # that was parsed last
        self.unparsed = b""
        self.in_head = False
        self.exchange: Exchange | None = None
        self._url = b""
        self._headers: list[Header] = []
        self._fresh = False  # a head or a body begins in the piece that is being parsed
        self._head_size = 0  # bytes of the head, apart from the piece in which it begins
        self._framing = 0  # bytes of trailers and chunk extensions
        self._chunks = self._begun = 0  # chunks and requests that begin in this piece
        self._refusal: Refusal | None = None  # why a callback raised
        self._stopped = False
        self._last = False  # the connection closes after this request, what follows is ignored

    def feed(self, data: bytes) -> None:
        """Takes what the client sent."""
        if self._stopped:
            return
        if len(data) > limits.PIECE or self.unparsed:
            self.unparsed += data
            self.go_on()
        elif self.in_head or self.exchange is not None or self._last:
            self._parse(data)
        elif (request := self._repeated.read(data)) is not None:
            self._take(*request)
        else:
            self._head = None
            self._parse(data)
            if self._begun == 1 and self._head is not None and self.exchange is None:
                self._repeated.learn(data, self._head)

    def _take(self, head: Head, body: bytes) -> None:
        """Takes a whole request, which the parser need not see."""
        exchange = self._owner.begin_exchange(head)
        exchange.feed(body)
        exchange.end_body()
        self._owner.complete(exchange)

    def go_on(self) -> None:
        """Parses what is unparsed, while requests are taken."""
        view, at = memoryview(self.unparsed), 0
        self.unparsed = b""
        while at < len(view) and not self._stopped and self._owner.takes_requests:
            self._parse(view[at : at + limits.PIECE])
            at += limits.PIECE
        if at < len(view) and not self._stopped:
            self.unparsed = bytes(view[at:])
            self._owner.pause_reading()

    @property
    def head_so_far(self) -> list[Header]:
        """The headers that have arrived of a head that is not complete."""
        return self._headers if self.in_head else []

    def stop(self) -> None:
        """Reads no more, and forgets what has been read."""
        self._stopped = True
        self.unparsed, self.in_head, self.exchange = b"", False, None

    def close(self) -> None:
        """Lets go of the parser and the connection, which refer to the reader."""
        self.stop()
        del self._parser, self._owner

    def _parse(self, piece: bytes | memoryview) -> None:
        exchange = self.exchange
        received = 0 if exchange is None else exchange.received
        at_start = not self.in_head and exchange is None
        self._chunks = self._begun = 0
        try:
            self._parser.feed_data(piece)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgrade(bytes(piece[upgrade.args[0] :]))
            return
        except httptools.HttpParserError as error:
            if not self._last:
                begins = bytes(piece[:64]) if at_start and self._begun == 1 else b""
                self._owner.refuse(self._refusal or refusal_of(error, begins))
            return
        if self._fresh:
            self._fresh = False
        elif self.in_head:
            self._head_size += len(piece)
        elif exchange is not None and exchange.length is None and exchange is self.exchange:
            framing = len(piece) - (exchange.received - received)
            self._framing = max(0, self._framing + framing - self._chunks * limits.CHUNK_FRAMING)
            if self._framing > limits.MAX_FRAMING:
                detail = f"trailers and chunk extensions are over {limits.MAX_FRAMING} bytes"
                self._owner.refuse(Refusal(431, detail))
        if self.in_head and (self._head_size > MAX_HEAD or len(self._headers) > MAX_HEADERS):
            self._owner.refuse(_too_large())

    def _upgrade(self, rest: bytes) -> None:
        """The request has ``Connection: Upgrade``, or its method is CONNECT."""
        method, version = self._parser.get_method(), self._parser.get_http_version()
        try:
            head = read_head(method, version, self._url, self._headers, keep_alive=True)
        except RequestRefused as error:
            self._owner.refuse(error.refusal)
            return
        if self._owner.upgrade(head, rest):
            return
        # RFC 9110, 7.8: the gateway ignores the header. The parser has left out the body, as if
        # another protocol followed, so the request is parsed again without it.
        self._parser = httptools.HttpRequestParser(self)
        self.in_head = False
        self._parse(head_bytes(head, without=b"upgrade"))
        if rest and not self._stopped:  # its body, also if the request waits for its turn
            self._parse(rest)

    def on_message_begin(self) -> None:
        """A request begins."""
        self._url, self._headers = b"", []
        self.in_head = self._fresh = True
        self._head_size = 0
        self._begun += 1
        self._owner.begin_head()

    def on_url(self, url: bytes) -> None:
        """A part of the request target."""
        self._url += url
        if len(self._url) > MAX_URL:
            self._raise(Refusal(414, f"the URL is over the limit of {MAX_URL} bytes"))

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; trailers count for nothing."""
        if self.in_head:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The head is complete."""
        parser = self._parser
        if parser.should_upgrade():
            return  # the parser raises HttpParserUpgrade next
        if len(self._headers) > MAX_HEADERS:
            self._raise(_too_large())
        try:
            head = read_head(
                parser.get_method(), parser.get_http_version(), self._url, self._headers,
                parser.should_keep_alive(),
            )  # fmt: skip
        except RequestRefused as error:
            self._raise(error.refusal)
        self.in_head = False
        self._fresh = True
        self._framing = 0
        self._last = not head.keep_alive
        self._head = head
        self.exchange = self._owner.begin_exchange(head)

    def on_chunk_header(self) -> None:
        """A chunk begins."""
        self._chunks += 1

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        exchange = self.exchange
        if exchange is not None and exchange.feed(body) > limits.MAX_BUFFERED:
            self._owner.pause_reading()

    def on_message_complete(self) -> None:
        """The request is complete."""
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.end_body()
            self._owner.complete(exchange)

    def _raise(self, refusal: Refusal) -> NoReturn:
        self._refusal = refusal
        raise RequestRefused(refusal)


def _too_large() -> Refusal:
    detail = (
        f"request line and headers are over the limit of {MAX_HEAD} bytes or {MAX_HEADERS} headers"
    )
    return Refusal(431, detail)
