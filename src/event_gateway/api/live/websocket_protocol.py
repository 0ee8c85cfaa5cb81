"""WebSocket (RFC 6455) on a connection that uvicorn hands over after its upgrade request.

wsproto parses what comes and makes the handshake; frames with events are written here, since their
bytes are shared by all who get them.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

import uvicorn
from uvicorn.server import ServerState
from wsproto import WSConnection, events
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.extensions import PerMessageDeflate
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

HIGH_WATER = 64 * 1024  # bytes in the transport behind which nothing more is given to it
CLOSE_TIMEOUT = 5.0  # seconds for which the other side's close is waited for
JOINED = 65536  # bytes up to which frames are copied together rather than handed on in parts

NORMAL = 1000
GOING_AWAY = 1012
PROTOCOL_ERROR = 1002
UNSUPPORTED = 1003
TOO_BIG = 1009


class Session(Protocol):
    """What a connection is used for; ``received`` gets whole messages."""

    def opened(self, socket: "WebSocketProtocol") -> None:
        """The handshake is done."""

    def received(self, message: str | bytes) -> None:
        """A message came."""

    def drained(self) -> None:
        """The socket takes frames again."""

    def closed(self) -> None:
        """The connection is gone or going; nothing more is sent."""


Opened = tuple[Session, str | None]  # and the subprotocol that is chosen
# What to do with a request; None where there is nothing at its path.
Open = Callable[[events.Request], Opened | None]


class WebSocketProtocol(asyncio.Protocol):
    """One connection. ``heard``: when something came, on the loop's clock; ``moved``: when the
    transport last took something, or had nothing to take."""

    __slots__ = (
        "_closing", "_connection", "_deflate", "_handshake", "_limit", "_loop", "_open", "_parts",
        "_session", "_size", "_state", "_transport", "heard", "moved", "pinged", "writable",
    )  # fmt: skip

    def __init__(self, open_session: Open, state: ServerState, limit: int, deflate: bool) -> None:
        """``limit``: bytes of a message that comes in."""
        self._open = open_session
        self._state = state
        self._limit = limit
        self._deflate = deflate
        self._loop = asyncio.get_running_loop()
        self._handshake: WSConnection | None = WSConnection(ConnectionType.SERVER)
        self._connection: Connection | None = None
        self._session: Session | None = None
        self._parts: list[Any] = []
        self._size = 0
        self._closing: asyncio.TimerHandle | None = None
        self.writable = True
        self.heard = self.moved = self.pinged = self._loop.time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """uvicorn hands the connection over."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(HIGH_WATER)
        self._state.connections.add(self)  # type: ignore[arg-type]

    def connection_lost(self, error: Exception | None) -> None:
        """It is gone."""
        self._state.connections.discard(self)
        if self._closing is not None:
            self._closing.cancel()
        self._ended()

    def eof_received(self) -> None:
        """The other side sends no more: the transport closes."""

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        self.heard = self._loop.time()
        try:
            if self._connection is None:
                self._shake(data)
            else:
                self._connection.receive_data(data)
                self._handle(self._connection)
        except RemoteProtocolError as error:
            if error.event_hint is not None and self._handshake is not None:
                self._transport.write(self._handshake.send(error.event_hint))
            self._transport.close()
        except LocalProtocolError:
            self._transport.close()  # bytes behind the end of the closing handshake

    def pause_writing(self) -> None:
        """The transport has enough."""
        self.writable = False
        self.moved = self._loop.time()

    def resume_writing(self) -> None:
        """The transport takes more."""
        self.writable = True
        self.moved = self._loop.time()
        if self._session is not None:
            self._session.drained()

    def shutdown(self) -> None:
        """uvicorn ends."""
        self.close(GOING_AWAY, "the gateway restarts")
        self._transport.close()

    @property
    def waiting(self) -> int:
        """Bytes in the transport that the other side has not taken."""
        return self._transport.get_write_buffer_size()

    @property
    def open(self) -> bool:
        """Whether messages can still be sent."""
        return self._session is not None and self._closing is None

    def send(self, pieces: Sequence[tuple[bytes, bytes]]) -> None:
        """Sends text messages, each given in two parts."""
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
        if total <= JOINED:
            self._transport.write(b"".join(out))
        else:
            self._transport.writelines(out)

    def ping(self) -> None:
        """Asks the other side for a sign of life."""
        if self._connection is not None and self.open and not self._transport.is_closing():
            self.pinged = self._loop.time()
            self._transport.write(self._connection.send(events.Ping()))

    def close(self, code: int, reason: str) -> None:
        """Begins to close; what was sent before goes out first, if the other side takes it."""
        if self._connection is None or self._closing is not None:
            return
        self._closing = self._loop.call_later(CLOSE_TIMEOUT, self._transport.abort)
        if self._connection.state is ConnectionState.OPEN and not self._transport.is_closing():
            reason = reason.encode()[:120].decode(errors="ignore")
            self._transport.write(self._connection.send(events.CloseConnection(code, reason)))
        self._ended()

    def pause(self) -> None:
        """Takes nothing more from the other side until :meth:`resume`."""
        self._transport.pause_reading()

    def resume(self) -> None:
        """Takes again what the other side sends."""
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def _shake(self, data: bytes) -> None:
        assert self._handshake is not None
        self._handshake.receive_data(data)
        for event in self._handshake.events():
            if not isinstance(event, events.Request):
                continue
            opened = self._open(event)
            if opened is None:
                gone = events.RejectConnection(status_code=404, headers=[(b"content-length", b"0")])
                self._transport.write(self._handshake.send(gone))
                self._transport.close()
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
        """The other side closes, or has closed, or broke the protocol."""
        if connection.state is ConnectionState.REMOTE_CLOSING:
            self._transport.write(connection.send(event.response()))
        elif connection.state is ConnectionState.OPEN:
            self._transport.write(connection.send(event))
        self._ended()
        if self._closing is None:  # what is left for it to read, it may never take
            self._closing = self._loop.call_later(CLOSE_TIMEOUT, self._transport.abort)
        self._transport.close()

    def _ended(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.closed()


def frame_head(size: int) -> bytes:
    """What precedes a text message of so many bytes that goes out in one frame (RFC 6455, 5.2)."""
    if size < 126:
        return bytes((0x81, size))
    if size < 65536:
        return b"\x81\x7e" + size.to_bytes(2, "big")
    return b"\x81\x7f" + size.to_bytes(8, "big")


def protocol_for(
    open_session: Open, *, limit: int, deflate: bool = False
) -> Callable[..., WebSocketProtocol]:
    """What uvicorn's ``ws`` takes: makes the protocol of a connection that is upgraded."""

    def made(
        config: uvicorn.Config, server_state: ServerState, app_state: dict[str, Any]
    ) -> WebSocketProtocol:
        return WebSocketProtocol(open_session, server_state, limit, deflate)

    return made
