"""One HTTP connection of the API (RFC 9112). httptools parses; uvicorn accepts and shuts down."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import uvicorn
from uvicorn.server import ServerState

from event_gateway.api.http import limits
from event_gateway.api.http.cors import Cors
from event_gateway.api.http.exchange import LIVE, Application, Exchange
from event_gateway.api.http.head import Head, head_bytes
from event_gateway.api.http.open_connections import OpenConnections
from event_gateway.api.http.peer import PEER, Peer
from event_gateway.api.http.refusal import Header, Refusal
from event_gateway.api.http.request_reader import RequestReader
from event_gateway.api.http.tls_connection import TlsConnection
from event_gateway.api.http.wire import NEVER, Wire

# Begins to answer a request that has arrived as a whole, without a task and ASGI. Returns what it
# waits for, or None if the application is to answer.
Shortcut = Callable[[Exchange], "asyncio.Future[Any] | None"]


class Connection(asyncio.Protocol):
    """Requests in their order: each is read, answered by the application, and followed by the next.

    ``wire`` is the transport, ``peer`` its other end; ``idle_since``: on the loop's clock, since
    when nothing is under way.
    """

    __slots__ = (
        "_application", "_config", "_connections", "_cors", "_current", "_loop", "_pending",
        "_pipeline", "_reader", "_scope", "_shortcut", "_state", "_unstarted", "default_headers",
        "idle_since", "peer", "wire",
    )  # fmt: skip

    def __init__(
        self,
        connections: OpenConnections,
        cors: Cors,
        config: uvicorn.Config,
        state: ServerState,
        *,
        shortcut: Shortcut | None = None,
    ) -> None:
        self._connections = connections
        self._cors = cors
        self._config = config
        self._application = cast(Application, config.loaded_app)
        self._state = state
        self._loop = asyncio.get_running_loop()
        self._reader = RequestReader(self)
        self._shortcut = shortcut
        self._current: Exchange | None = None  # that the application answers
        self._unstarted = False  # it is to begin once the piece that has come is parsed
        self._pipeline: deque[Exchange] = deque()  # further ones
        self._pending: Refusal | None = None  # the answer to what came after them
        self.default_headers: list[Header] = state.default_headers

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection was accepted."""
        self.wire = wire = Wire(cast(asyncio.Transport, transport), self._loop)
        secure = isinstance(transport, TlsConnection)
        proxies = self._connections.limits.proxies
        self.peer = peer = Peer.of(transport, proxies, secure=secure)
        own = transport.get_extra_info("sockname")
        self._scope = {
            "server": (str(own[0]), int(own[1])) if isinstance(own, tuple) else None,
            "client": (peer.address, peer.port),
            "scheme": peer.scheme,
            "extensions": {LIVE: self.become_live},
            PEER: peer,
        }
        self.idle_since = now = self._loop.time()
        refusal = self._connections.add(self, peer.address, now)
        if refusal is None:
            self._state.connections.add(self)  # type: ignore[arg-type]
            wire.read_deadline = now + limits.HEAD_TIMEOUT
            return
        wire.write(refusal.response(self.default_headers))
        if self._connections.turn_away(self):
            wire.linger(limits.TURNED_AWAY_LINGER)
        else:
            wire.close()

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is closed."""
        self._state.connections.discard(self)
        self._connections.remove(self)
        self.wire.over = True
        self.wire.read_deadline = NEVER
        for exchange in (self._current, *self._pipeline):
            if exchange is not None:
                exchange.disconnect()
        self._pipeline.clear()
        self._current = None
        self.wire.resume_writing()
        self._reader.close()
        self._scope = {}

    def eof_received(self) -> bool:
        """The client sends no more. It may still read: then True."""
        self.wire.client_done = True
        if self.wire.over or self.wire.live:
            return False
        reading = self._reader.exchange
        if self._reader.in_head or (reading is not None and not reading.ended):
            self.refuse(Refusal(400, "the request ended early"))
            return True
        return self._current is not None

    def data_received(self, data: bytes) -> None:
        """The client sent something."""
        if self.wire.over:
            self.wire.drop(len(data))
        else:
            self._reader.feed(data)
            if self._unstarted:
                self._begin()

    def pause_writing(self) -> None:
        """The transport's buffer is full."""
        self.wire.pause_writing()

    def resume_writing(self) -> None:
        """The transport's buffer has room."""
        self.wire.resume_writing()

    # -- what uvicorn's server calls

    def shutdown(self) -> None:
        """The server shuts down: the exchange that goes on is the last one."""
        if self._current is None:
            self.wire.close()
        else:
            self._current.keep_alive = False

    # -- what the reader calls

    @property
    def takes_requests(self) -> bool:
        """Whether more may be parsed now: not while a request waits for its turn."""
        return not (self._pipeline or self.wire.over or self._pending)

    def begin_head(self) -> None:
        """The first byte of a request has come."""
        if self._current is None:
            self.wire.read_deadline = self._loop.time() + limits.HEAD_TIMEOUT

    def begin_exchange(self, head: Head) -> Exchange:
        """The head is complete: the request is answered now, or after those before it."""
        application: Application
        if head.path == "*":
            application = _answer_options
        elif self._cors.is_preflight(head):
            application = self._cors.preflight(head)
        else:
            application = self._application
        exchange = Exchange(
            self, self.wire, self._loop, head, scope=self._scope, application=application,
            cors=self._cors.headers(head.headers),
        )  # fmt: skip
        if self._current is None:
            self._start(exchange, complete=False)
        else:
            self._pipeline.append(exchange)
            self.wire.pause_reading()
        return exchange

    def pause_reading(self) -> None:
        """Enough has come for now."""
        self.wire.pause_reading()

    def complete(self, exchange: Exchange) -> None:
        """The request is complete."""
        if exchange.ended:
            self._await_request()
        elif exchange is self._current:
            self.wire.read_deadline = NEVER

    def refuse(self, refusal: Refusal) -> None:
        """Answers what is being read with an error, after the responses to what came before."""
        self._connections.metrics.request_refused(refusal.status)
        reading = self._reader.exchange
        if reading is None:  # else it is the exchange that has the headers
            refusal = refusal.with_headers(self._cors.headers(self._reader.head_so_far))
        self._reader.stop()
        if reading is not None and reading.ended:
            self._end(unread=True)
        elif reading is not None and reading is self._current:
            self.failed(reading, refusal)
        else:
            if reading is not None:
                self._pipeline.remove(reading)
                refusal = refusal.with_headers(reading.cors)
            if self._current is None:
                self._answer(refusal)
            else:
                self._pending = refusal
                self.wire.pause_reading()

    def upgrade(self, head: Head, rest: bytes) -> bool:
        """The request asks for another protocol; ``rest`` is what came after its head. False if
        the connection stays with HTTP."""
        protocol = next((value for name, value in head.headers if name == b"upgrade"), b"")
        make = cast(Callable[..., Any] | None, self._config.ws_protocol_class)
        if protocol.lower() != b"websocket" or self._current is not None or make is None:
            return False
        refusal = self._cors.refuses_socket(head) or self._connections.become_live(
            self, self._loop.time()
        )
        if refusal is not None:
            self.refuse(refusal)
            return True
        self._state.connections.discard(self)
        websocket = make(
            config=self._config, server_state=self._state, app_state={},
            peer=self.peer, on_lost=self._connections.remove_socket,
        )  # fmt: skip
        self._connections.hand_over(self)
        self.wire.hand_over(websocket)
        websocket.data_received(head_bytes(head) + rest)
        # Of a socket that is open for days only its own parts stay in memory.
        self._reader.close()
        self._scope = {}
        return True

    # -- what an exchange calls

    def wants_body(self) -> None:
        """The application waits for more of the body, or for the client to go away."""
        if not self._pipeline:
            self.wire.resume_reading()

    def finished(self, exchange: Exchange) -> None:
        """The response is complete."""
        self._state.total_requests += 1
        self._current = None
        if not exchange.keep_alive:
            self._end()
        elif exchange is self._reader.exchange:
            self.wire.read_deadline = self._loop.time() + limits.DROP_TIMEOUT
            self.wire.resume_reading()
        else:
            self._go_on()

    def failed(self, exchange: Exchange, refusal: Refusal) -> None:
        """There will be no response, or no more of it."""
        if exchange is not self._current or exchange.ended:
            return
        if exchange.started:
            self.wire.abort()
        else:
            self._answer(refusal.with_headers(exchange.cors))

    def become_live(self) -> Refusal | None:
        """The response is a stream of events, with bounds of its own; the answer if there are too
        many of them."""
        assert self._current is not None
        refusal = self._connections.become_live(self, self._loop.time())
        if refusal is None:
            self.wire.live = True
            self._current.keep_alive = False
        return refusal

    # -- from one request to the next

    def _start(self, exchange: Exchange, *, complete: bool) -> None:
        """The application answers. ``complete``: the whole request has arrived."""
        self._current = exchange
        self.default_headers = self._state.default_headers
        body_timeout = self._connections.limits.body_timeout
        self.wire.read_deadline = NEVER if complete else self._loop.time() + body_timeout
        self._unstarted = True

    def _begin(self) -> None:
        """Begins to answer the current exchange, if it was not refused meanwhile."""
        self._unstarted = False
        exchange = self._current
        if exchange is None:
            return
        if (
            exchange.complete
            and self._shortcut is not None
            and exchange.application is self._application
            and (waits := self._shortcut(exchange)) is not None
        ):
            self._keep(waits)
        else:
            self.start(exchange)

    def start(self, exchange: Exchange) -> None:
        """Lets the application of the exchange answer."""
        self._keep(self._loop.create_task(exchange.run()))

    def _keep(self, waits: "asyncio.Future[Any]") -> None:
        """The server's end waits for this, and cancels it if that takes too long."""
        tasks = cast("set[asyncio.Future[Any]]", self._state.tasks)
        tasks.add(waits)
        waits.add_done_callback(tasks.discard)

    def _go_on(self) -> None:
        """The response is complete, and so is the request: what comes next."""
        if self._pipeline:
            exchange = self._pipeline.popleft()
            self._start(exchange, complete=exchange is not self._reader.exchange)
        if self._reader.unparsed and self.takes_requests:
            self._reader.go_on()
        if self._unstarted:
            self._begin()
        if self._current is None and not self.wire.over:
            self._await_request()
        if not self._pipeline:
            self.wire.resume_reading()

    def _await_request(self) -> None:
        if self._pending is not None:
            self._answer(self._pending)
        elif self.wire.client_done:
            self._end()
        else:
            self.idle_since = now = self._loop.time()
            keep_alive = self._connections.limits.keep_alive_timeout
            timeout = limits.HEAD_TIMEOUT if self._reader.in_head else keep_alive
            self.wire.read_deadline = now + timeout

    def _answer(self, refusal: Refusal) -> None:
        """Answers with an error in place of the application, and closes."""
        current, self._current = self._current, None
        if current is not None:
            current.disconnect()
        self.wire.write(refusal.response(self.default_headers))
        self._end(unread=True)

    def _end(self, *, unread: bool = False) -> None:
        """Closes in order. ``unread``: the client may still be sending."""
        self._pipeline.clear()
        unread = unread or self._reader.exchange is not None or bool(self._reader.unparsed)
        self._reader.stop()
        self.idle_since = self._loop.time()
        self.wire.end(unread=unread)

    # -- deadlines

    @property
    def idle(self) -> bool:
        """Whether nothing is lost if the connection is closed."""
        return self._current is None and (self.wire.over or self._reader.exchange is None)

    def check(self, now: float) -> None:
        """A deadline may be over: then the connection ends."""
        timed_out = self._connections.metrics.timed_out
        if self.wire.reads_too_slowly(now):
            timed_out("response")
            if self._current is not None:
                self._current.disconnect("too slow")
            self.wire.abort()
        elif now < self.wire.read_deadline:
            return
        elif self.wire.over:
            self.wire.check_end(now)
        elif self._reader.exchange is not None:
            timed_out("body")
            seconds = self._connections.limits.body_timeout
            self.refuse(Refusal(408, f"the body did not arrive within {seconds:g} seconds"))
        elif self._reader.in_head:
            timed_out("head")
            detail = f"the head did not arrive within {limits.HEAD_TIMEOUT:g} seconds"
            self.refuse(Refusal(408, detail))
        else:
            timed_out("idle")
            self.wire.close()


async def _answer_options(scope: Any, receive: Any, send: Any) -> None:
    """Answers ``OPTIONS *``, which is about the server as a whole (RFC 9110, 9.3.7)."""
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})
