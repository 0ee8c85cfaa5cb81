"""The sender: requests over pooled keep-alive connections, each under one deadline.

Narrow on purpose: no redirects, no cookies, no decompression. Results come by callback, so that
a request on a warm connection costs no task.
"""

import asyncio
import contextlib
import math
import ssl
from collections import deque
from collections.abc import Callable

from event_gateway.core.webhook.error_type import AttemptErrorType
from event_gateway.transport.connection import HttpConnection
from event_gateway.transport.dialer import Dialer, JudgedAddresses
from event_gateway.transport.egress_guard import EgressGuard
from event_gateway.transport.exchange import Failure, OutgoingExchange, Response
from event_gateway.transport.proxy import Proxy
from event_gateway.transport.resolver import Resolver
from event_gateway.transport.target import Origin, Target, parse_target
from event_gateway.transport.tls_files import Identity, Trust

__all__ = ["Failure", "HttpClient", "JudgedAddresses", "Response", "Target", "parse_target"]

SWEEP = 0.05  # seconds between two checks for requests past their deadline, at the least
EXPIRED_PER_TURN = 4  # requests ended in one turn of the event loop, which must not be blocked
BODY_LIMIT = 16 * 1024
# Open connections without a request; beyond it the oldest are closed. Half of them may be to one
# origin: many webhooks may have the same one, and each of them many requests at once.
MAX_IDLE = 1024
IDLE_TIMEOUT = 30.0
# Seconds after which a connection takes no other request: a receiver that moved to another address
# gets its requests there, however steady they are.
MAX_AGE = 60.0


class HttpClient:
    """Sends requests to receivers, and owns the connections to them."""

    def __init__(
        self,
        guard: EgressGuard,
        *,
        body_limit: int = BODY_LIMIT,
        body_timeout: float = math.inf,
        max_idle: int = MAX_IDLE,
        idle_timeout: float = IDLE_TIMEOUT,
        max_age: float = MAX_AGE,
        ssl_context: ssl.SSLContext | None = None,
        resolver: Resolver | None = None,
        proxy: Proxy | None = None,
        trust: Trust | None = None,
    ) -> None:
        """``body_limit`` in bytes and ``body_timeout`` in seconds, from the head on: a response
        whose body exceeds them is complete without the rest."""
        self._trust = trust or Trust()
        self._max_idle = max_idle
        self._max_idle_per_origin = (max_idle + 1) // 2
        self._idle_timeout = idle_timeout
        self._max_age = max_age
        context = ssl_context or ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        self._dialer = Dialer(
            guard, context,
            lambda: HttpConnection(body_limit, self._finished, self._lost, body_timeout),
            self._opened, resolver=resolver or Resolver(), proxy=proxy,
        )  # fmt: skip
        self._idle: dict[Origin, deque[HttpConnection]] = {}
        self._oldest: dict[HttpConnection, None] = {}  # idle connections, longest idle first
        self._busy: set[HttpConnection] = set()
        # The event loop, once it runs: to ask for it costs a system call in Python 3.11.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._body_timeout = body_timeout
        self._sweeper: asyncio.TimerHandle | None = None
        self._sweep_at = math.inf  # in the event loop's time
        self._closed = False
        self._generation = 0

    @property
    def in_flight(self) -> int:
        """Requests that have no result yet."""
        return len(self._busy) + len(self._dialer)

    @property
    def open_connections(self) -> int:
        """Connections, busy and idle."""
        return len(self._busy) + len(self._oldest)

    def post(
        self,
        target: Target,
        head: bytes,
        body: bytes,
        timeout: float,
        done: Callable[[Response | Failure], None],
        identity: Identity | None = None,
    ) -> None:
        """Sends a request; ``done`` is called once with the result, later, from the event loop.

        ``head`` is the complete request head with its empty line. ``timeout`` in seconds covers
        name resolution, connecting, TLS, headers and body. ``identity``: the TLS files of the
        webhook; None for the gateway's own authorities and no client certificate.
        """
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        if identity is None and self._trust.file is not None:
            identity = self._trust.identity()
        exchange = OutgoingExchange(target, head + body, timeout, done, self._generation, identity)
        idle = self._idle.get(target.origin if identity is None else exchange.origin)
        while idle:
            connection = idle.pop()
            self._oldest.pop(connection, None)
            if connection.reusable:
                now = loop.time()
                exchange.deadline = now + timeout
                exchange.may_retry = True
                self._begin(connection, exchange, now)
                return
        self._dialer.dial(exchange)

    async def judge_addresses(self, target: Target, timeout: float) -> JudgedAddresses:
        """What the egress guard says of the addresses of a target now; nothing if they are not
        known within ``timeout`` seconds."""
        return await self._dialer.judge_addresses(target, timeout)

    async def close(self) -> None:
        """Closes all connections; requests without a result fail."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        await self._dialer.close()
        for connection in [*self._busy, *self._oldest]:
            connection.abort()
        self._forget_idle()

    def renew(self, proxy: Proxy | None) -> None:
        """Uses ``proxy`` (None for no proxy) and the changed egress guard from now on: closes the
        idle connections, and closes the busy ones after their request."""
        self._dialer.use_proxy(proxy)
        self._generation += 1
        for connection in list(self._oldest):
            connection.abort()
        self._forget_idle()

    def _forget_idle(self) -> None:
        self._idle.clear()
        self._oldest.clear()

    def _opened(self, connection: HttpConnection, exchange: OutgoingExchange) -> None:
        connection.generation = exchange.generation
        connection.opened_at = now = asyncio.get_running_loop().time()
        self._begin(connection, exchange, now)

    def _begin(self, connection: HttpConnection, exchange: OutgoingExchange, now: float) -> None:
        self._busy.add(connection)
        # The head of the response moves the deadline forward, at the most to here.
        first = min(exchange.deadline, now + self._body_timeout)
        if first < self._sweep_at:
            self._sweep_by(first)
        connection.send(exchange)

    def _finished(
        self, connection: HttpConnection, exchange: OutgoingExchange, result: Response | Failure
    ) -> None:
        self._busy.discard(connection)
        if connection.reusable:
            self._keep(connection)
        elif (
            isinstance(result, Failure)
            and result.error_type == AttemptErrorType.CONNECTION_RESET
            and exchange.may_retry
            and not connection.answered
            and not self._closed
        ):
            # The receiver closed an idle connection just as it was reused: this is no failure of
            # the receiver, so the request is sent once more on a new connection.
            exchange.may_retry = False
            self._dialer.dial(exchange)
            return
        exchange.done(result)

    def _keep(self, connection: HttpConnection) -> None:
        idle = self._idle.get(connection.origin)
        if idle is None:
            idle = self._idle[connection.origin] = deque()
        assert self._loop is not None
        now = self._loop.time()
        current = connection.generation == self._generation and not self._closed
        too_old = now - connection.opened_at > self._max_age
        if not current or too_old or len(idle) >= self._max_idle_per_origin:
            connection.abort()
            return
        connection.idle_since = now
        idle.append(connection)
        self._oldest[connection] = None
        if now + self._idle_timeout < self._sweep_at:
            self._sweep_by(now + self._idle_timeout)
        if len(self._oldest) > self._max_idle:
            self._drop(next(iter(self._oldest)))

    def _drop(self, connection: HttpConnection) -> None:
        """Closes an idle connection."""
        self._lost(connection)
        connection.abort()

    def _lost(self, connection: HttpConnection) -> None:
        self._oldest.pop(connection, None)
        idle = self._idle.get(connection.origin)
        if idle is not None:
            with contextlib.suppress(ValueError):
                idle.remove(connection)
            if not idle:
                del self._idle[connection.origin]

    def _sweep_by(self, at: float) -> None:
        """Sweeps at a time that is before the next sweep."""
        assert self._loop is not None
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._sweep_at = at
        self._sweeper = self._loop.call_at(at, self._sweep)

    def _sweep(self) -> None:
        """Ends requests whose deadline has passed, and closes connections that were idle for long.

        The next sweep is at the next such moment. With a sweep at fixed times, a gateway with few
        events would wake up for it more often than for them.
        """
        assert self._loop is not None
        now = self._loop.time()
        self._sweep_at = math.inf
        while self._oldest and now - next(iter(self._oldest)).idle_since >= self._idle_timeout:
            self._drop(next(iter(self._oldest)))
        expired, following = [], math.inf
        for connection in self._busy:
            if connection.exchange is not None:
                if connection.exchange.deadline <= now:
                    expired.append(connection)
                else:
                    following = min(following, connection.exchange.deadline)
        for connection in expired[:EXPIRED_PER_TURN]:
            connection.expire()
        if self._busy:  # see `_begin`
            following = max(min(following, now + self._body_timeout), now + SWEEP)
        if self._oldest:
            idle_until = next(iter(self._oldest)).idle_since + self._idle_timeout
            following = min(following, max(idle_until, now + SWEEP))
        if len(expired) > EXPIRED_PER_TURN:
            following = now + 0.001
        if following < self._sweep_at:
            self._sweep_by(following)
