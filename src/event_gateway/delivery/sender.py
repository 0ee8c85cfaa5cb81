"""The sender: POSTs over pooled keep-alive connections, each under one deadline.

Narrow on purpose: no redirects, no cookies, no decompression. Results come by callback, so that
a request on a warm connection costs no task.
"""

import asyncio
import contextlib
import socket
import ssl
from collections import deque
from collections.abc import Callable

from event_gateway.core.errors import ErrorType
from event_gateway.delivery.egress import EgressGuard
from event_gateway.delivery.http_connection import Exchange, Failure, HttpConnection, Response
from event_gateway.delivery.target import Target, parse_target
from event_gateway.tasks import end

__all__ = ["Failure", "Response", "Sender", "Target", "parse_target"]

SWEEP = 0.05  # seconds between looks for what is over its deadline
BODY_LIMIT = 16 * 1024
MAX_IDLE_PER_ORIGIN = 64
IDLE_TIMEOUT = 30.0

Origin = tuple[str, str, int]


class _Refused(Exception):
    """The guard does not let this name or address be dialled."""


class Sender:
    """All connections to receivers. ``in_flight`` counts requests without a result yet."""

    def __init__(
        self,
        guard: EgressGuard,
        *,
        body_limit: int = BODY_LIMIT,
        max_idle_per_origin: int = MAX_IDLE_PER_ORIGIN,
        idle_timeout: float = IDLE_TIMEOUT,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._guard = guard
        self._body_limit = body_limit
        self._max_idle = max_idle_per_origin
        self._idle_timeout = idle_timeout
        self._ssl = ssl_context or ssl.create_default_context()
        self._ssl.set_alpn_protocols(["http/1.1"])
        self._idle: dict[Origin, deque[HttpConnection]] = {}
        self._busy: set[HttpConnection] = set()
        self._connecting: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._resting = False  # nothing is in flight: the sweep looks only for idle connections
        self._closed = False
        self._generation = 0

    @property
    def in_flight(self) -> int:
        """Requests that have no result yet."""
        return len(self._busy) + len(self._connecting)

    @property
    def open_connections(self) -> int:
        """Connections, busy and idle."""
        return len(self._busy) + sum(len(idle) for idle in self._idle.values())

    def post(
        self,
        target: Target,
        head: bytes,
        body: bytes,
        timeout: float,
        done: Callable[[Response | Failure], None],
    ) -> None:
        """Sends a request; ``done`` is called once, later, from the event loop.

        ``head`` is the complete request head with its empty line. ``timeout`` in seconds covers
        name look-up, connect, TLS, headers and body.
        """
        loop = asyncio.get_running_loop()
        exchange = Exchange(head + body, loop.time() + timeout, done)
        if self._sweeper is None or self._resting:
            if self._sweeper is not None:
                self._sweeper.cancel()
            self._resting = False
            self._sweeper = loop.call_later(SWEEP, self._sweep)
        idle = self._idle.get(target.origin)
        while idle:
            connection = idle.pop()
            if connection.reusable:
                exchange.may_retry = True
                self._busy.add(connection)
                connection.send(exchange)
                return
        self._connect(target, exchange)

    async def close(self) -> None:
        """Closes everything; requests without a result fail."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        await end(self._connecting)
        for connection in [*self._busy, *(c for idle in self._idle.values() for c in idle)]:
            connection.abort()
        self._idle.clear()

    def renew(self) -> None:
        """Lets no connection be used again that was dialled before: the guard has changed."""
        self._generation += 1
        for idle in list(self._idle.values()):
            for connection in list(idle):
                connection.abort()
        self._idle.clear()

    def _connect(self, target: Target, exchange: Exchange) -> None:
        task = asyncio.create_task(self._dial(target, exchange))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _dial(self, target: Target, exchange: Exchange) -> None:
        failure: Failure
        try:
            async with asyncio.timeout_at(exchange.deadline):
                connection = await self._open(target)
        except TimeoutError:
            failure = Failure(ErrorType.CONNECT_TIMEOUT, "not connected in time")
        except _Refused as error:
            failure = Failure(ErrorType.EGRESS_REFUSED, str(error))
        except socket.gaierror as error:
            failure = Failure(ErrorType.NAME_RESOLUTION, f"{target.host}: {error.strerror}")
        except ConnectionRefusedError:
            failure = Failure(ErrorType.CONNECTION_REFUSED, f"{target.host}:{target.port} refused")
        except ssl.SSLError as error:
            why = getattr(error, "verify_message", "") or error.reason or error
            failure = Failure(ErrorType.TLS_ERROR, f"{target.host}: {why}")
        except OSError as error:
            failure = Failure(ErrorType.CONNECTION_RESET, error.strerror or str(error))
        else:
            self._busy.add(connection)
            connection.send(exchange)
            return
        exchange.done(failure)

    async def _open(self, target: Target) -> HttpConnection:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
        for address in addresses:
            reason = self._guard.refuses(address)
            if reason is not None:  # one refused address refuses the name
                raise _Refused(reason)
        secure = target.scheme == "https"
        error: OSError | None = None
        for address in addresses[:4]:
            try:
                _, connection = await loop.create_connection(
                    lambda: HttpConnection(self._body_limit, self._finished, self._lost),
                    address,
                    target.port,
                    ssl=self._ssl if secure else None,
                    server_hostname=target.host if secure else None,
                )
            except OSError as failed:
                error = failed
                continue
            connection.origin = target.origin
            connection.generation = self._generation
            return connection
        raise error or OSError(f"{target.host} has no address")

    def _finished(
        self, connection: HttpConnection, exchange: Exchange, result: Response | Failure
    ) -> None:
        self._busy.discard(connection)
        current = connection.generation == self._generation and not self._closed
        if connection.reusable and not current:
            connection.abort()
        elif connection.reusable:
            idle = self._idle.setdefault(connection.origin, deque())
            if len(idle) < self._max_idle:
                connection.idle_since = asyncio.get_running_loop().time()
                idle.append(connection)
            else:
                connection.abort()
        elif (
            isinstance(result, Failure)
            and result.error_type == ErrorType.CONNECTION_RESET
            and exchange.may_retry
            and not connection.answered
            and not self._closed
        ):
            # The receiver closed a kept connection just as it was used again: not its failure.
            exchange.may_retry = False
            scheme, host, port = connection.origin
            self._connect(Target(scheme, host, port, "", b""), exchange)
            return
        exchange.done(result)

    def _lost(self, connection: HttpConnection) -> None:
        idle = self._idle.get(connection.origin)
        if idle is not None:
            with contextlib.suppress(ValueError):
                idle.remove(connection)
            if not idle:
                del self._idle[connection.origin]

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in [c for c in self._busy if c.exchange and c.exchange.deadline < now]:
            connection.expire()
        for idle in list(self._idle.values()):
            while idle and now - idle[0].idle_since > self._idle_timeout:
                idle.popleft().abort()
        self._resting = not (self._busy or self._connecting)
        if not self._resting or any(self._idle.values()):
            self._sweeper = loop.call_later(1.0 if self._resting else SWEEP, self._sweep)
        else:
            self._sweeper = None
