"""Dialing receivers: resolves names, checks addresses, opens a few connections at a time.

The dialer connects to the very address that was checked; it does not resolve the name again.
"""

import asyncio
import errno
import functools
import socket
import ssl
from collections import deque
from collections.abc import Awaitable, Callable

import structlog

from event_gateway.core.webhook.error_type import ErrorType
from event_gateway.tasks import end, spawn
from event_gateway.transport.connection import Exchange, Failure, HttpConnection
from event_gateway.transport.egress_guard import EgressGuard
from event_gateway.transport.proxy import Proxy, ProxyFailed, tunnel
from event_gateway.transport.resolver import Resolver
from event_gateway.transport.target import Target

log = structlog.get_logger(__name__)

PER_TURN = 2  # connections started in one turn of the event loop, which must not be blocked
MAX_ADDRESSES = 4  # tried for one name
# Errors of this machine and not of the receiver: no socket is left.
EXHAUSTED = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
EXHAUSTED_WAIT = 0.1  # seconds until the next try

Tunnel = Callable[[str, int], Awaitable[socket.socket]]


class _Refused(Exception):
    """The egress guard refuses this name or address."""


class _NotFound(Exception):
    """The name has no address, or the resolver did not answer in time."""


class Dialer:
    """Opens connections, through ``proxy`` if that is not None. ``make`` creates the protocol of a
    connection; ``opened`` receives each open connection with its exchange."""

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
        self._dialing: set[asyncio.Task[None]] = set()
        self._turning = False

    def __len__(self) -> int:
        """Connections not yet open."""
        return len(self._waiting) + len(self._dialing)

    def dial(self, exchange: Exchange) -> None:
        """Opens a connection for an exchange, whose timeout starts when dialing starts."""
        self._waiting.append(exchange)
        if not self._turning:
            self._turning = True
            asyncio.get_running_loop().call_soon(self._turn)

    async def close(self) -> None:
        """Cancels all dialing, without calling ``done`` of the exchanges."""
        self._waiting.clear()
        await end(self._dialing)

    def _turn(self) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(min(PER_TURN, len(self._waiting))):
            exchange = self._waiting.popleft()
            exchange.deadline = exchange.deadline or loop.time() + exchange.timeout
            task = spawn(self._dial(exchange), name="dial")
            self._dialing.add(task)
            task.add_done_callback(self._dialing.discard)
        self._turning = bool(self._waiting)
        if self._turning:
            loop.call_soon(self._turn)

    async def _dial(self, exchange: Exchange) -> None:
        failure: Failure
        target, proxy = exchange.target, self.proxy
        try:
            connection = await self._open(exchange, proxy)
        except TimeoutError:
            through = f" through {proxy}" if proxy else ""
            failure = Failure(ErrorType.CONNECT_TIMEOUT, f"not connected in time{through}")
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
        except Exception as error:  # a bug must not leave the exchange without a result
            log.exception("dialing failed", host=target.host)
            failure = Failure(ErrorType.CONNECTION_RESET, repr(error))
        else:
            self._opened(connection, exchange)
            return
        exchange.done(failure)

    async def _open(self, exchange: Exchange, proxy: Proxy | None) -> HttpConnection:
        deadline = exchange.deadline
        addresses = await self._checked_addresses(exchange.target, deadline, proxy)
        via = None if proxy is None else await self._tunnel(proxy, deadline)
        loop = asyncio.get_running_loop()
        error = OSError("no address")
        addresses = addresses[:MAX_ADDRESSES]
        for tried, address in enumerate(addresses):
            # An address that never answers must leave time for the others.
            now = loop.time()
            try:
                async with asyncio.timeout((deadline - now) / (len(addresses) - tried)):
                    return await self._connect_when_possible(address, exchange, via)
            except OSError as failed:  # including TimeoutError
                error = failed
        raise error

    async def _checked_addresses(
        self, target: Target, deadline: float, proxy: Proxy | None
    ) -> list[str]:
        """The addresses of a target, all allowed; only its name where the proxy resolves names."""
        by_proxy = proxy is not None and proxy.resolves_names and not target.literal
        reason = self._guard.refuses_host(
            target.host, target.port, target.scheme, resolved=not by_proxy
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
        # The guard does not check the proxy's own address: the operator configured it.
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

    async def _connect_when_possible(
        self, address: str, exchange: Exchange, via: Tunnel | None
    ) -> HttpConnection:
        """Connects; waits while this machine has no socket left."""
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
        context = server_name = None
        if target.scheme == "https":
            context = identity.context if identity else self._context
            server_name = target.host.removesuffix(".")  # RFC 6066, 3
        if via is None:
            _, connection = await loop.create_connection(
                self._make, address, target.port, ssl=context, server_hostname=server_name
            )
        else:
            sock = await via(address, target.port)
            _, connection = await loop.create_connection(
                self._make, sock=sock, ssl=context, server_hostname=server_name
            )
        return connection
