"""The client of nats-py, which logs in again for each connection and never gives up.

nats-py has no documented way for any of this. What is replaced:

- its parser of messages, which is slow (:mod:`.nats_parser`), in versions that were tested;
- its parser of headers, which hides repeated ones, and for some that a publisher may send stops
  reading for ever;
- its TLS context, which it keeps for ever: each connection asks the login for one;
- its trust in a server without TLS: if TLS is configured, it would send the credentials to a server
  (or to an attacker in between) that does not ask for TLS;
- its reading of credentials, which for a file without a JWT does not end;
- its connections that could not log in, which it leaves open;
- its end on an error of the server, such as ``User Authentication Expired``: it would close the
  connection for ever. Here it connects again, with what the files hold then;
- its queue and its task for each subscription, where messages are many: :meth:`NatsClient.take`;
- its way from a message to its buffer, where messages are many: :meth:`NatsClient.send`;
- its way from a request to its answer, which is long (:mod:`.requests`).
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from nats.aio.client import DEFAULT_FLUSH_TIMEOUT, Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import AuthorizationError, StaleConnectionError
from nats.errors import Error as NatsError

from event_gateway.broker.headers import parse_headers, read_headers
from event_gateway.broker.login import NatsLogin, NatsLoginFailed
from event_gateway.broker.nats_parser import parser_for
from event_gateway.broker.requests import NatsRequests

log = structlog.get_logger(__name__)

# Takes a message: its subject, the subject for a reply, its payload, and its headers.
Take = Callable[[bytes, bytes, bytes, Mapping[str, str] | None], None]

# As Take, with the block of headers as it came: none if it is empty.
TakeRaw = Callable[[bytes, bytes, bytes, bytes], None]

MAX_BUFFERED = 64 * 1024  # bytes in the connection's buffer, beyond which sending waits

# Errors of one call, after which the server keeps the connection.
_OF_A_CALL = ("permissions violation", "invalid subject", "invalid publish subject")


class NatsClient(Client):
    """A client that logs in with ``login``."""

    _parse_header_lines = staticmethod(parse_headers)

    def __init__(self, login: NatsLogin) -> None:
        super().__init__()
        self._login = login
        self._ps = parser_for(self)
        self.takes: dict[int, Take] = {}  # by subscription
        self.raw_takes: dict[int, TakeRaw] = {}
        self._requests = NatsRequests(self)

    async def request(
        self,
        subject: str,
        payload: bytes = b"",
        timeout: float = 0.5,
        old_style: bool = False,
        headers: dict[str, Any] | None = None,
    ) -> Msg:
        """The answer to a request, as the client's own. Raises NoRespondersError where no client
        takes the subject, nats.errors.TimeoutError after ``timeout`` seconds."""
        if old_style or headers:
            return await super().request(subject, payload, timeout, old_style, headers)
        return await self._requests.ask(subject, payload, timeout)

    async def take(self, subject: str, take: Take) -> Subscription:
        """Subscribes. ``take`` is called as soon as a message has been read."""
        subscription = await self.subscribe(subject)
        self.takes[subscription._id] = take
        return subscription

    async def take_raw(self, subject: str, take: TakeRaw) -> Subscription:
        """As :meth:`take`, with the headers as they came, byte by byte."""
        subscription = await self.subscribe(subject)
        self.raw_takes[subscription._id] = take
        return subscription

    async def end(self, subscription: Subscription) -> None:
        """Ends a subscription of :meth:`take` or :meth:`take_raw`."""
        self.takes.pop(subscription._id, None)
        self.raw_takes.pop(subscription._id, None)
        if not self.is_closed:
            await subscription.unsubscribe()

    async def flush(self, timeout: int = DEFAULT_FLUSH_TIMEOUT) -> None:
        """Returns once the server has processed all that was sent. Raises what the client's own
        raises, which may return before: it sends its ping ahead of what it has buffered."""
        await super().flush(timeout)
        await super().flush(timeout)

    def send(self, commands: bytes) -> None:
        """Sends commands together with all that others send in this turn of the event loop."""
        self._pending.append(commands)
        self._pending_data_size += len(commands)
        queue = self._flush_queue
        if queue is not None and queue.empty():
            queue.put_nowait(asyncio.get_running_loop().create_future())  # wakes what writes

    def send_now(self, commands: bytes) -> None:
        """Sends commands in a write of their own, without the task that writes what several send.

        That task is woken in another turn of the event loop, which costs as much as all else here.
        It is left to it to wait for a connection that is away, or does not take what is sent.
        """
        writer = self._writer
        if writer is not None and not self._pending and self.is_connected:
            transport = writer.transport
            if not transport.is_closing() and transport.get_write_buffer_size() < MAX_BUFFERED:
                transport.write(commands)
                return
        self.send(commands)

    def give(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes | None
    ) -> None:
        """Passes a message to the handler of its subscription; our parser does so itself."""
        stats = self.stats
        stats["in_msgs"] += 1
        stats["in_bytes"] += len(data)
        try:
            self.takes[sid](subject, reply, data, read_headers(headers) if headers else None)
        except Exception:  # it would end the client
            self.fault(subject)

    def give_raw(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes | None
    ) -> None:
        """As :meth:`give`, for those of :meth:`take_raw`; our parser does it itself."""
        stats = self.stats
        stats["in_msgs"] += 1
        stats["in_bytes"] += len(data)
        try:
            self.raw_takes[sid](subject, reply, data, headers or b"")
        except Exception:  # it would end the client
            self.fault(subject)

    def fault(self, subject: bytes) -> None:
        """Logs the present exception, with which a message could not be taken."""
        shown = subject[:256].decode(errors="replace")
        log.exception("a message of NATS cannot be taken", subject=shown)

    async def _process_msg(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes | None
    ) -> None:
        if sid in self.takes:  # only from the client's own parser
            self.give(sid, subject, reply, data, headers)
            return
        if sid in self.raw_takes:
            self.give_raw(sid, subject, reply, data, headers)
            return
        try:
            await super()._process_msg(sid, subject, reply, data, headers)  # type: ignore[arg-type]
        except Exception:  # it would end the client
            self.fault(subject)

    async def _process_headers(self, headers: bytes | None) -> dict[str, str] | None:
        try:
            return await super()._process_headers(headers)
        except (IndexError, UnicodeDecodeError):  # the server passes on whatever was published
            return {}

    @property
    def ssl_context(self) -> ssl.SSLContext:
        """The context of the next connection. Raises NatsLoginFailed."""
        return self._login.context() or super().ssl_context

    @property
    def wants_tls(self) -> bool:
        """Whether the present server may only be talked to over TLS."""
        server = self._current_server
        return self._login.tls is not None or (
            server is not None and server.uri.scheme in ("tls", "wss")
        )

    def _needs_upgrade(self, info: dict[str, Any]) -> bool:
        """Whether TLS must begin although the server's greeting does not ask for it."""
        server = self._current_server
        over_tls = server is not None and server.uri.scheme == "wss"
        return self.wants_tls and not over_tls and not info.get("tls_required")

    async def _process_connect_init(self) -> None:
        try:
            await super()._process_connect_init()
        except BaseException:
            writer = self._writer
            if writer is not None:
                writer.transport.abort()
                await asyncio.sleep(0)
            raise

    @property
    def _writer(self) -> asyncio.StreamWriter | None:
        """The stream of the present connection; None for a WebSocket."""
        return getattr(self._transport, "_io_writer", None)

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        # Called with the server's greeting, before TLS begins and before the credentials are sent.
        if initial_connection and self._needs_upgrade(info):
            if not info.get("tls_available"):
                key = "nats.tls" if self._login.tls is not None else "nats.url"
                raise NatsLoginFailed(f"{key}: the server does not offer TLS")
            info["tls_required"] = True
        await super()._process_info(info, initial_connection)

    def _connect_command(self) -> bytes:
        # Over TLS a connection cannot stay half open. asyncio logs a warning of protocols that want
        # it, as the client's own does.
        writer = self._writer
        if writer is not None and writer.get_extra_info("ssl_object") is not None:
            writer.transport.get_protocol()._over_ssl = True  # type: ignore[attr-defined]
        login = self._login
        if login.signs:
            nonce = self._server_info.get("nonce")
            if nonce is None:
                raise NatsLoginFailed(f"{login.key}: the server asks for no signature of an nkey")
            who, signature = login.signature(nonce)
            self._signature_cb = lambda _nonce: signature
            self._user_jwt_cb = (lambda: who["jwt"].encode()) if "jwt" in who else None
            self._public_nkey = who.get("nkey")
            self._auth_configured = True
        return super()._connect_command()

    async def _process_err(self, err_msg: str) -> None:
        text = err_msg.strip().strip("'")
        if any(harmless in text.lower() for harmless in _OF_A_CALL):
            await self._error_cb(NatsError(f"nats: {text}"))
            return
        error: NatsError
        if "stale connection" in text.lower():
            error = StaleConnectionError()
        elif "authorization violation" in text.lower():
            error = AuthorizationError()
        else:
            error = NatsError(f"nats: {text}")
        await self._error_cb(error)
        await self._process_op_err(error)
