"""Requests to load the configuration file again, for the task that reads it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from event_gateway.config.plan import Plan, Step, StepLoss
from event_gateway.config.problems import ConfigProblem

TIMEOUT = 60.0  # seconds for a reload that was requested
MAX_WAITING = 16  # requests
_FORCE = "event-gateway reload --force loses them"


class ReloadRefused(Exception):
    """The former configuration stays; ``problems`` are pairs of key and reason. ``plan``: what the
    reload would have changed and lost, where that is the reason."""

    def __init__(self, problems: Sequence[tuple[str, str]], plan: Plan | None = None) -> None:
        super().__init__("; ".join(f"{key}: {reason}" for key, reason in problems))
        self.problems = list(problems)
        self.plan = plan


class NotReloaded(Exception):
    """The former configuration stays; ``problems`` says why, each with its file, line and key.
    ``plan`` as for :class:`ReloadRefused`."""

    def __init__(self, problems: Sequence[ConfigProblem], plan: Plan | None = None) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = list(problems)
        self.plan = plan


class CannotReload(Exception):
    """The gateway has no configuration file, or is busy with other requests; the text says it."""


@dataclass(frozen=True, slots=True, eq=False)
class Reload:
    """A request. ``force``: also if something would be lost; ``dry_run``: only make the plan."""

    force: bool
    dry_run: bool
    done: asyncio.Future[Plan]


class Reloads:
    """Hands requests of callers to the task that reloads the file."""

    def __init__(self) -> None:
        self._served = False
        self._requests: asyncio.Queue[Reload] = asyncio.Queue(MAX_WAITING)

    async def request(self, *, force: bool, dry_run: bool) -> Plan:
        """Returns the plan that was carried out, or with ``dry_run`` would be.

        Raises CannotReload, NotReloaded, TimeoutError, and what BrokerError and StateError name.
        """
        if not self._served:
            raise CannotReload("the gateway runs without a configuration file")
        done: asyncio.Future[Plan] = asyncio.get_running_loop().create_future()
        try:
            self._requests.put_nowait(Reload(force, dry_run, done))
        except asyncio.QueueFull:
            raise CannotReload("too many reloads wait; try again in a moment") from None
        async with asyncio.timeout(TIMEOUT):
            return await done

    async def next(self) -> Reload:
        """The next request whose caller still waits. From the first call on, requests are taken."""
        self._served = True
        while True:
            reload = await self._requests.get()
            if not reload.done.done():
                return reload


def loss_reason(step: Step, loss: StepLoss, plan: Plan) -> str:
    """Why a reload is refused for the loss of a step, and what to do, as text for people."""
    if step.kind == "stream":
        return f"{loss.reason}; {_FORCE}"
    new = [
        other.name for other in plan.steps if (other.kind, other.action) == ("webhook", "create")
    ]
    if len(new) == 1:
        hint = f"if {new[0]} takes its place, give {new[0]} renamed_from: {step.name}"
    else:
        hint = f"a webhook that takes its place keeps them with renamed_from: {step.name}"
    return f"the file does not name it any more: {loss.reason}; {hint}; {_FORCE}"
