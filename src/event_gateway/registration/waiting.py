"""How many deliveries wait for a webhook: those that its deletion would lose."""

from collections.abc import Sequence

from event_gateway.broker.event_log import EventLog
from event_gateway.broker.registry import Registry
from event_gateway.core.streams.definition import EVENTS
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.state.order import Order
from event_gateway.state.queues import Queues


class Waiting:
    """Counts waiting deliveries. Methods raise the exceptions in StateError and in BrokerError."""

    def __init__(self, registry: Registry, queues: Queues, order: Order, events: EventLog) -> None:
        self._registry = registry
        self._queues = queues
        self._order = order
        self._events = events

    async def deliveries(self, webhook: Webhook) -> int:
        """The deliveries of a webhook that are not final, those in progress included; of an
        ordered one, those that were started by hand or by a replay."""
        return await self._queues.depth(webhook.id)

    async def events_behind(self, webhook: Webhook) -> int | None:
        """How many events the logs have behind the position of an ordered webhook, whether they
        match or not; None if the webhook is not ordered."""
        return (await self.events_behind_each([webhook]))[0] if webhook.ordered else None

    async def events_behind_each(self, webhooks: Sequence[Webhook]) -> list[int]:
        """The same of each of these ordered webhooks, with one look at each log."""
        behind = [0] * len(webhooks)
        for stream in (EVENTS, *(stream.name for stream in self._events.external)):
            log = self._registry.logs.get(stream)
            if log is None or not webhooks:
                continue
            ids = [webhook.id for webhook in webhooks]
            positions = await self._order.positions(ids, stream, log)
            last = await self._events.last_seq(stream)
            for number, (webhook, position) in enumerate(zip(webhooks, positions, strict=True)):
                behind[number] += max(0, last - max(position, webhook.since_of(stream)))
        return behind

    async def of(self, webhook: Webhook) -> int:
        """How many deliveries wait; of an ordered webhook, at most."""
        return await self.deliveries(webhook) + (await self.events_behind(webhook) or 0)
