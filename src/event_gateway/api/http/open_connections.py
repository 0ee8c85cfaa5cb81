"""All HTTP connections of a process: bounds their number, and enforces their deadlines."""

import asyncio
from collections import Counter
from typing import Literal, Protocol

from event_gateway.api.http.limits import AddressBound, ConnectionLimits
from event_gateway.api.http.rare_warnings import RareWarnings
from event_gateway.api.http.refusal import Refusal
from event_gateway.api.http.wire import Wire
from event_gateway.api.server.problem_types import NO_CONNECTION_LEFT
from event_gateway.beats import beat
from event_gateway.observability.metrics import HttpMetrics

CHECK_INTERVAL = 1.0  # seconds
SEARCH_INTERVAL = 0.1  # seconds between two searches for idle connections, if they find few
MAX_TURNED_AWAY = 128  # connections over a bound that are open at a time, to receive their answer

Kind = Literal["http", "live"]
_RETRY = ((b"retry-after", b"2"),)


class Checked(Protocol):
    """A connection. ``idle_since``: on the loop's clock, since when nothing is under way."""

    wire: Wire
    idle_since: float

    @property
    def idle(self) -> bool:
        """Whether nothing is lost if the connection is closed."""

    def check(self, now: float) -> None:
        """A deadline may be over: then the connection ends."""


class OpenConnections:
    """Counts connections by kind, and by address while they are no live ones."""

    def __init__(self, limits: ConnectionLimits, metrics: HttpMetrics) -> None:
        self.metrics = metrics
        self.configure(limits)
        self._kinds: dict[Checked, tuple[Kind, str]] = {}
        self._turned_away: set[Checked] = set()
        self._sockets = 0  # connections of another protocol, which live ones have become
        self._live = 0  # with those
        self._addresses: Counter[str] = Counter()
        self._idle: list[Checked] = []  # candidates to be closed, those idle for longest last
        self._idle_listed_until = float("-inf")
        self._warnings = RareWarnings()

    def configure(self, limits: ConnectionLimits) -> None:
        """Applies limits, at the start and at each reload."""
        self.limits = limits
        self._address_bound = AddressBound(limits)

    def add(self, connection: Checked, address: str, now: float) -> Refusal | None:
        """Counts a new connection; the answer to it if it is over a bound.

        If all connections of the process are taken, the one that has been idle for longest is
        closed instead.
        """
        name, bound = self._address_bound.of(address)
        if bound is not None and self._addresses[name] >= bound:
            self._refused("address", now, limit=bound, address=name)
            detail = f"{name} has {bound} connections to this process, the most it may have"
            return Refusal(503, detail, _RETRY, NO_CONNECTION_LEFT)
        if self._full() and not self._close_idlest(now):
            limit = self.limits.http
            self._refused("total", now, limit=limit)
            detail = "this process has all the connections it may have"
            return Refusal(503, detail, _RETRY, NO_CONNECTION_LEFT)
        self._kinds[connection] = ("http", name)
        self._addresses[name] += 1
        return None

    def _full(self) -> bool:
        count = len(self._kinds) + self._sockets
        return count - self._live >= self.limits.http or count >= self.limits.total

    def turn_away(self, connection: Checked) -> bool:
        """Whether a connection over a bound may stay open for a moment to receive its answer."""
        if len(self._turned_away) >= MAX_TURNED_AWAY:
            return False
        self._turned_away.add(connection)
        return True

    def become_live(self, connection: Checked, now: float) -> Refusal | None:
        """From now on the connection is a live one; the answer to it if there are too many."""
        if self._live >= self.limits.live:
            self._refused("live", now, limit=self.limits.live)
            detail = "this process has all the subscribers it may have"
            return Refusal(503, detail, _RETRY, NO_CONNECTION_LEFT)
        _, name = self._kinds[connection]
        self._kinds[connection] = ("live", name)
        self._live += 1
        self._uncount_address(name)
        return None

    def hand_over(self, connection: Checked) -> None:
        """A live connection is from now on that of another protocol, which has deadlines of its own
        and calls :meth:`remove_socket`. Nothing here refers to the connection any more."""
        del self._kinds[connection]
        self._sockets += 1

    def remove_socket(self) -> None:
        """A connection of another protocol is closed."""
        self._sockets -= 1
        self._live -= 1

    def remove(self, connection: Checked) -> None:
        """The connection is closed."""
        self._turned_away.discard(connection)
        counted = self._kinds.pop(connection, None)
        if counted is None:
            return
        kind, name = counted
        if kind == "live":
            self._live -= 1
        else:
            self._uncount_address(name)

    def _uncount_address(self, name: str) -> None:
        self._addresses[name] -= 1
        if not self._addresses[name]:
            del self._addresses[name]

    def _close_idlest(self, now: float) -> bool:
        """Closes the connection that is idle for longest; False if none is idle."""
        if not self._idle and now >= self._idle_listed_until:
            # A live connection makes no room for one of HTTP, and its subscriber is not idle.
            idle = [
                connection
                for connection, (kind, _) in self._kinds.items()
                if kind == "http" and connection.idle
            ]
            self._idle = sorted(idle, key=lambda connection: -connection.idle_since)
            # Where few are idle, the search is not worth its cost for each new connection.
            few = len(idle) <= len(self._kinds) // 8
            self._idle_listed_until = now + SEARCH_INTERVAL if few else now
        while self._idle:
            connection = self._idle.pop()
            kind, _ = self._kinds.get(connection, ("live", ""))  # it may have become a live one
            if kind == "http" and connection.idle:
                self._refused("idle", now, limit=self.limits.http)
                self.remove(connection)
                connection.wire.close_at_once()
                return True
        return False

    def _refused(self, reason: str, now: float, **facts: object) -> None:
        self.metrics.refused(reason)
        text = "connections are over a bound, some are refused or closed"
        self._warnings.warn(text, reason, now, **facts)

    def handshake_failed(self, address: str, kind: str, detail: str) -> None:
        """Counts a TLS handshake that failed; ``kind`` is one of few."""
        self.metrics.handshake_failed(kind)
        now = asyncio.get_running_loop().time()
        text = "a TLS handshake failed"
        self._warnings.warn(text, f"handshake: {kind}", now, address=address, detail=detail)

    async def watch(self) -> None:
        """Enforces the deadlines of all connections, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await beat(CHECK_INTERVAL)
            now = loop.time()
            for connection in (*self._kinds, *self._turned_away):
                wire = connection.wire
                if now >= wire.read_deadline or now >= wire.write_deadline:
                    connection.check(now)
            self._idle.clear()  # it may refer to connections that are closed
            http = len(self._kinds) + self._sockets - self._live
            self.metrics.connections(http=http, live=self._live)
