"""The types of bodies and answers of the tag `configuration`.

Generated from the OpenAPI document by ``make docs``; do not change it by hand.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

__all__ = [
    "ConfigurationAnswer",
    "PlanAnswer",
    "PlannedDifference",
    "PlannedLoss",
    "PlannedStep",
    "ReloadConfigurationBody",
    "Reloaded",
]


class ConfigurationAnswer(TypedDict):
    """The configuration in force. `settings`: by section, as the configuration file has it;
    `given`: the keys that were set, such as `server.port`."""

    version: str
    in_force_since: str
    settings: dict[str, Any]
    given: list[str]
    webhooks: list[str]
    streams: list[str]


class PlanAnswer(TypedDict):
    """What changes in the registry, step by step."""

    steps: list[PlannedStep]


class PlannedDifference(TypedDict):
    """A member of a definition that changes."""

    key: str
    before: Any
    after: Any


class PlannedLoss(TypedDict):
    """What a step would lose: deliveries that wait, events that the gateway has not delivered
    to an ordered webhook yet, or messages of a stream. `count`: how many; null if that is
    not known."""

    what: Literal["deliveries", "events", "messages"]
    count: int | None
    reason: str


class PlannedStep(TypedDict):
    """A change of one definition. `former`: the id that a webhook was renamed from."""

    action: Literal["create", "change", "rename", "delete", "release"]
    kind: Literal["webhook", "stream", "source"]
    name: str
    former: str
    differences: list[PlannedDifference]
    loss: PlannedLoss | None


class ReloadConfigurationBody(TypedDict):
    """`force`: reload even if deliveries that wait, or messages of a stream, are lost.
    `dry_run`: only say what would change and be lost."""

    force: NotRequired[bool]
    dry_run: NotRequired[bool]


class Reloaded(TypedDict):
    """What a reload has changed, or, with `dry_run`, would change."""

    reloaded: bool
    plan: PlanAnswer
