"""Dialling receivers: names looked up, addresses checked, a few connections begun at a time.

The address that is checked is the one that is dialled: between them no name is looked up again.
"""

import asyncio
import errno
import functools
import socket
import ssl
from collections import deque
from collections.abc import Awaitable, Callable

import structlog

from event_gateway.core.errors import ErrorType
from event_gateway.tasks import end, spawn
from event_gateway.transport.connection import Exchange, Failure, HttpConnection
from event_gateway.transport.egress_guard import EgressGuard
from event_gateway.transport.proxy import Proxy, ProxyFailed, tunnel
from event_gateway.transport.resolver import Resolver
from event_gateway.transport.target import Target

log = structlog.get_logger(__name__)

PER_TURN = 2  # connections begun in one turn of the event loop: many must not hold up the rest
MAX_ADDRESSES = 4  # of a name that are tried
# Nothing of the receiver's: this machine has no socket left.
EXHAUSTED = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
EXHAUSTED_WAIT = 0.1  # seconds until it is tried again

Tunnel = Callable[[str, int], Awaitable[socket.socket]]


class _Refused(Exception):
    """The guard does not let this name or address be dialled."""


class _NotFound(Exception):
    """The name has no address, or none that came in time."""


class Dialer:
    """Opens connections, made by ``make``, and hands them to ``opened`` with their exchange;
    through ``proxy``, where there is one."""

    def __init__(
        self,
        guard: EgressGuard,
        context: ssl.SSLContext,
        make: Callable[[], HttpConnection],
        opened: Callable[[HttpConnection, Exchange], None],
        resolver: Resolver,
        proxy: Proxy | None,
    ) -> None:
        self.proxy = proxy
        self._guard = guard
        self._context = context
        self._make = make
        self._opened = opened
        self._resolver = resolver
        self._waiting: deque[Exchange] = deque()
        self._dialling: set[asyncio.Task[None]] = set()
        self._turning = False

    def __len__(self) -> int:
        """Connections that are to be opened."""
        return len(self._waiting) + len(self._dialling)

    def dial(self, exchange: Exchange) -> None:
        """Opens a connection for an exchange; its time runs from when that begins."""
        self._waiting.append(exchange)
        if not self._turning:
            self._turning = True
            asyncio.get_running_loop().call_soon(self._turn)

    async def close(self) -> None:
        """Ends what is begun, and begins nothing more; their exchanges are not told."""
        self._waiting.clear()
        await end(self._dialling)

    def _turn(self) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(min(PER_TURN, len(self._waiting))):
            exchange = self._waiting.popleft()
            exchange.deadline = exchange.deadline or loop.time() + exchange.timeout
            task = spawn(self._dial(exchange), name="dial")
            self._dialling.add(task)
            task.add_done_callback(self._dialling.discard)
        self._turning = bool(self._waiting)
        if self._turning:
            loop.call_soon(self._turn)

    async def _dial(self, exchange: Exchange) -> None:
        failure: Failure
        target, proxy = exchange.target, self.proxy
        try:
            connection = await self._open(exchange, proxy)
        except TimeoutError:
            by = f" through {proxy}" if proxy else ""
            failure = Failure(ErrorType.CONNECT_TIMEOUT, f"not connected in time{by}")
        except ProxyFailed as error:
            failure = Failure(error.error_type, str(error))
        except _Refused as error:
            failure = Failure(ErrorType.EGRESS_REFUSED, str(error))
        except _NotFound as error:
            failure = Failure(ErrorType.NAME_RESOLUTION, str(error))
        except ConnectionRefusedError:
            failure = Failure(ErrorType.CONNECTION_REFUSED, f"{target.host}:{target.port} refused")
        except ssl.SSLError as error:
            why = getattr(error, "verify_message", "") or error.reason or str(error)
            failure = Failure(ErrorType.TLS_ERROR, f"{target.host}: {why}")
        except OSError as error:
            failure = Failure(ErrorType.CONNECTION_RESET, error.strerror or str(error))
        except Exception as error:  # a mistake of ours must not keep its place for ever
            log.exception("dialling failed", host=target.host)
            failure = Failure(ErrorType.CONNECTION_RESET, repr(error))
        else:
            self._opened(connection, exchange)
            return
        exchange.done(failure)

    async def _open(self, exchange: Exchange, proxy: Proxy | None) -> HttpConnection:
        deadline = exchange.deadline
        addresses = await self._checked(exchange.target, deadline, proxy)
        via = None if proxy is None else await self._tunnel(proxy, deadline)
        loop = asyncio.get_running_loop()
        error = OSError("no address")
        addresses = addresses[:MAX_ADDRESSES]
        for position, address in enumerate(addresses):
            # An address that swallows everything must leave time for the others.
            now = loop.time()
            try:
                async with asyncio.timeout((deadline - now) / (len(addresses) - position)):
                    return await self._to(address, exchange, via)
            except OSError as failed:  # TimeoutError among them
                error = failed
        raise error

    async def _checked(self, target: Target, deadline: float, proxy: Proxy | None) -> list[str]:
        """What may be dialled: addresses, or the name where the proxy looks it up."""
        by_proxy = proxy is not None and proxy.looks_up and not target.literal
        reason = self._guard.refuses_host(
            target.host, target.port, target.scheme, looked_up=not by_proxy
        )
        if reason is not None:
            raise _Refused(reason)
        if by_proxy:
            return [target.host]
        addresses = await self._addresses(target, deadline)
        for address in addresses:
            reason = self._guard.refuses(address, target.port, target.scheme)
            if reason is not None:  # one refused address refuses the name
                raise _Refused(reason)
        return addresses

    async def _tunnel(self, proxy: Proxy, deadline: float) -> Tunnel:
        # Where the proxy itself is, the operator has said: the guard does not judge it.
        try:
            addresses = await self._addresses(proxy.target, deadline)
        except _NotFound as error:
            raise ProxyFailed(ErrorType.NAME_RESOLUTION, f"the proxy {error}") from None
        return functools.partial(tunnel, proxy, addresses)

    async def _addresses(self, target: Target, deadline: float) -> list[str]:
        host = target.host
        if target.literal:
            return [host]
        try:
            async with asyncio.timeout_at(deadline):
                return await self._resolver.addresses(host)
        except TimeoutError:
            raise _NotFound(f"{host}: no answer in time") from None
        except (OSError, UnicodeError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise _NotFound(f"{host}: {why}") from None

    async def _to(self, address: str, exchange: Exchange, via: Tunnel | None) -> HttpConnection:
        while True:
            try:
                connection = await self._connect(address, exchange, via)
            except OSError as error:
                if error.errno not in EXHAUSTED:
                    raise
                await asyncio.sleep(EXHAUSTED_WAIT)
            else:
                connection.origin = exchange.origin
                return connection

    async def _connect(
        self, address: str, exchange: Exchange, via: Tunnel | None
    ) -> HttpConnection:
        loop = asyncio.get_running_loop()
        target, identity = exchange.target, exchange.identity
        secure = target.scheme == "https"
        own = identity.context if identity else self._context
        context = own if secure else None
        name = target.host if secure else None
        if via is None:
            _, connection = await loop.create_connection(
                self._make, address, target.port, ssl=context, server_hostname=name
            )
        else:
            sock = await via(address, target.port)
            _, connection = await loop.create_connection(
                self._make, sock=sock, ssl=context, server_hostname=name
            )
        return connection
