"""One request and its response, as the ASGI application sees them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any, Protocol

import structlog

from event_gateway.api.http.head import Head
from event_gateway.api.http.refusal import Header, Refusal
from event_gateway.api.http.response_head import PreparedHead, response_head
from event_gateway.api.http.wire import Wire
from event_gateway.api.server.problem_types import SHUTTING_DOWN

log = structlog.get_logger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]

# Bytes of a body that may still come after its response; with more, the connection is closed.
MAX_DROPPED = 64 * 1024

# The ASGI extension of each request: a call makes its connection a live one.
LIVE = "event_gateway.live"
# The key of the ASGI scope under which a route finds whether the request's method is HEAD.
HEAD_ONLY = "event_gateway.head_only"
# The key of the ASGI scope for headers of the answer that are not the route's.
ANSWER_HEADERS = "event_gateway.answer_headers"
# The key of the ASGI message http.disconnect for the reason, where the gateway ended the response.
DISCONNECT_REASON = "event_gateway.reason"

_STOPPING = Refusal(503, "the gateway is shutting down", kind=SHUTTING_DOWN)
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_UNKNOWN_LENGTH = -1
_ASGI = {"version": "3.0", "spec_version": "2.3"}


class ExchangeOwner(Protocol):
    """The connection, as far as an exchange needs it."""

    default_headers: list[Header]

    def wants_body(self) -> None:
        """The application waits for more of the body."""

    def finished(self, exchange: "Exchange") -> None:
        """The response is complete."""

    def failed(self, exchange: "Exchange", refusal: Refusal) -> None:
        """There will be no response, or no more of it."""

    def start(self, exchange: "Exchange") -> None:
        """Lets the application of the exchange answer."""


class Exchange:
    """``head``: of the request; ``application``: what answers; ``cors``: headers of every answer;
    ``received``: bytes of the body that have arrived; ``complete``: the whole body has;
    ``keep_alive``: the connection stays open for another request; ``started``: bytes of the
    response were written; ``ended``: all of it; ``disconnected``: the client does not read it any
    more."""

    __slots__ = (
        "_announced", "_body_allowed", "_buffered", "_chunked", "_connection", "_expects_continue",
        "_head", "_head_only", "_left", "_loop", "_news", "_of_connection", "_parts", "_reason",
        "_scope", "_waiter", "_wire", "application", "complete", "cors", "disconnected", "ended",
        "head", "keep_alive", "length", "received", "started",
    )  # fmt: skip

    def __init__(
        self,
        connection: ExchangeOwner,
        wire: Wire,
        loop: asyncio.AbstractEventLoop,
        head: Head,
        *,
        scope: Mapping[str, Any],
        application: Application,
        cors: Sequence[Header],
    ) -> None:
        """``scope``: what the ASGI scope says of the connection."""
        self._connection = connection
        self._wire = wire
        self._loop = loop
        self.application = application
        self.cors = cors
        # The response to HEAD is that to GET without its body (RFC 9110, 9.3.2).
        self._head_only = head.method == b"HEAD"
        self.head = head
        self._of_connection = scope
        self._scope: dict[str, Any] | None = None
        self.length = head.length
        self._expects_continue = head.expects_continue
        self.keep_alive = head.keep_alive
        self.received = 0
        self.complete = self.started = self.ended = self.disconnected = False
        self._parts: list[bytes] = []
        self._buffered = 0
        self._reason = ""  # why the gateway has ended the response, if it has
        self._news = False  # something came since the application last received
        self._waiter: asyncio.Future[None] | None = None
        self._announced = False  # the application has given the head of the response
        self._head = b""  # of the response, not yet written
        self._chunked = False
        self._body_allowed = True
        self._left = _UNKNOWN_LENGTH  # bytes of the response that its length still promises

    @property
    def scope(self) -> dict[str, Any]:
        """The ASGI scope."""
        if self._scope is None:
            head = self.head
            self._scope = {
                "type": "http",
                "asgi": _ASGI,
                "http_version": head.version,
                "method": "GET" if self._head_only else head.method.decode("ascii"),
                "root_path": "",
                "path": head.path,
                "raw_path": head.raw_path,
                "query_string": head.query,
                "headers": head.headers,
                "state": {},
                HEAD_ONLY: self._head_only,
                **self._of_connection,
            }
        return self._scope

    @property
    def body(self) -> bytes:
        """What has arrived of the body. The application still receives it."""
        if len(self._parts) > 1:
            self._parts = [b"".join(self._parts)]
        return self._parts[0] if self._parts else b""

    def feed(self, data: bytes) -> int:
        """Takes a piece of the body; returns how many bytes wait for the application."""
        self.received += len(data)
        if self.ended:
            return 0
        self._parts.append(data)
        self._buffered += len(data)
        self._wake()
        return self._buffered

    def end_body(self) -> None:
        """The body is complete."""
        self.complete = True
        self._wake()

    def disconnect(self, reason: str = "") -> None:
        """The client does not read the response any more. ``reason``: why the gateway ends it, if
        it does."""
        self.disconnected = True
        self._reason = self._reason or reason
        self._wake()

    def _wake(self) -> None:
        self._news = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def run(self) -> None:
        """Lets the application answer."""
        try:
            await self.application(self.scope, self.receive, self.send)
        except asyncio.CancelledError:
            self.end()
        except Exception as error:
            # The application logs what it answers with 500 itself.
            if not self.ended and not self.disconnected:
                log.error("request failed", path=self.scope["path"], fault=error)
            self._fail()
        else:
            if not self.ended and not self.disconnected:
                log.error("a route gave no complete response", path=self.scope["path"])
                self._fail()

    def _fail(self) -> None:
        detail = "internal error; the gateway's log has the details"
        self._connection.failed(self, Refusal(500, detail))

    async def receive(self) -> Message:
        """What has arrived of the body, or that the client is gone (ASGI)."""
        if self._expects_continue and not self.disconnected:
            self._expects_continue = False
            if not self.received:
                self._wire.write(_CONTINUE)
        while not (self._news or self.ended or self.disconnected):
            self._connection.wants_body()
            self._waiter = self._loop.create_future()
            await self._waiter
        if self.ended or self.disconnected:
            return {"type": "http.disconnect", DISCONNECT_REASON: self._reason}
        self._news = False
        parts, self._parts = self._parts, []
        self._buffered = 0
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        return {"type": "http.request", "body": body, "more_body": not self.complete}

    async def send(self, message: Message) -> None:
        """Writes the head of the response, or a piece of its body (ASGI)."""
        if self._wire.writing_paused and not self.disconnected:
            await self._wire.writable()
        if self.disconnected or (self.ended and self._head_only):
            return
        kind = message["type"]
        if not self._announced and kind == "http.response.start":
            self._start(message["status"], message.get("headers", ()))
        elif self._announced and not self.ended and kind == "http.response.body":
            self._body(message.get("body", b""), message.get("more_body", False))
        else:
            raise RuntimeError(f"{kind} does not fit the state of the response")

    def _start(self, status: int, headers: Any) -> None:
        more = self.scope.get(ANSWER_HEADERS, ())
        given = response_head(
            status, (*self._connection.default_headers, *self.cors, *more, *headers),
            secure=self._secure,
        )  # fmt: skip
        head = given.lines
        if given.says_close:
            self.keep_alive = False
        if given.length is not None:
            self._left = given.length
        self._body_allowed = not self._head_only and status not in (204, 304)
        if self._body_allowed and self._left == _UNKNOWN_LENGTH:
            if self.head.version == "1.0":
                self.keep_alive = False  # the end of the connection ends the body
            else:
                self._chunked = True
                head += b"transfer-encoding: chunked\r\n"
        if not self.complete and not self._rest_is_small():
            self.keep_alive = False
        if not self.keep_alive and not given.says_close:
            head += b"connection: close\r\n"
        head += b"\r\n"
        self._announced = True
        self._expects_continue = False
        if self._body_allowed and self._left == _UNKNOWN_LENGTH:
            self._write(head)
        else:
            self._head = head  # goes out together with the body
        if self._head_only:
            self._body(b"", more=False)

    @property
    def _secure(self) -> bool:
        return bool(self._of_connection["scheme"] == "https")

    def answers_at_once(self) -> bool:
        """Whether a whole response may be written now, without waiting for anything: all of the
        request has come, the client reads, and the connection stays open after it."""
        return self.complete and self.keep_alive and not self._wire.writing_paused

    def answer(self, head: PreparedHead, body: bytes) -> None:
        """Writes a whole response. Only while :meth:`answers_at_once`."""
        defaults = self._connection.default_headers
        first = head.bytes_for(len(body), defaults=defaults, cors=self.cors, secure=self._secure)
        self._announced = self.ended = True
        self._write(first + body)
        self._connection.finished(self)

    def answer_by(self, application: Application) -> None:
        """Lets this application answer, in place of the one that the exchange has."""
        self.application = application
        self._connection.start(self)

    def end(self) -> None:
        """The gateway ends before there is a response."""
        self._connection.failed(self, _STOPPING)

    def _write(self, data: bytes) -> None:
        self.started = True
        self._wire.write(data)

    def _rest_is_small(self) -> bool:
        """Whether the rest of the request's body comes for certain, and is soon read."""
        if self.length is None or self._expects_continue:
            return False
        return self.length - self.received <= MAX_DROPPED

    def _body(self, body: bytes, more: bool) -> None:
        if not self._body_allowed:
            body = b""
        elif self._chunked:
            if body:
                body = b"%x\r\n%b\r\n" % (len(body), body)
            if not more:
                body += b"0\r\n\r\n"
        elif self._left != _UNKNOWN_LENGTH:
            self._left -= len(body)
            if self._left < 0 or (self._left and not more):
                raise RuntimeError("the response does not have the length that it says")
        if self._head:
            body, self._head = self._head + body, b""
        if body:
            self._write(body)
        if not more:
            self.ended = True
            self._wake()
            self._connection.finished(self)
