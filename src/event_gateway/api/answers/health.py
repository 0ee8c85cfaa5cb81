"""Answers about health."""

from typing import Literal

from pydantic import ConfigDict
from typing_extensions import TypedDict

from event_gateway.api.answers.common import Time


class Alive(TypedDict):
    """The process runs."""

    status: Literal["ok"]
    version: str


class Readiness(TypedDict):
    """Whether the process can do its work, and what is wrong otherwise."""

    status: Literal["ok", "degraded", "unavailable"]
    reasons: list[str]


class HealthReason(TypedDict):
    """Why the health is degraded. ``processes``: those that see it, as host/process id; ``see``: a
    heading of docs/operations.md, or empty."""

    code: str
    text: str
    since: Time
    component: str
    remedy: str
    see: str
    processes: list[str]


class ComponentHealth(TypedDict):
    """A part of the gateway: its status over all processes, and figures of the process that
    answers."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]

    status: Literal["ok", "degraded"]


class ProcessHealth(TypedDict):
    """A live process. ``leader``: it announces health and alerts; ``answers``: it has answered this
    request; ``reasons``: the codes of the reasons that it sees."""

    process: str
    host: str
    pid: int
    version: str
    started_at: Time | None
    leader: bool
    answers: bool
    reasons: list[str]


class GatewayHealth(TypedDict):
    """The health of the gateway. ``since``: when the status changed last, null if it never has;
    ``announced``: whether ``gateway.health.degraded`` of this episode is published. ``recovering``:
    there is no reason any more, and soon the status is ``ok``; ``last_reasons``: the reasons that
    there were until then."""

    status: Literal["ok", "degraded"]
    since: Time | None
    announced: bool
    version: str
    reasons: list[HealthReason]
    recovering: bool
    last_reasons: list[HealthReason]
    components: dict[str, ComponentHealth]
    processes: list[ProcessHealth]
