"""Answers about the configuration file."""

from typing import Literal

from typing_extensions import TypedDict

from event_gateway.api.answers.common import Json, Time


class PlannedDifference(TypedDict):
    """A member of a definition that changes."""

    key: str
    before: Json
    after: Json


class PlannedLoss(TypedDict):
    """What a step would lose: deliveries that wait, events that the gateway has not delivered to an
    ordered webhook yet, or messages of a stream. ``count``: how many; null if that is not known."""

    what: Literal["deliveries", "events", "messages"]
    count: int | None
    reason: str


class PlannedStep(TypedDict):
    """A change of one definition. ``former``: the id that a webhook was renamed from."""

    action: Literal["create", "change", "rename", "delete", "release"]
    kind: Literal["webhook", "stream", "source"]
    name: str
    former: str
    differences: list[PlannedDifference]
    loss: PlannedLoss | None


class PlanAnswer(TypedDict):
    """What changes in the registry, step by step."""

    steps: list[PlannedStep]


class Reloaded(TypedDict):
    """What a reload has changed, or, with ``dry_run``, would change."""

    reloaded: bool
    plan: PlanAnswer


class ConfigurationAnswer(TypedDict):
    """The configuration in force. ``settings``: by section, as the configuration file has it;
    ``given``: the keys that were set, such as ``server.port``."""

    version: str
    in_force_since: Time
    settings: dict[str, Json]
    given: list[str]
    webhooks: list[str]
    streams: list[str]
