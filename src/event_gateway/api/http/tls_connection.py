"""TLS on a connection: a transport for the protocol above it, a protocol on the transport below.

OpenSSL does the cryptography (``ssl.SSLObject`` on memory buffers). docs/decisions/0038 says why
the event loop's own TLS does not serve here.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from enum import Enum, auto
from typing import Any, Protocol, cast

from event_gateway.api.http.listener_context import authorities_of
from event_gateway.api.http.refusal import Refusal

HANDSHAKE_RECORD = 0x16  # the first byte of each TLS connection (RFC 8446, 5.1)
READ_SIZE = 16 * 1024  # bytes; a TLS record has no more
# Bytes that are encrypted or decrypted at a time: the buffers of OpenSSL keep their largest size
# for as long as the connection lives.
PIECE = 64 * 1024
# Bytes of TLS' own messages (answers to key updates) that may wait for a client that reads nothing.
MAX_UNREAD = 1024 * 1024

_CLEAR_TEXT = Refusal(400, "this port speaks TLS, and the request came without: use https")


class Above(Protocol):
    """What speaks HTTP on the connection."""

    def refuse(self, refusal: Refusal) -> None:
        """The request is refused, and nothing is read after it."""


class _State(Enum):
    NEW = auto()  # the client has sent nothing
    HANDSHAKE = auto()
    OPEN = auto()
    CLEAR = auto()  # the client does not speak TLS, and is told so without it
    FAILED = auto()


class TlsConnection(asyncio.Protocol, asyncio.Transport):
    """One connection. The protocol above it is told of it when it is accepted, so that the
    handshake counts under the bounds and deadlines of every connection. What that protocol writes
    before the end of the handshake is sent then.

    ``context``: gives the context of a new connection; ``failed``: called when a handshake fails,
    with the client's address, the kind of the fault and the reason.
    """

    __slots__ = (
        "_above", "_authorities", "_below", "_client_ended", "_context", "_end_sent", "_ended",
        "_failed", "_incoming", "_input_ended", "_loop", "_outgoing", "_reading_paused", "_state",
        "_tls", "_unsent",
    )  # fmt: skip

    def __init__(
        self,
        context: Callable[[], ssl.SSLContext],
        above: asyncio.Protocol,
        failed: Callable[[str, str, str], None],
    ) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._above = above
        self._context = context
        self._failed = failed
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None
        self._state = _State.NEW
        self._authorities: frozenset[str] = frozenset()
        self._unsent: list[bytes] = []  # before the end of the handshake
        self._ended = False  # the protocol above writes no more
        self._end_sent = False  # the client knows that: nothing is decrypted any more
        self._input_ended = False  # no more bytes come, some may wait to be decrypted
        self._client_ended = False  # the protocol above knows that the client writes no more
        self._reading_paused = False

    # -- asyncio.Protocol: the transport below

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection was accepted."""
        self._below = cast(asyncio.Transport, transport)
        self._above.connection_made(self)

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is closed."""
        if self._state is _State.HANDSHAKE:
            self._handshake_failed("unfinished", "the connection ended before the handshake did")
        self._above.connection_lost(error)
        self._above = asyncio.Protocol()  # they refer to each other
        self._tls = None
        self._unsent.clear()

    def data_received(self, data: bytes) -> None:
        """The client sent something."""
        for at in range(0, len(data), PIECE):
            self._take(data[at : at + PIECE])

    def _take(self, data: bytes) -> None:
        if self._state is _State.OPEN:
            if self._end_sent:
                self._above.data_received(data)  # which drops it, and counts its bytes
            elif not self._client_ended:  # else it counts for nothing (RFC 8446, 6.1)
                self._incoming.write(data)
                self._read()
        elif self._state is _State.CLEAR:
            self._above.data_received(data)  # the same
        elif self._state is _State.NEW and data[0] != HANDSHAKE_RECORD:
            self._refuse_clear_text()
        elif self._state is not _State.FAILED:
            self._incoming.write(data)
            if self._shake_hands():
                self._read()

    def eof_received(self) -> bool:
        """The client sends no more. It may still read: then True."""
        if self._state is _State.OPEN and not self._end_sent:
            self._input_ended = True
            self._read()  # what came before the end, unless reading is paused
            return not self._below.is_closing()
        if self._state not in (_State.OPEN, _State.CLEAR):
            return False
        return self._end_of_client()

    def pause_writing(self) -> None:
        """The buffer of the transport below is full."""
        self._above.pause_writing()

    def resume_writing(self) -> None:
        """The buffer of the transport below has room."""
        self._above.resume_writing()

    # -- asyncio.Transport: the protocol above

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypts and sends."""
        if self._ended or self._below.is_closing():
            return
        if self._state is _State.OPEN:
            self._encrypt(data)
        elif self._state is _State.CLEAR:
            self._below.write(data)
        else:
            self._unsent.append(bytes(data))

    def writelines(self, list_of_data: Any) -> None:
        """Encrypts and sends several pieces."""
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        """The client learns that nothing more comes, and may go on sending."""
        return True

    def write_eof(self) -> None:
        """The client learns that nothing more comes. What it sends is not decrypted any more."""
        self._ended = True
        if self._state in (_State.OPEN, _State.CLEAR):
            self._send_end()
            self._below.write_eof()

    def close(self) -> None:
        """Closes once all is written."""
        if not self._below.is_closing():
            self._ended = True
            self._send_end()
            self._below.close()

    def abort(self) -> None:
        """Closes at once; the client sees a reset."""
        self._below.abort()

    def is_closing(self) -> bool:
        """Whether the connection is closed or closing."""
        return self._below.is_closing()

    def pause_reading(self) -> None:
        """Delivers no more until :meth:`resume_reading`."""
        self._reading_paused = True
        self._below.pause_reading()

    def resume_reading(self) -> None:
        """Delivers what has come, and what comes."""
        if self._reading_paused:
            self._reading_paused = False
            self._below.resume_reading()
            if self._state is _State.OPEN and not self._end_sent:
                self._loop.call_soon(self._read)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Another protocol takes the connection."""
        self._above = cast(asyncio.Protocol, protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The protocol above."""
        return self._above

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Sets at how many bytes that wait the protocol above is paused."""
        self._below.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """Bytes that wait to be sent."""
        return self._below.get_write_buffer_size()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As asyncio's transports; ``peercert`` is the client's certificate in DER, or None;
        ``authorities`` the SHA-256 of those of which one has vouched for it."""
        if name == "ssl_object":
            return self._tls
        if name == "peercert":
            if self._state is not _State.OPEN or self._tls is None:
                return None
            return self._tls.getpeercert(binary_form=True)
        if name == "authorities":
            return self._authorities
        return self._below.get_extra_info(name, default)

    # -- the handshake

    def _shake_hands(self) -> bool:
        """Goes on with the handshake; whether it is done and requests can be read."""
        if self._tls is None:
            self._state = _State.HANDSHAKE
            context = self._context()
            self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        except ssl.SSLError as error:
            self._flush()  # the alert, which tells the client why
            self._state = _State.FAILED
            self._handshake_failed(*fault_of(error))
            self._below.close()
            return False
        self._state = _State.OPEN
        self._authorities = authorities_of(self._tls)
        self._flush()
        unsent, self._unsent = self._unsent, []
        for data in unsent:
            self._encrypt(data)
        if self._ended:
            self.write_eof()
        return not self._ended

    def _handshake_failed(self, kind: str, detail: str) -> None:
        peer = self._below.get_extra_info("peername")
        self._failed(str(peer[0]) if isinstance(peer, tuple) else "", kind, detail)

    def _refuse_clear_text(self) -> None:
        self._state = _State.CLEAR
        self._handshake_failed("clear_text", "the client does not speak TLS")
        unsent, self._unsent = self._unsent, []
        for data in unsent:
            self._below.write(data)
        if self._ended:
            self._below.write_eof()
        else:
            cast(Above, self._above).refuse(_CLEAR_TEXT)

    # -- what is read and written

    def _read(self) -> None:
        """Delivers what has been received, until reading is paused or the connection ends."""
        tls = self._tls
        while tls is not None and not (self._reading_paused or self._end_sent):
            try:
                data = tls.read(READ_SIZE)
            except ssl.SSLWantReadError:
                if not self._input_ended:
                    break
                data = b""
            except ssl.SSLError:  # a damaged record: nothing after it can be trusted
                self._flush()
                self._below.abort()
                return
            if not data:
                if not self._end_of_client():
                    self.close()
                return
            self._above.data_received(data)
            tls = self._tls
        if self._outgoing.pending:
            self._flush()
            if self._below.get_write_buffer_size() > MAX_UNREAD:
                self._below.abort()

    def _encrypt(self, data: bytes | bytearray | memoryview) -> None:
        assert self._tls is not None
        view = memoryview(data)
        try:
            while view:
                view = view[self._tls.write(view[:PIECE]) :]
                self._flush()
        except ssl.SSLError:
            self._below.abort()

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data and not self._below.is_closing():
            self._below.write(data)

    def _send_end(self) -> None:
        """Sends the message that ends the connection in order (RFC 8446, 6.1)."""
        if self._state is not _State.OPEN or self._end_sent or self._tls is None:
            return
        self._end_sent = True
        with contextlib.suppress(OSError):  # the client has not ended too, which it need not
            self._tls.unwrap()
        self._flush()

    def _end_of_client(self) -> bool:
        """Tells the protocol above; whether it still writes."""
        if self._client_ended:
            return not self._ended
        self._client_ended = True
        goes_on = bool(self._above.eof_received())
        if not goes_on:
            self._send_end()
        return goes_on


def fault_of(error: ssl.SSLError) -> tuple[str, str]:
    """The kind of a failed handshake, one of few, and the reason."""
    reason = error.reason or ""
    detail = reason.lower().replace("_", " ") or str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return "certificate", f"the client's certificate is refused: {error.verify_message}"
    if reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return "no_certificate", "the client has sent no certificate"
    if "_ALERT_" in reason:
        return "alert", f"the client has ended it: {detail}"
    return "protocol", detail
