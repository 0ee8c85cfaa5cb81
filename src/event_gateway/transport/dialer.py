"""Dialing receivers: resolves names, checks addresses, opens a few connections at a time.

The dialer connects to the very address that was checked; it does not resolve the name again.
"""

import asyncio
import functools
import socket
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NamedTuple

import structlog

from event_gateway.core.webhook.error_type import AttemptErrorType
from event_gateway.tasks import end, spawn
from event_gateway.transport.connecting import Connecting
from event_gateway.transport.connection import HttpConnection
from event_gateway.transport.egress_guard import EgressGuard
from event_gateway.transport.exchange import Failure, OutgoingExchange
from event_gateway.transport.proxy import Proxy, ProxyFailed, tunnel
from event_gateway.transport.racing import (
    EXHAUSTED,
    Connect,
    first_connected,
    interleaved,
    open_socket,
)
from event_gateway.transport.resolver import Resolver
from event_gateway.transport.target import Target

log = structlog.get_logger(__name__)

# Connections started in one turn of the event loop, which must not be blocked. Those that are
# refused end together, and share what follows.
PER_TURN = 4
MAX_ADDRESSES = 4  # tried for one name
EXHAUSTED_WAIT = 0.1  # seconds until the next try, while this machine has no socket left

Tunnel = Callable[[str, int], Awaitable[socket.socket]]


class JudgedAddresses(NamedTuple):
    """The addresses of a name: those to which the egress guard allows connections, and the others
    with the reasons. ``unresolved``: why the name has none, if it is known to have none."""

    allowed: list[str]
    refused: dict[str, str]
    unresolved: str | None = None


class _Refused(Exception):
    """The egress guard refuses this name or address."""


class _NotFound(Exception):
    """The name has no address; ``timed_out``: the resolver did not answer in time."""

    def __init__(self, text: str, *, timed_out: bool = False) -> None:
        super().__init__(text)
        self.timed_out = timed_out


class Dialer:
    """Opens connections, through ``proxy`` if that is not None. ``make`` creates the protocol of a
    connection; ``opened`` receives each open connection with its exchange."""

    def __init__(
        self,
        guard: EgressGuard,
        context: ssl.SSLContext,
        make: Callable[[], HttpConnection],
        opened: Callable[[HttpConnection, OutgoingExchange], None],
        *,
        resolver: Resolver,
        proxy: Proxy | None,
    ) -> None:
        self._proxy = proxy
        self._guard = guard
        self._context = context
        self._make = make
        self._opened = opened
        self._resolver = resolver
        self._waiting: deque[OutgoingExchange] = deque()
        self._connecting = Connecting()
        self._dialing: set[asyncio.Task[None]] = set()
        self._turning = False
        self._closed = False

    def __len__(self) -> int:
        """Connections not yet open."""
        return len(self._waiting) + len(self._connecting) + len(self._dialing)

    def use_proxy(self, proxy: Proxy | None) -> None:
        """Opens connections through another proxy from now on; None for no proxy."""
        self._proxy = proxy

    def dial(self, exchange: OutgoingExchange) -> None:
        """Opens a connection for an exchange, whose timeout starts when dialing starts. Once the
        dialer is closed, the exchange fails."""
        if self._closed:
            asyncio.get_running_loop().call_soon(exchange.done, _closed())
            return
        self._waiting.append(exchange)
        if not self._turning:
            self._turning = True
            asyncio.get_running_loop().call_soon(self._turn)

    async def close(self) -> None:
        """Cancels all dialing, without calling ``done`` of the exchanges."""
        self._closed = True
        self._waiting.clear()
        self._connecting.close()
        await end(self._dialing)

    def _turn(self) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(min(PER_TURN, len(self._waiting))):
            exchange = self._waiting.popleft()
            exchange.deadline = exchange.deadline or loop.time() + exchange.timeout
            try:
                address = self._only_address(exchange.target)
                if address is None:
                    self._start(self._dial(exchange))
                else:
                    ended = functools.partial(self._connected, exchange)
                    port, deadline = exchange.target.port, exchange.deadline
                    self._connecting.connect(address, port, deadline, ended)
            except Exception as error:  # a bug must not keep all others from being dialed
                loop.call_soon(exchange.done, _failure(error, exchange.target, None))
        self._turning = bool(self._waiting)
        if self._turning:
            loop.call_soon(self._turn)

    def _start(self, dialing: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = spawn(dialing, name="dial")
        self._dialing.add(task)
        task.add_done_callback(self._dialing.discard)
        return task

    def _only_address(self, target: Target) -> str | None:
        """The address of a target, where that is known and allowed, and there is nothing to choose
        or to wait for."""
        if self._proxy is not None:
            return None
        known = [target.host] if target.literal else self._resolver.known(target.host)
        if known is None or len(known) != 1:
            return None
        host, port, scheme = target.host, target.port, target.scheme
        if self._guard.refuses_host(host, port, scheme, resolved=True) is not None:
            return None
        return known[0] if self._guard.refuses(known[0], port, scheme) is None else None

    def _connected(self, exchange: OutgoingExchange, result: socket.socket | OSError) -> None:
        """The socket of an exchange is connected, or could not be."""
        if self._closed:
            if isinstance(result, socket.socket):
                result.close()
        elif isinstance(result, socket.socket):
            using = self._start(self._use(result, exchange))
            # A task that is cancelled before its first step runs none of its code.
            using.add_done_callback(lambda task: result.close() if task.cancelled() else None)
        elif result.errno in EXHAUSTED:
            self._start(self._dial(exchange))  # it waits until this machine has one again
        else:
            exchange.done(_failure(result, exchange.target, None))

    async def _use(self, sock: socket.socket, exchange: OutgoingExchange) -> None:
        """Sends the request of an exchange over a connected socket."""
        try:
            async with asyncio.timeout_at(exchange.deadline):
                connection = await self._connect(sock, exchange)
        except Exception as error:
            exchange.done(_failure(error, exchange.target, None))
        else:
            self._opened(connection, exchange)

    async def _dial(self, exchange: OutgoingExchange) -> None:
        proxy = self._proxy
        skipped: list[str] = []
        try:
            connection = await self._open(exchange, proxy, skipped)
        except Exception as error:
            failure = _failure(error, exchange.target, proxy)
            if skipped:
                failure.message += f" (not tried: {', '.join(skipped)}, which the guard refuses)"
            exchange.done(failure)
        else:
            self._opened(connection, exchange)

    async def judge_addresses(self, target: Target, timeout: float) -> JudgedAddresses:
        """What the guard says of the addresses of a target now. Nothing if the proxy resolves the
        name, or if it is not resolved within ``timeout`` seconds."""
        judged = JudgedAddresses([], {})
        if self._proxy is not None and self._proxy.resolves_names:
            return judged
        try:
            addresses = await self._addresses(target, asyncio.get_running_loop().time() + timeout)
        except _NotFound as error:
            return judged if error.timed_out else judged._replace(unresolved=str(error))
        for address in addresses:
            self._judge(address, target, judged)
        return judged

    async def _open(
        self, exchange: OutgoingExchange, proxy: Proxy | None, skipped: list[str]
    ) -> HttpConnection:
        """Connects to the first address that answers. Adds to ``skipped`` the addresses that the
        guard refuses while it allows others."""
        deadline, port = exchange.deadline, exchange.target.port
        addresses = await self._allowed_addresses(exchange.target, deadline, proxy, skipped)
        via = None if proxy is None else await self._tunnel(proxy, deadline)
        async with asyncio.timeout_at(deadline):
            if len(addresses) == 1:  # there is nothing to choose, and no other to leave time for
                return await self._connect(await _open_socket(port, via, addresses[0]), exchange)
            connect = functools.partial(_open_socket, port, via)
            return await self._open_one(exchange, connect, interleaved(addresses)[:MAX_ADDRESSES])

    async def _open_one(
        self, exchange: OutgoingExchange, connect: Connect, left: list[str]
    ) -> HttpConnection:
        """Connects to one of several addresses."""
        loop = asyncio.get_running_loop()
        tls_error: OSError | None = None
        while left:
            try:
                address, sock = await first_connected(connect, left)
            except OSError as error:
                raise tls_error or error from None
            # A handshake that is never answered must leave time for the other addresses.
            try:
                async with asyncio.timeout((exchange.deadline - loop.time()) / len(left)):
                    return await self._connect(sock, exchange)
            except OSError as error:  # including TimeoutError
                left.remove(address)
                tls_error = error
        raise tls_error or OSError("no address")

    async def _allowed_addresses(
        self, target: Target, deadline: float, proxy: Proxy | None, skipped: list[str]
    ) -> list[str]:
        """The allowed addresses of a target; only its name where the proxy resolves names. Adds the
        others to ``skipped``. Raises _Refused if none is allowed."""
        by_proxy = proxy is not None and proxy.resolves_names and not target.literal
        reason = self._guard.refuses_host(
            target.host, target.port, target.scheme, resolved=not by_proxy
        )
        if reason is not None:
            raise _Refused(reason)
        if by_proxy:
            return [target.host]
        judged = JudgedAddresses([], {})
        for address in await self._addresses(target, deadline):
            self._judge(address, target, judged)
        if not judged.allowed:
            raise _Refused(next(iter(judged.refused.values()), f"{target.host} has no address"))
        skipped += judged.refused
        return judged.allowed

    def _judge(self, address: str, target: Target, judged: JudgedAddresses) -> None:
        reason = self._guard.refuses(address, target.port, target.scheme)
        if reason is None:
            judged.allowed.append(address)
        else:
            judged.refused[address] = reason

    async def _tunnel(self, proxy: Proxy, deadline: float) -> Tunnel:
        # The guard does not check the proxy's own address: the operator configured it.
        try:
            addresses = await self._addresses(proxy.target, deadline)
        except _NotFound as error:
            raise ProxyFailed(AttemptErrorType.NAME_RESOLUTION, f"the proxy {error}") from None
        return functools.partial(tunnel, proxy, addresses)

    async def _addresses(self, target: Target, deadline: float) -> list[str]:
        host = target.host
        if target.literal:
            return [host]
        try:
            async with asyncio.timeout_at(deadline):
                return await self._resolver.addresses(host)
        except TimeoutError:
            raise _NotFound(f"{host}: no answer in time", timed_out=True) from None
        except (OSError, UnicodeError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise _NotFound(f"{host}: {why}") from None

    async def _connect(self, sock: socket.socket, exchange: OutgoingExchange) -> HttpConnection:
        """An HTTP connection over a connected socket, which is closed if that fails."""
        loop = asyncio.get_running_loop()
        target, identity = exchange.target, exchange.identity
        context = server_name = None
        if target.scheme == "https":
            context = identity.context if identity else self._context
            server_name = target.host.removesuffix(".")  # RFC 6066, 3
        try:
            _, connection = await loop.create_connection(
                self._make, sock=sock, ssl=context, server_hostname=server_name
            )
        except BaseException:
            sock.close()
            raise
        connection.origin = exchange.origin
        return connection


def _failure(error: Exception, target: Target, proxy: Proxy | None) -> Failure:
    """What an exception while dialing means."""
    match error:
        case TimeoutError():
            through = f" through {proxy}" if proxy else ""
            return Failure(AttemptErrorType.CONNECT_TIMEOUT, f"not connected in time{through}")
        case ProxyFailed():
            return Failure(error.error_type, str(error))
        case _Refused():
            return Failure(AttemptErrorType.EGRESS_REFUSED, str(error))
        case _NotFound():
            return Failure(AttemptErrorType.NAME_RESOLUTION, str(error))
        case ConnectionRefusedError():
            return Failure(
                AttemptErrorType.CONNECTION_REFUSED, f"{target.host}:{target.port} refused"
            )
        case ssl.SSLError():
            why = getattr(error, "verify_message", "") or error.reason or str(error)
            return Failure(AttemptErrorType.TLS_ERROR, f"{target.host}: {why}")
        case OSError():
            return Failure(AttemptErrorType.CONNECTION_RESET, error.strerror or str(error))
        case _:  # a bug must not leave the exchange without a result
            log.error("dialing failed", host=target.host, exc_info=error)
            return Failure(AttemptErrorType.CONNECTION_RESET, repr(error))


def _closed() -> Failure:
    return Failure(AttemptErrorType.CONNECTION_RESET, "the gateway's HTTP client is closed")


async def _open_socket(port: int, via: Tunnel | None, address: str) -> socket.socket:
    """A connection to an address, through a tunnel if that is given. Waits while this machine has
    no socket left."""
    while True:
        try:
            return await (open_socket(address, port) if via is None else via(address, port))
        except OSError as error:
            if error.errno not in EXHAUSTED:
                raise
            await asyncio.sleep(EXHAUSTED_WAIT)
