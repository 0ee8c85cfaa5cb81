"""WebSocket (RFC 6455) on a connection that uvicorn hands over after its upgrade request.

wsproto makes the handshake and parses the client's frames. The gateway writes the frames with
events itself, as all subscribers share their bytes.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Protocol, cast

import uvicorn
from uvicorn.server import ServerState
from wsproto import WSConnection, events
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.extensions import PerMessageDeflate
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from event_gateway.api.http.peer import Peer
from event_gateway.api.http.refusal import Header, Refusal
from event_gateway.api.live.close_codes import GOING_AWAY, TOO_BIG

HIGH_WATER = 64 * 1024  # bytes in the transport at which the gateway stops writing to it
CLOSE_TIMEOUT = 5.0  # seconds within which the client must close too
MAX_JOINED = 65536  # bytes up to which frames are copied into one write


class WebSocketSession(Protocol):
    """What uses a connection. The protocol calls these methods."""

    def opened(self, socket: "WebSocketProtocol") -> None:
        """The handshake is done."""

    def received(self, message: str | bytes) -> None:
        """The client sent a message, which is whole."""

    def drained(self) -> None:
        """The socket takes frames again."""

    def closed(self) -> None:
        """The connection is closed or closing: frames are not sent any more."""


OpenedSession = tuple[WebSocketSession, str | None]  # with the chosen subprotocol
# Opens the session of an upgrade request; None if nothing is at the request's path (404).
OpenSession = Callable[[events.Request, Peer], OpenedSession | None]


class WebSocketProtocol(asyncio.Protocol):
    """One connection. Times on the loop's clock: ``received_at``, when the client last sent a byte;
    ``moved``, when the transport last wrote, or had nothing to write; ``pinged``. ``close_code``:
    with which the gateway has closed it, if it has; ``peer``: the other end."""

    __slots__ = (
        "_closing",
        "_connection",
        "_deflate",
        "_handshake",
        "_limit",
        "_loop",
        "_on_lost",
        "_open_session",
        "_parts",
        "_session",
        "_size",
        "_state",
        "_transport",
        "close_code",
        "moved",
        "peer",
        "pinged",
        "received_at",
        "writable",
    )  # fmt: skip

    def __init__(
        self,
        open_session: OpenSession,
        state: ServerState,
        *,
        limit: int,
        deflate: bool,
        peer: Peer | None = None,
        on_lost: Callable[[], None] | None = None,
    ) -> None:
        """``limit``: bytes of a client's message; ``deflate``: whether to compress, if the client
        offers it; ``on_lost`` is called when the connection is closed."""
        self._open_session = open_session
        self._state = state
        self._limit = limit
        self._deflate = deflate
        self._loop = asyncio.get_running_loop()
        self._handshake: WSConnection | None = WSConnection(ConnectionType.SERVER)
        self._connection: Connection | None = None
        self._session: WebSocketSession | None = None
        self._parts: list[Any] = []
        self._size = 0
        self._closing: asyncio.TimerHandle | None = None
        self.peer = peer or Peer()
        self._on_lost = on_lost
        self.close_code: int | None = None
        self.writable = True
        self.received_at = self.moved = self.pinged = self._loop.time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """uvicorn hands the connection over."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(HIGH_WATER)
        self._state.connections.add(self)  # type: ignore[arg-type]

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is closed."""
        self._state.connections.discard(self)
        if self._on_lost is not None:
            self._on_lost()
        if self._closing is not None:
            self._closing.cancel()
        self._ended()

    def eof_received(self) -> None:
        """The client sends no more: the transport closes."""

    def data_received(self, data: bytes) -> None:
        """Parses the client's bytes."""
        self.received_at = self._loop.time()
        try:
            if self._connection is None:
                self._complete_handshake(data)
            else:
                self._connection.receive_data(data)
                self._handle(self._connection)
        except RemoteProtocolError as error:
            if self._handshake is not None:
                self._refuse_handshake(error)
            self._transport.close()
        except LocalProtocolError:
            self._transport.close()  # bytes after the closing handshake

    def pause_writing(self) -> None:
        """The transport's buffer is full."""
        self.writable = False
        self.moved = self._loop.time()

    def resume_writing(self) -> None:
        """The transport's buffer has room."""
        self.writable = True
        self.moved = self._loop.time()
        if self._session is not None:
            self._session.drained()

    def shutdown(self) -> None:
        """uvicorn shuts down."""
        self.close(GOING_AWAY, "the gateway restarts")
        self._transport.close()

    @property
    def open(self) -> bool:
        """Whether messages can be sent."""
        return self._session is not None and self._closing is None

    def send(self, pieces: Sequence[tuple[bytes, bytes]]) -> None:
        """Sends text messages, each given in two parts: the subscription's own bytes, and the bytes
        that all subscribers share."""
        if not self.open or self._transport.is_closing():
            return
        if self._deflate:
            assert self._connection is not None
            for own, shared in pieces:
                text = (own + shared).decode()
                self._transport.write(self._connection.send(events.TextMessage(text)))
            return
        out: list[bytes] = []
        total = 0
        for own, shared in pieces:
            size = len(own) + len(shared)
            total += size
            out.append(frame_head(size) + own)
            out.append(shared)
        if total <= MAX_JOINED:
            self._transport.write(b"".join(out))
        else:
            self._transport.writelines(out)

    def send_now(self, own: bytes, shared: bytes) -> bool:
        """Sends one text message as :meth:`send` does, if the transport has room for it and a copy
        of it is cheap. Returns whether it was sent."""
        size, transport = len(own) + len(shared), self._transport
        if (
            not self.writable
            or self._deflate
            or size > MAX_JOINED
            or self._session is None
            or self._closing is not None
            or transport.is_closing()
        ):
            return False
        transport.write(frame_head(size) + own + shared)
        return True

    def hand_over(self, session: WebSocketSession) -> None:
        """Goes on with another session."""
        self._session = session
        session.opened(self)

    def ping(self) -> None:
        """Sends a ping."""
        if self._connection is not None and self.open and not self._transport.is_closing():
            self.pinged = self._loop.time()
            self._transport.write(self._connection.send(events.Ping()))

    def close(self, code: int, reason: str) -> None:
        """Begins to close. Frames sent before go out first, if the client reads them."""
        if self._connection is None or self._closing is not None:
            return
        self.close_code = code
        self._closing = self._loop.call_later(CLOSE_TIMEOUT, self._transport.abort)
        if self._connection.state is ConnectionState.OPEN and not self._transport.is_closing():
            reason = reason.encode()[:120].decode(errors="ignore")
            self._transport.write(self._connection.send(events.CloseConnection(code, reason)))
        self._ended()

    def pause(self) -> None:
        """Stops reading from the client until :meth:`resume`."""
        self._transport.pause_reading()

    def resume(self) -> None:
        """Reads from the client again."""
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def _complete_handshake(self, data: bytes) -> None:
        assert self._handshake is not None
        try:
            self._handshake.receive_data(data)
        except UnicodeDecodeError:  # wsproto expects ASCII of anybody
            raise RemoteProtocolError("a header is not ASCII") from None
        for event in self._handshake.events():
            if not isinstance(event, events.Request):
                continue
            opened = self._open_session(event, self.peer)
            if opened is None:
                self._refuse(Refusal(404, "there is no WebSocket at this path"))
                return
            session, subprotocol = opened
            deflate = PerMessageDeflate()
            accept = events.AcceptConnection(
                subprotocol=subprotocol, extensions=[deflate] if self._deflate else []
            )
            self._transport.write(self._handshake.send(accept))
            self._connection = self._handshake.connection
            self._handshake = None
            self._deflate = deflate.enabled()
            self._session = session
            session.opened(self)
            return

    def _refuse_handshake(self, error: RemoteProtocolError) -> None:
        hint = error.event_hint
        status, headers = 400, cast(tuple[Header, ...], ())
        if isinstance(hint, events.RejectConnection):
            status = hint.status_code
            headers = tuple((name, value) for name, value in hint.headers)
        self._refuse(Refusal(status, f"the WebSocket handshake is not valid: {error}", headers))

    def _refuse(self, refusal: Refusal) -> None:
        self._transport.write(refusal.response(self._state.default_headers))
        self._transport.close()

    def _handle(self, connection: Connection) -> None:
        for event in connection.events():
            if isinstance(event, events.Message):
                self._message(event)
            elif isinstance(event, events.Ping):
                if connection.state is ConnectionState.OPEN:
                    self._transport.write(connection.send(event.response()))
            elif isinstance(event, events.CloseConnection):
                self._closed(connection, event)
                return

    def _message(self, event: "events.Message[Any]") -> None:
        self._size += len(event.data)
        if self._size > self._limit:
            self._parts.clear()
            self.close(TOO_BIG, f"a message is longer than {self._limit} bytes")
            return
        self._parts.append(event.data)
        if event.message_finished:
            empty: Any = "" if isinstance(event, events.TextMessage) else b""
            message = empty.join(self._parts)
            self._parts.clear()
            self._size = 0
            if self.open:
                assert self._session is not None
                self._session.received(message)

    def _closed(self, connection: Connection, event: events.CloseConnection) -> None:
        """The client closes, has closed, or violated the protocol."""
        if connection.state is ConnectionState.REMOTE_CLOSING:
            self._transport.write(connection.send(event.response()))
        elif connection.state is ConnectionState.OPEN:
            self._transport.write(connection.send(event))
        self._ended()
        if self._closing is None:  # it may never read what is left
            self._closing = self._loop.call_later(CLOSE_TIMEOUT, self._transport.abort)
        self._transport.close()

    def _ended(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.closed()


@lru_cache(maxsize=1024)
def frame_head(size: int) -> bytes:
    """The header of a text message of ``size`` bytes in one frame (RFC 6455, 5.2)."""
    if size < 126:
        return bytes((0x81, size))
    if size < 65536:
        return b"\x81\x7e" + size.to_bytes(2, "big")
    return b"\x81\x7f" + size.to_bytes(8, "big")


def protocol_for(
    open_session: OpenSession, *, limit: int, deflate: bool = False
) -> Callable[..., WebSocketProtocol]:
    """What uvicorn takes as ``ws``: makes the protocol of an upgraded connection. The gateway's own
    HTTP protocol also gives ``peer`` and ``on_lost``.

    ``limit``: bytes of a client's message; ``deflate``: whether to offer compression.
    """

    def make(
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        *,
        peer: Peer | None = None,
        on_lost: Callable[[], None] | None = None,
    ) -> WebSocketProtocol:
        return WebSocketProtocol(
            open_session, server_state, limit=limit, deflate=deflate, peer=peer, on_lost=on_lost
        )

    return make
