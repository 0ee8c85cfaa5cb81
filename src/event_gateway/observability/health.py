"""Why the health is degraded: the reasons of this process, and those of all processes together.

This is the one place where the reasons are collected: ``/readyz`` shows those of the process that
answers, ``GET /v1/health`` those of all, and the leader announces whether there are any
(:mod:`.health_leader`).
"""

import time
from collections.abc import Callable, Iterable
from typing import Any

from event_gateway.beats import beat
from event_gateway.broker.connection import Broker
from event_gateway.broker.peers import Peers
from event_gateway.core.observability.clock_watch import ClockWatch
from event_gateway.core.observability.health_state import HealthTracker
from event_gateway.core.observability.reason import (
    OwnReasons,
    Reason,
    UnitedReason,
    shortened,
    unite,
)
from event_gateway.core.observability.reason_codes import (
    CLOCK_JUMPED,
    CODES,
    MEMORY,
    NATS_UNREACHABLE,
    PROCESS_LOST,
)
from event_gateway.observability.memory import Memory, measured

INTERVAL = 1.0  # seconds between two looks while something is wrong
CALM = 2.0  # the same while nothing is
MEASURED_EVERY = 5.0  # seconds between two measurements of the memory
DEGRADED_AFTER = 5.0  # seconds for which there must have been reasons
RECOVERED_AFTER = 10.0  # seconds for which there must have been none

# While NATS is away, the gateway shows what it knew of these components before.
_NEEDS_NATS = ("nats", "routing", "streams", "registry")

Source = Callable[[], Iterable[Reason]]
Figures = Callable[[], dict[str, Any]]


class Health:
    """Collects the reasons. ``tracker`` knows whether the health is degraded; ``memory`` is the
    latest measurement."""

    def __init__(self, broker: Broker, peers: Peers) -> None:
        self._broker = broker
        self._peers = peers
        self._sources: list[Source] = [self._machine]
        self._wide: list[Source] = [self._lost]
        self._figures: dict[str, Figures] = {"memory": self._memory}
        self._noted = OwnReasons()
        self._clock = ClockWatch()
        self._jump: str | None = None
        self._measured_at = 0.0
        self.memory: Memory | None = None
        self.tracker = HealthTracker(degraded_after=DEGRADED_AFTER, recovered_after=RECOVERED_AFTER)

    def add(self, source: Source) -> None:
        """Adds a source of reasons of this process: what hinders it in its work."""
        self._sources.append(source)

    def add_wide(self, source: Source) -> None:
        """Adds a source of reasons that are not about this process, such as alerts: ``/readyz``
        does not show them."""
        self._wide.append(source)

    def add_figures(self, component: str, figures: Figures) -> None:
        """Adds what ``GET /v1/health`` shows of a component beside its status."""
        self._figures[component] = figures

    def figures(self) -> dict[str, dict[str, Any]]:
        """The figures of this process, by component."""
        return {component: figures() for component, figures in self._figures.items()}

    @property
    def nats_unreachable(self) -> bool:
        """Whether this process can do nothing, as NATS is away or does not answer."""
        return not self._broker.connected or self._peers.cut_off

    def own(self) -> list[Reason]:
        """The reasons of this process, at this moment."""
        reasons = [reason for source in self._sources for reason in source()]
        if self.nats_unreachable:
            return [
                Reason(NATS_UNREACHABLE, "nats unreachable"),
                *(r for r in reasons if CODES[r.code].component not in _NEEDS_NATS),
            ]
        return reasons

    def united(self) -> list[UnitedReason]:
        """The reasons of all live processes, as this one knows them."""
        own = self._peers.own
        return unite({each.place: each.reasons for each in (own, *self._peers.others)})

    async def run(self) -> None:
        """Looks every second while something is wrong, else every other one, and tells the other
        processes. It never returns."""
        while True:
            now, tick = time.time(), time.monotonic()
            self._jump = self._clock.look(now, tick)
            if tick - self._measured_at >= MEASURED_EVERY:
                self._measured_at = tick
                self.memory = measured()
            wide = [reason for source in self._wide for reason in source()]
            self._peers.set_reasons(shortened(self._noted.noted([*self.own(), *wide], now)))
            united = self.united()
            self.tracker.observe(united, now=now, tick=tick)
            is_calm = not united and self.tracker.state.status == "ok"
            await beat(CALM if is_calm else INTERVAL)

    def _machine(self) -> Iterable[Reason]:
        if self._jump is not None:
            yield Reason(CLOCK_JUMPED, self._jump)
        if self.memory is not None and (shortage := self.memory.shortage):
            yield Reason(MEMORY, shortage)

    def _memory(self) -> dict[str, Any]:
        if self.memory is None:
            return {}
        return {
            "resident_bytes": self.memory.resident,
            "machine_bytes": self.memory.machine,
            "container_used_bytes": self.memory.used,
            "container_limit_bytes": self.memory.limit,
        }

    def _lost(self) -> Iterable[Reason]:
        for process in self._peers.lost:
            yield Reason(
                PROCESS_LOST,
                f"the process {process.place} has disappeared without a clean shutdown",
                process.process,
            )
