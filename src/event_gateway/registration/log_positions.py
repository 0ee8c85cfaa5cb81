"""From which event of each log on a webhook gets events."""

import time

from msgspec.structs import replace

from event_gateway.broker.event_log import EventLog
from event_gateway.broker.registry import Registry, RegistryConflict
from event_gateway.core.streams.definition import LIFECYCLE
from event_gateway.core.webhook.webhook import Webhook


class LogPositions:
    """Gives webhooks their positions in the logs. Methods raise the exceptions in BrokerError."""

    def __init__(self, registry: Registry, events: EventLog) -> None:
        self._registry = registry
        self._events = events

    async def beginning(self, webhook: Webhook) -> Webhook:
        """A new webhook, which gets all events later in the log."""
        return replace(
            webhook,
            since=await self._events.last_seq(),
            since_in={
                stream.name: await self._events.last_seq(stream.name)
                for stream in self._events.external
            },
            created_at=time.time(),
            deleting=False,
        )

    async def with_lifecycle(self, webhook: Webhook) -> Webhook:
        """The webhook with its position in the log of lifecycle events: the present one if it has
        none yet, and none if no pattern names lifecycle events (any more)."""
        since_in = dict(webhook.since_in)
        if not webhook.names_lifecycle:
            since_in.pop(LIFECYCLE, None)
        elif LIFECYCLE not in since_in:
            since_in[LIFECYCLE] = await self._events.last_seq(LIFECYCLE)
        return replace(webhook, since_in=since_in)

    async def capture_for(self, webhook: Webhook) -> None:
        """Has the log capture the subjects of a webhook's patterns. What it captures is decided by
        the operators: those of a webhook with an owner are captured only if they are already."""
        if not webhook.owner:
            await self._events.capture_for(webhook.events)

    async def adopt_streams(self) -> None:
        """Webhooks that are older than an external stream get the events that it receives from now
        on; so do webhooks for lifecycle events that an earlier version has registered."""
        for stream in (*(stream.name for stream in self._events.external), LIFECYCLE):
            last = await self._events.last_seq(stream)
            for webhook in list(self._registry.webhooks.values()):
                if stream == LIFECYCLE and not webhook.names_lifecycle:
                    continue
                if stream not in webhook.since_in:
                    since_in = {**webhook.since_in, stream: last}
                    try:
                        await self._registry.put_webhook(
                            replace(webhook, since_in=since_in), webhook
                        )
                    except RegistryConflict:
                        continue  # another process has just done the same
