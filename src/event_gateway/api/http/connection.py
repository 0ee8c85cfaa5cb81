"""One HTTP connection of the API (RFC 9112). httptools parses; uvicorn accepts and shuts down."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import uvicorn
from uvicorn.server import ServerState

from event_gateway.api.http import limits
from event_gateway.api.http.exchange import Application, Exchange
from event_gateway.api.http.head import Head
from event_gateway.api.http.open_connections import OpenConnections
from event_gateway.api.http.refusal import Refusal
from event_gateway.api.http.request_reader import RequestReader

LIVE = "event_gateway.live"  # the ASGI extension: a call makes the connection a live one

_NEVER = float("inf")


class Connection(asyncio.Protocol):
    """``read_deadline``: until when the client must have sent what is due from it;
    ``write_deadline``: until when it must have read some of what waits for it."""

    __slots__ = (
        "_application", "_closing", "_config", "_connections", "_current", "_dropping", "_eof",
        "_linger_left", "_linger_until", "_loop", "_pending", "_pipeline", "_reader",
        "_reading_paused", "_scope", "_state", "_transport", "_unwritten", "_writable",
        "default_headers", "idle_since", "read_deadline", "write_deadline", "writing_paused",
    )  # fmt: skip

    def __init__(
        self,
        connections: OpenConnections,
        config: uvicorn.Config,
        state: ServerState,
    ) -> None:
        self._connections = connections
        self._config = config
        self._application = cast(Application, config.loaded_app)
        self._state = state
        self._loop = asyncio.get_running_loop()
        self._reader = RequestReader(self)
        self.read_deadline = self.write_deadline = _NEVER
        self._current: Exchange | None = None  # that the application answers
        self._pipeline: deque[Exchange] = deque()  # further ones
        self._pending: Refusal | None = None  # the answer to what came after them

        self._reading_paused = False
        self._eof = False  # the client sends no more
        self._dropping = False  # the answer is written, what comes is dropped
        self._linger_until = 0.0
        self._linger_left = 0
        self._closing = False  # as soon as all is written
        self.writing_paused = False
        self._unwritten = 0  # bytes, when the write deadline was set
        self._writable: asyncio.Event | None = None

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection was accepted."""
        self._transport = cast(asyncio.Transport, transport)
        self.default_headers = self._state.default_headers
        peer = transport.get_extra_info("peername")
        client = (str(peer[0]), int(peer[1])) if isinstance(peer, tuple) else None
        own = transport.get_extra_info("sockname")
        self._scope = {
            "server": (str(own[0]), int(own[1])) if isinstance(own, tuple) else None,
            "client": client,
            "scheme": "http",
            "extensions": {LIVE: self.become_live},
        }
        now = self._loop.time()
        refusal = self._connections.admit(self, client[0] if client else "", now)
        if refusal is not None:
            self._turn_away(refusal)
            return
        self._state.connections.add(self)  # type: ignore[arg-type]
        self.idle_since = now
        self.read_deadline = now + limits.HEAD_TIMEOUT

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is closed."""
        self._state.connections.discard(self)
        self._connections.remove(self)
        self.read_deadline = self.write_deadline = _NEVER
        self._dropping = True
        for exchange in (self._current, *self._pipeline):
            if exchange is not None:
                exchange.disconnect()
        self._pipeline.clear()
        self._current = None
        self._let_write()
        self._reader.close()
        self._scope = {}

    def eof_received(self) -> bool:
        """The client sends no more. It may still read: then True."""
        self._eof = True
        current = self._current
        if self._dropping or self._closing or (current is not None and current.live):
            return False
        reading = self._reader.exchange
        if self._reader.in_head or (reading is not None and not reading.ended):
            self.refuse(Refusal(400, "the request ended early"))
            return True
        return current is not None

    def data_received(self, data: bytes) -> None:
        """Parses what the client sent."""
        if self._dropping:
            self._drop(len(data))
        else:
            self._reader.feed(data)

    def pause_writing(self) -> None:
        """The transport's buffer is full."""
        self.writing_paused = True
        self._unwritten = self._transport.get_write_buffer_size()
        self.write_deadline = self._loop.time() + self._write_timeout()

    def resume_writing(self) -> None:
        """The transport's buffer has room."""
        self.write_deadline = _NEVER
        self._let_write()

    def _let_write(self) -> None:
        self.writing_paused = False
        if self._writable is not None:
            self._writable.set()
            self._writable = None

    # -- what uvicorn's server calls

    def shutdown(self) -> None:
        """The server shuts down: the exchange that goes on is the last one."""
        if self._current is None:
            self._transport.close()
        else:
            self._current.keep_alive = False

    # -- what the reader calls

    @property
    def takes_requests(self) -> bool:
        """Whether another request may be parsed now: one waits for its turn at most."""
        return not (self._pipeline or self._dropping or self._pending)

    def begin_head(self) -> None:
        """The first byte of a request has come."""
        if self._current is None:
            self.read_deadline = self._loop.time() + limits.HEAD_TIMEOUT

    def begin_exchange(self, head: Head) -> Exchange:
        """The head is complete: the request is answered now, or after those before it."""
        if self._eof:
            head.keep_alive = False
        exchange = Exchange(self, self._loop, head, self._scope)
        if self._current is None:
            self.read_deadline = self._loop.time() + self._connections.limits.body_timeout
            self._start(exchange)
        else:
            self._pipeline.append(exchange)
            self.pause_reading()
        return exchange

    def complete(self, exchange: Exchange) -> None:
        """The request is complete."""
        if exchange.ended:
            self._await_request()
        elif exchange is self._current:
            self.read_deadline = _NEVER

    def pause_reading(self) -> None:
        """Enough has come for now."""
        if not self._reading_paused and not self._transport.is_closing():
            self._reading_paused = True
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._reading_paused and not self._eof and not self._transport.is_closing():
            self._reading_paused = False
            self._transport.resume_reading()

    def _start(self, exchange: Exchange) -> None:
        self._current = exchange
        self.default_headers = self._state.default_headers
        application = self._application if exchange.scope["path"] != "*" else _answer_options
        task = self._loop.create_task(exchange.run(application))
        tasks = self._state.tasks
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    # -- what an exchange calls

    def write(self, data: bytes) -> None:
        """Writes a piece of the response."""
        self._transport.write(data)

    async def writable(self) -> None:
        """Waits until the client has read enough of what was written."""
        if self._writable is None:
            self._writable = asyncio.Event()
        await self._writable.wait()

    def wants_body(self, exchange: Exchange) -> None:
        """The application waits for more of the body, or for the client to go away."""
        if not self._pipeline:
            self._resume_reading()

    def finished(self, exchange: Exchange) -> None:
        """The response is complete."""
        self._state.total_requests += 1
        self._current = None
        if not exchange.keep_alive:
            self._close()
        elif exchange is self._reader.exchange:
            self.read_deadline = self._loop.time() + limits.DROP_TIMEOUT
            self._resume_reading()
        else:
            self._go_on()

    def failed(self, exchange: Exchange, refusal: Refusal) -> None:
        """There will be no response, or no more of it."""
        if exchange is not self._current or exchange.ended:
            return
        if exchange.started:
            self._transport.abort()
        else:
            self._answer(refusal)

    def become_live(self) -> Refusal | None:
        """The response is a stream of events, with bounds of its own; the answer if there are too
        many of them."""
        current = self._current
        assert current is not None
        refusal = self._connections.become_live(self, self._loop.time())
        if refusal is None:
            current.live = True
            current.keep_alive = False
        return refusal

    # -- between requests, and at the end

    def _go_on(self) -> None:
        """The response is complete, and the request, too: what comes next."""
        if self._pipeline:
            exchange = self._pipeline.popleft()
            if exchange is self._reader.exchange:
                self.read_deadline = self._loop.time() + self._connections.limits.body_timeout
            self._start(exchange)
        if self._reader.unparsed and self.takes_requests:
            self._reader.go_on()
        if self._current is None and not self._dropping:
            self._await_request()
        if not self._pipeline:
            self._resume_reading()

    def _await_request(self) -> None:
        if self._pending is not None:
            self._answer(self._pending)
            return
        if self._eof:
            self._close()
            return
        now = self._loop.time()
        self.idle_since = now
        timeout = (
            limits.HEAD_TIMEOUT
            if self._reader.in_head
            else self._connections.limits.keep_alive_timeout
        )
        self.read_deadline = now + timeout

    def refuse(self, refusal: Refusal) -> None:
        """Answers what is being read with an error, after the responses to what came before."""
        self._connections.metrics.request_refused(refusal.status)
        reading = self._reader.exchange
        self._reader.stop()
        if reading is not None and reading.ended:
            self._close(linger=True)
        elif reading is not None and reading is self._current:
            if reading.started:
                self._transport.abort()
            else:
                self._answer(refusal)
        else:
            if reading is not None:
                self._pipeline.remove(reading)
            if self._current is None:
                self._answer(refusal)
            else:
                self._pending = refusal
                self.pause_reading()

    def _answer(self, refusal: Refusal) -> None:
        """Answers with an error in place of the application, and closes."""
        current, self._current = self._current, None
        if current is not None:
            current.disconnect()
        self._transport.write(refusal.response(self.default_headers))
        self._close(linger=True)

    def _close(self, linger: bool = False) -> None:
        """Closes once all is written. If the client may still be sending, it would not see the
        answer: then its bytes are read and dropped first."""
        self._pipeline.clear()
        if self._transport.is_closing():
            return
        unread = linger or self._reader.exchange is not None or bool(self._reader.unparsed)
        self._reader.stop()
        if unread and not self._eof and self._transport.can_write_eof():
            self._linger(limits.LINGER_TIMEOUT)
        else:
            self._close_transport()

    def _close_transport(self) -> None:
        self._closing = True
        self._unwritten = self._transport.get_write_buffer_size()
        self.read_deadline = self._loop.time() + limits.WRITE_TIMEOUT
        self._transport.close()

    def _linger(self, timeout: float) -> None:
        now = self._loop.time()
        self.idle_since = now
        self._dropping = True
        self._linger_until = now + timeout
        self._linger_left = limits.MAX_LINGER
        self.read_deadline = now + min(timeout, limits.LINGER_IDLE)
        self._transport.write_eof()
        self._resume_reading()

    def _drop(self, size: int) -> None:
        self._linger_left -= size
        if self._linger_left < 0:
            self._transport.abort()
        else:
            self.read_deadline = min(self._loop.time() + limits.LINGER_IDLE, self._linger_until)

    def _turn_away(self, refusal: Refusal) -> None:
        self._transport.write(refusal.response(self.default_headers))
        if self._connections.turn_away(self):
            self._linger(limits.TURNED_AWAY_LINGER)
        else:
            self._dropping = True
            self._transport.close()

    # -- deadlines

    @property
    def idle(self) -> bool:
        """Whether nothing is lost if the connection is closed."""
        return self._current is None and (self._dropping or self._reader.exchange is None)

    def close_idle(self) -> None:
        """Closes the connection to make room for another one."""
        if self._transport.get_write_buffer_size() or self._dropping or self._closing:
            self._transport.abort()
        else:
            self._dropping = True
            self._transport.close()

    def check(self, now: float) -> None:
        """Ends the connection if a deadline is over."""
        if now >= self.write_deadline and not self._progress():
            self._connections.metrics.timed_out("response")
            self._transport.abort()
        elif now >= self.write_deadline:
            self.write_deadline = now + self._write_timeout()
        elif now >= self.read_deadline:
            self._missed(now)

    def _missed(self, now: float) -> None:
        """The client has not sent in time what was due."""
        timed_out = self._connections.metrics.timed_out
        if self._closing and self._progress():
            self.read_deadline = now + limits.WRITE_TIMEOUT
        elif self._closing or self._dropping:
            self._transport.abort()
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
            self._dropping = True
            self._close_transport()

    def _progress(self) -> bool:
        """Whether the client has read enough since the deadline was set."""
        before, self._unwritten = self._unwritten, self._transport.get_write_buffer_size()
        return 0 < self._unwritten <= before - limits.MIN_READ

    def _write_timeout(self) -> float:
        live = self._current is not None and self._current.live
        return limits.LIVE_WRITE_TIMEOUT if live else limits.WRITE_TIMEOUT

    # -- upgrades

    def upgrade(self, head: Head, rest: bytes) -> bool:
        """The request asks for another protocol; ``rest`` is what came after its head. False if
        the connection stays with HTTP."""
        protocol = next((value for name, value in head.headers if name == b"upgrade"), b"")
        if protocol.lower() != b"websocket" or self._current is not None:
            return False
        refusal = self._connections.become_live(self, self._loop.time())
        if refusal is not None:
            self.refuse(refusal)
            return True
        self._state.connections.discard(self)
        self.read_deadline = self.write_deadline = _NEVER
        self._dropping = True
        make = cast(Callable[..., Any], self._config.ws_protocol_class)
        websocket = make(config=self._config, server_state=self._state, app_state={})
        websocket.on_lost = self._lost_websocket
        lines = [b"%b %b HTTP/%b" % (head.method, head.url, head.version.encode())]
        lines += [b"%b: %b" % header for header in head.headers]
        websocket.connection_made(self._transport)
        websocket.data_received(b"\r\n".join((*lines, b"", b"")) + rest)
        self._transport.set_protocol(websocket)
        return True

    def _lost_websocket(self) -> None:
        self._connections.remove(self)


async def _answer_options(scope: Any, receive: Any, send: Any) -> None:
    """Answers ``OPTIONS *``, which is about the server as a whole (RFC 9110, 9.3.7)."""
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


def connection_for(connections: OpenConnections) -> Callable[..., Connection]:
    """What uvicorn takes as ``http``: makes the protocol of a connection."""

    def make(
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> Connection:
        return Connection(connections, config, server_state)

    return make
