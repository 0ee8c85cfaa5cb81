"""Builds the observability stage: why the health is degraded, over all processes."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from event_gateway.app.stages.adapters import Adapters
from event_gateway.broker.lifecycle_log import LifecycleLog
from event_gateway.broker.status_bucket import StatusBucket
from event_gateway.core.observability import reason_codes as codes
from event_gateway.core.observability.reason import Reason
from event_gateway.observability.announcements import Announcements
from event_gateway.observability.health import Health
from event_gateway.observability.health_leader import HealthLeader
from event_gateway.state.condition import UNREACHABLE
from event_gateway.tasks import Supervisor, TaskGroup


@dataclass(frozen=True, slots=True, kw_only=True)
class Observability:
    """The parts of this stage. Later stages add their reasons to ``health``."""

    bucket: StatusBucket
    announcements: Announcements
    health: Health
    leader: HealthLeader

    def start(self, tasks: TaskGroup) -> None:
        """Starts to look whether the health is degraded, and to announce it."""
        tasks.start("health", self.health.run)
        tasks.start("health-leader", self.leader.run)


def build_observability(adapters: Adapters, supervisor: Supervisor) -> Observability:
    """Needs the adapters, whose state is most of the reasons."""
    bucket = StatusBucket(adapters.broker)
    announcements = Announcements(LifecycleLog(adapters.broker))
    health = Health(adapters.broker, adapters.peers)
    leader = HealthLeader(
        adapters.broker, adapters.peers, bucket, announcements, tracker=health.tracker
    )
    health.add(lambda: _redis(adapters))
    health.add(lambda: adapters.storage.reasons)
    health.add(lambda: _nats(adapters))
    health.add(lambda: _registry(adapters))
    health.add(lambda: _tasks(supervisor))
    health.add(leader.reasons)
    health.add_figures("nats", lambda: _nats_figures(adapters))
    health.add_figures("redis", lambda: _redis_figures(adapters))
    health.add_figures("registry", lambda: _registry_figures(adapters))
    health.add_figures("disk", lambda: _disk_figures(adapters))
    health.add_figures("tasks", lambda: {"running": len(supervisor.policies)})
    return Observability(bucket=bucket, announcements=announcements, health=health, leader=leader)


def _redis(adapters: Adapters) -> Iterable[Reason]:
    if not adapters.ledger.reachable:
        condition = adapters.ledger.condition or UNREACHABLE
        unreachable = condition == UNREACHABLE
        yield Reason(codes.REDIS_UNREACHABLE if unreachable else codes.REDIS_REFUSES, condition)
    if adapters.redis_settings.reason is not None:
        yield Reason(codes.REDIS_EVICTS, adapters.redis_settings.reason)


def _nats(adapters: Adapters) -> Iterable[Reason]:
    for violation in adapters.broker.violations.recent():
        yield Reason(codes.NATS_PERMISSION, violation, violation)


def _registry(adapters: Adapters) -> Iterable[Reason]:
    for key in adapters.registry.left_out:
        yield Reason(codes.REGISTRY_ENTRY, f"the registry's entry {key} is left out", key)
    if adapters.registry.stalled:
        yield Reason(
            codes.REGISTRY_STALLED,
            "the registry cannot be followed: changes are not applied",
        )
    if others := adapters.peers.with_different_files:
        yield Reason(
            codes.CONFIGURATION_DIFFERS, f"a different configuration file in {', '.join(others)}"
        )


def _tasks(supervisor: Supervisor) -> Iterable[Reason]:
    for name in supervisor.degraded:
        yield Reason(codes.TASK_CRASHED, f"the background task {name} crashed", name)


def _nats_figures(adapters: Adapters) -> dict[str, Any]:
    nc = adapters.broker.nc
    return {
        "connected": nc.is_connected,
        "server_version": adapters.broker.server_version if nc.is_connected else None,
        "reconnects": nc.stats["reconnects"],
        "messages_dropped": adapters.broker.outbox.dropped,
    }


def _redis_figures(adapters: Adapters) -> dict[str, Any]:
    return {
        "reachable": adapters.ledger.reachable,
        "changes_not_written": adapters.ledger.unconfirmed,
    }


def _registry_figures(adapters: Adapters) -> dict[str, Any]:
    registry = adapters.registry
    return {
        "revision": adapters.peers.own.applied,
        "webhooks": len(registry.webhooks),
        "streams": len(registry.streams),
    }


def _disk_figures(adapters: Adapters) -> dict[str, Any]:
    disk = adapters.storage.disk
    if disk is None:
        return {}
    return {"free_bytes": disk.free, "total_bytes": disk.total, "reserve_bytes": disk.reserve}
