"""Compares the definitions of the configuration file with those that are registered."""

import time
from collections.abc import Mapping, Sequence
from typing import Literal

from event_gateway.broker.connection import Broker
from event_gateway.broker.named_streams import stream_contents
from event_gateway.broker.registry import Registry
from event_gateway.config.plan import (
    Definitions,
    Kind,
    Plan,
    Removal,
    Shown,
    Step,
    StepLoss,
    changed_stream_loss,
    deleted_webhook_loss,
    plan_of,
    with_losses,
)
from event_gateway.config.response_bodies import source_to_json, stream_to_json, webhook_to_json
from event_gateway.core.sources.definition import SourceDefinition
from event_gateway.core.streams.definition import StreamDefinition
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.registration.waiting import Waiting


class FilePlans:
    """Makes the plan of a configuration file: its definitions replace those that are managed by
    the file, and a stream that it does not name any more is left to the API."""

    def __init__(self, broker: Broker, registry: Registry, waiting: Waiting) -> None:
        self._broker = broker
        self._registry = registry
        self._waiting = waiting

    async def plan(
        self,
        webhooks: Sequence[Webhook],
        streams: Sequence[StreamDefinition],
        sources: Sequence[SourceDefinition],
        *,
        force: bool = False,
    ) -> Plan:
        """The plan, with what it would lose. Without ``force`` an orphaned webhook stays one while
        deliveries wait for it. Raises the exceptions in StateError and in BrokerError."""
        registry = self._registry
        claimed = {
            former for webhook in registry.webhooks.values()
            for former in (webhook.waits_for, webhook.takes_over)
        }  # fmt: skip
        present = {
            name: webhook for name, webhook in registry.webhooks.items()
            if not webhook.deleting and not webhook.renamed_to and name not in claimed
        }  # fmt: skip
        declared = Definitions(
            {webhook.id: webhook_to_json(webhook) for webhook in webhooks},
            {stream.name: stream_to_json(stream) for stream in streams},
            {source.name: source_to_json(source) for source in sources},
        )
        registered = Definitions(
            {name: webhook_to_json(webhook) for name, webhook in present.items()},
            {
                name: stream_to_json(stream)
                for name, stream in registry.streams.items()
                if not stream.deleting
            },
            {name: source_to_json(source) for name, source in registry.sources.items()},
        )
        plan = plan_of(declared, registered, Removal(_of_file, _released, _of_file))
        plan = with_losses(plan, await self._losses(plan, present, streams))
        return plan if force else Plan(tuple(
            step for step in plan.steps if not _keeps_orphan(step, present)
        ))  # fmt: skip

    async def _losses(
        self, plan: Plan, present: Mapping[str, Webhook], streams: Sequence[StreamDefinition]
    ) -> dict[tuple[Kind, str], StepLoss]:
        losses: dict[tuple[Kind, str], StepLoss | None] = {}
        declared = {stream.name: stream for stream in streams}
        for step in plan.steps:
            if step.kind == "webhook" and step.action == "delete":
                webhook = present[step.name]
                waiting = await self._waiting.of(webhook)
                loss = deleted_webhook_loss(waiting, ordered=webhook.ordered)
                losses["webhook", step.name] = loss
            elif step.kind == "stream" and step.action == "change":
                losses["stream", step.name] = changed_stream_loss(
                    declared[step.name],
                    self._registry.streams[step.name],
                    await stream_contents(self._broker, step.name),
                    time.time(),
                )
        return {key: loss for key, loss in losses.items() if loss is not None}


def _keeps_orphan(step: Step, present: Mapping[str, Webhook]) -> bool:
    loses = (step.kind, step.action) == ("webhook", "delete") and step.loss is not None
    return loses and bool(present[step.name].orphaned_at)


def _of_file(shown: Shown) -> Literal["delete"] | None:
    return "delete" if shown["managed_by"] == "file" else None


def _released(shown: Shown) -> Literal["release"] | None:
    return "release" if shown["managed_by"] == "file" else None
