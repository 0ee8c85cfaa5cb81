"""Reloads the configuration file, all or nothing: on SIGHUP, and for callers of the API."""

import asyncio
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from event_gateway.app.gateway import Gateway
from event_gateway.broker.connection import BrokerError
from event_gateway.cli.process.configuration import read_config, warnings
from event_gateway.cli.process.signals import Ending
from event_gateway.config.plan import Plan
from event_gateway.config.problems import ConfigError
from event_gateway.registration.reloads import NotReloaded, Reload, ReloadRefused
from event_gateway.state.connection import StateError
from event_gateway.tasks import Supervisor

log = structlog.get_logger(__name__)

RETRY_DELAY = 2.0  # seconds until a reload that NATS or Redis interrupted is tried again


@dataclass(frozen=True, slots=True)
class Hangups:
    """Events that signals set. ``hangup``: SIGHUP, by which an operator has the gateway reload the
    file; ``told``: SIGUSR1, by which a process that has reloaded it for a caller, and has logged
    that, has the others follow."""

    hangup: asyncio.Event
    told: asyncio.Event


def hangups() -> Hangups:
    """Events that each signal sets from now on (on a system without it: that is never set)."""
    signals = Hangups(asyncio.Event(), asyncio.Event())
    loop = asyncio.get_running_loop()
    for name, event in (("SIGHUP", signals.hangup), ("SIGUSR1", signals.told)):
        if hasattr(signal, name):
            loop.add_signal_handler(getattr(signal, name), event.set)
    return signals


class Reloading:
    """Reloads the file at ``path`` into a gateway, and tells ``ending`` how long a drain may take.
    ``tell_others`` has the other processes reload it too, after a reload that a signal or a caller
    has requested; None where there are no others."""

    def __init__(
        self,
        path: Path | None,
        gateway: Gateway,
        ending: Ending,
        *,
        tell_others: Callable[[], None] | None,
    ) -> None:
        self._path = path
        self._gateway = gateway
        self._ending = ending
        self._tell_others = tell_others
        self._one_at_a_time = asyncio.Lock()

    def start(self, supervisor: Supervisor, signals: Hangups) -> list[asyncio.Task[None]]:
        """Starts to reload at each signal, and for callers."""
        tasks = [
            supervisor.start("reload", lambda: self._on_hangup(signals.hangup)),
            supervisor.start(
                "reload-followed", lambda: self._on_hangup(signals.told, followed=True)
            ),
        ]
        if self._path is not None:
            tasks.append(supervisor.start("reload-requests", self._on_request))
        return tasks

    async def _on_hangup(self, hangup: asyncio.Event, *, followed: bool = False) -> None:
        while True:
            await hangup.wait()
            hangup.clear()
            while not await self._try(followed=followed):
                try:
                    async with asyncio.timeout(RETRY_DELAY):
                        await hangup.wait()
                        hangup.clear()
                except TimeoutError:
                    continue

    async def _on_request(self) -> None:
        while True:
            reload = await self._gateway.stages.registrations.reloads.next()
            try:
                plan = await self._reload(force=reload.force, dry_run=reload.dry_run)
            except (NotReloaded, *BrokerError, *StateError) as error:
                _answer(reload, error)
            except Exception as error:
                log.exception("reload failed, a part of the new configuration may be applied")
                _answer(reload, error)
            else:
                _answer(reload, plan)
                if not reload.dry_run and self._tell_others is not None:
                    self._tell_others()

    async def _try(self, *, followed: bool) -> bool:
        """Reloads once. False: NATS or Redis went away, and the caller tries again."""
        try:
            await self._reload(followed=followed)
        except NotReloaded as error:
            for problem in error.problems:
                log.error("configuration not reloaded, the former one stays",
                          problem=str(problem))  # fmt: skip
        except (*BrokerError, *StateError) as error:
            log.warning("reload interrupted, the gateway tries again",
                        error=str(error) or type(error).__name__)  # fmt: skip
            return False
        except Exception:
            log.exception("reload failed, a part of the new configuration may be applied")
        else:
            if not followed and self._tell_others is not None:
                self._tell_others()
        return True

    async def _reload(
        self, *, force: bool = False, dry_run: bool = False, followed: bool = False
    ) -> Plan:
        """Reloads once. ``followed``: another process has logged it. Raises NotReloaded, and what
        :meth:`.Gateway.reload` raises else."""
        async with self._one_at_a_time:
            try:
                config, locations = read_config(self._path)
            except ConfigError as error:
                raise NotReloaded(error.problems) from None
            try:
                plan = await self._gateway.reload(config, force=force, dry_run=dry_run)
            except ReloadRefused as refused:
                problems = [locations.problem(key, reason) for key, reason in refused.problems]
                raise NotReloaded(problems, refused.plan) from None
        if not dry_run:
            self._ending.set_drain_timeout(config.server.drain_timeout)
        if not (dry_run or followed):
            for warning in warnings(config, locations):
                log.warning("the configuration needs attention", problem=str(warning))
            log.info("configuration reloaded", webhooks=len(config.webhooks),
                     streams=len(config.streams))  # fmt: skip
        return plan


def _answer(reload: Reload, outcome: Plan | Exception) -> None:
    if reload.done.done():
        return  # its caller has given up
    if isinstance(outcome, Plan):
        reload.done.set_result(outcome)
    else:
        reload.done.set_exception(outcome)
