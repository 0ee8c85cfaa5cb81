"""What is in force: each change in the registry reaches all that works with what is registered."""

from dataclasses import dataclass

from event_gateway.broker.registry import Registry
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.streams.definition import StreamDefinition
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.delivery.dispatcher import Dispatcher
from event_gateway.delivery.ordered import OrderedDeliveries
from event_gateway.routing.explain import explain
from event_gateway.routing.index import Index
from event_gateway.state.webhooks import WebhookCopies
from event_gateway.streaming.hub import Hub


@dataclass(frozen=True, slots=True)
class InForce:
    """The parts of a process that a change in the registry reaches."""

    registry: Registry
    index: Index
    dispatcher: Dispatcher
    ordered: OrderedDeliveries
    copies: WebhookCopies
    hub: Hub

    def follow(self) -> None:
        """Takes up each change from now on."""
        self.registry.notify(webhook=self._webhook, stream=self._stream)

    def copy_again(self) -> None:
        """Writes the copies of all webhooks into Redis, which may have lost them."""
        for webhook_id, webhook in self.registry.webhooks.items():
            self.copies.put(webhook_id, webhook)

    def matching(self, received: Received) -> list[Webhook]:
        """The webhooks that an event would be for, those with a reader of their own as well."""
        with_readers = (one for one in self.registry.webhooks.values() if one.ordered)
        found = [one for one in with_readers if explain(one, received) is None]
        return self.index.match(received) + found

    def _webhook(self, webhook_id: str, webhook: Webhook | None) -> None:
        self.copies.put(webhook_id, webhook)
        if webhook is None or webhook.deleting:
            self.index.remove(webhook_id)
            self.dispatcher.remove(webhook_id)
            self.ordered.remove(webhook_id, gone=True)
        else:
            # The lane first: what the index gives must have one.
            self.dispatcher.put(webhook)
            self.ordered.put(webhook)
            if not webhook.ordered:
                self.index.put(webhook)

    def _stream(self, name: str, definition: StreamDefinition | None) -> None:
        if definition is None or definition.deleting:
            self.hub.stream_deleted(name)
