"""The plan: what changes when declared definitions take the place of the registered ones, and what
would be lost.

A reload of the configuration file and ``event-gateway apply`` make it in the same way, from
definitions as the API shows them.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import msgspec

from event_gateway.core.streams.definition import StreamContents, StreamDefinition

Kind = Literal["webhook", "stream", "source"]
Action = Literal["create", "change", "rename", "delete", "release"]
Shown = Mapping[str, Any]  # a definition as the API shows it

# Members of the API's answers that are no part of the definition. ``renamed_from`` says what
# happened once, and is looked at by itself.
_NOT_COMPARED = frozenset((
    "id", "name", "managed_by", "owner", "created_at", "state", "disabled", "verification",
    "expression_errors", "rate", "subscribers", "warnings", "renamed_from", "holds", "in_force",
    "secret_state", "requests",
))  # fmt: skip


class Difference(msgspec.Struct, frozen=True):
    """A member of a definition that changes."""

    key: str
    before: Any
    after: Any


class StepLoss(msgspec.Struct, frozen=True):
    """What a step of the plan would lose: ``deliveries`` that wait, ``events`` that the gateway has
    not delivered to an ordered webhook yet, or ``messages`` of a stream. ``count``: how many; None
    if that is not known. ``reason`` says why, as text for people."""

    what: Literal["deliveries", "events", "messages"]
    count: int | None
    reason: str


class Step(msgspec.Struct, frozen=True):
    """A change of one definition. ``release``: a stream that is not declared any more is left to
    the API. ``former``: the id that a webhook was renamed from."""

    action: Action
    kind: Kind
    name: str
    former: str = ""
    differences: tuple[Difference, ...] = ()
    loss: StepLoss | None = None

    @property
    def key(self) -> str:
        """The key of the configuration file."""
        return f"{self.kind}s.{self.name}"


class Plan(msgspec.Struct, frozen=True):
    """The steps, in the order in which they are taken; none: nothing is to be changed."""

    steps: tuple[Step, ...]

    @property
    def losses(self) -> list[tuple[Step, StepLoss]]:
        """The steps that would lose something."""
        return [(step, step.loss) for step in self.steps if step.loss is not None]


class Definitions(NamedTuple):
    """Webhooks by id, streams and sources by name, as the API shows them."""

    webhooks: Mapping[str, Shown]
    streams: Mapping[str, Shown]
    sources: Mapping[str, Shown]


class Removal(NamedTuple):
    """What becomes of registered definitions that are not declared; None: they are left alone."""

    webhook: Callable[[Shown], Literal["delete"] | None]
    stream: Callable[[Shown], Literal["delete", "release"] | None]
    source: Callable[[Shown], Literal["delete"] | None]


def plan_of(declared: Definitions, registered: Definitions, removal: Removal) -> Plan:
    """The steps from the registered to the declared definitions, without their losses."""
    steps: list[Step] = []
    renamed: set[str] = set()
    for name, shown in declared.webhooks.items():
        former = _former(name, shown, declared, registered)
        if former:
            renamed.add(former)
            differences = differences_of(registered.webhooks[former], shown)
            steps.append(Step("rename", "webhook", name, former, differences))
        else:
            steps += _steps_of("webhook", name, shown, registered.webhooks.get(name))
    for name, shown in declared.streams.items():
        steps += _steps_of("stream", name, shown, registered.streams.get(name))
    for name, shown in declared.sources.items():
        steps += _steps_of("source", name, shown, registered.sources.get(name))
    for name, shown in registered.sources.items():
        if name not in declared.sources and removal.source(shown):
            steps.append(Step("delete", "source", name))
    for name, shown in registered.webhooks.items():
        if name not in declared.webhooks and name not in renamed and removal.webhook(shown):
            steps.append(Step("delete", "webhook", name))
    for name, shown in registered.streams.items():
        if name not in declared.streams and (action := removal.stream(shown)) is not None:
            steps.append(Step(action, "stream", name))
    return Plan(tuple(steps))


def differences_of(before: Shown, after: Shown) -> tuple[Difference, ...]:
    """The members of a definition that differ, by name."""
    return tuple(
        Difference(key, before.get(key), after.get(key))
        for key in sorted({*before, *after} - _NOT_COMPARED)
        if before.get(key) != after.get(key)
    )


def with_losses(plan: Plan, losses: Mapping[tuple[Kind, str], StepLoss]) -> Plan:
    """The plan with what its steps would lose, by kind and name."""
    return Plan(tuple(
        msgspec.structs.replace(step, loss=losses.get((step.kind, step.name)))
        for step in plan.steps
    ))  # fmt: skip


def deleted_webhook_loss(waiting: int, *, ordered: bool) -> StepLoss | None:
    """What the deletion of a webhook would lose. ``waiting``: how many deliveries wait for it, or,
    if it is ordered, how many events of the log it has not read yet."""
    if not waiting:
        return None
    if ordered:
        return StepLoss(
            "events", waiting, f"{waiting:,} events of the log may wait for it, and would not be "
            "delivered",
        )  # fmt: skip
    noun = "delivery waits" if waiting == 1 else "deliveries wait"
    return StepLoss("deliveries", waiting, f"{waiting:,} {noun} for it and would be cancelled")


def deleted_stream_loss(contents: StreamContents) -> StepLoss | None:
    """What the deletion of a stream would lose."""
    held = contents.messages
    if not held:
        return None
    noun = "message" if held == 1 else "messages"
    return StepLoss("messages", held, f"its {held:,} {noun} would be deleted")


def changed_stream_loss(
    definition: StreamDefinition, former: StreamDefinition, contents: StreamContents, now: float
) -> StepLoss | None:
    """What a stream would lose by tighter limits. ``now`` in seconds since the epoch."""
    reason = definition.would_drop(former, contents, now)
    if reason is None:
        return None
    most = definition.max_messages
    count = contents.messages - most if most is not None and contents.messages > most else None
    return StepLoss("messages", count, f"it would drop events: {reason}")


def _former(name: str, shown: Shown, declared: Definitions, registered: Definitions) -> str:
    """The registered id that a declared webhook takes over; empty if there is none."""
    former = shown.get("renamed_from") or ""
    before = registered.webhooks.get(name, {}).get("renamed_from") or ""
    taken = former in registered.webhooks and former not in (*declared.webhooks, name, before)
    return former if taken else ""


def _steps_of(kind: Kind, name: str, shown: Shown, existing: Shown | None) -> list[Step]:
    if existing is None:
        return [Step("create", kind, name)]
    differences = differences_of(existing, shown)
    manager, declared = existing.get("managed_by"), shown.get("managed_by")
    if manager != declared:
        differences = (*differences, Difference("managed_by", manager, declared))
    return [Step("change", kind, name, differences=differences)] if differences else []
