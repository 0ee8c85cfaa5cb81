"""Applies each change of a registered webhook or stream to the parts of the process that use it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from event_gateway.broker.connection import Broker
from event_gateway.broker.event_reader import EventReader
from event_gateway.broker.registry import Registry
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.streams.definition import StreamDefinition
from event_gateway.core.streams.known_log import KnownLog
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.delivery.dispatcher import Dispatcher
from event_gateway.delivery.ordered import OrderedDeliveries
from event_gateway.routing.condition_tree import entry_of
from event_gateway.routing.explain import explain
from event_gateway.routing.index import Index
from event_gateway.routing.lifecycle_routing import LifecycleRouting
from event_gateway.routing.router import Router
from event_gateway.state.ledger import Ledger
from event_gateway.state.webhooks import WebhookCopies
from event_gateway.streaming.hub import Hub

MAX_REASON = 200  # characters of why a webhook cannot be used


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryChanges:
    """The parts of a process that use what is registered. ``disable(webhook, reason)`` has the
    registry disable a webhook."""

    registry: Registry
    index: Index
    dispatcher: Dispatcher
    ordered: OrderedDeliveries
    copies: WebhookCopies
    hub: Hub
    disable: Callable[[Webhook, str], None]
    routers: Mapping[str, Router]
    lifecycle: LifecycleRouting
    reader: EventReader
    broker: Broker
    ledger: Ledger
    # By the id of a webhook that is being renamed: the webhook that takes its place.
    successors: dict[str, str] = field(default_factory=dict)

    def follow(self) -> None:
        """Applies each change from now on."""
        self.registry.notify(webhook=self._webhook, stream=self._stream, log=self._log)

    def copy_again(self) -> None:
        """Writes the copies of all webhooks to Redis again, which may have lost them."""
        for webhook_id, webhook in self.registry.webhooks.items():
            self.copies.put(webhook_id, webhook)

    def matching(self, received: Received) -> list[Webhook]:
        """The webhooks that match an event, ordered ones (which are not in the index) included."""
        ordered = (
            webhook for webhook in self.registry.webhooks.values()
            if webhook.ordered and not webhook.is_leaving
        )  # fmt: skip
        matching = [webhook for webhook in ordered if explain(webhook, received) is None]
        return self.index.match(received) + matching

    def _webhook(self, webhook_id: str, webhook: Webhook | None) -> None:
        self.copies.put(webhook_id, webhook)
        if webhook is None or webhook.deleting:
            self.index.remove(webhook_id)
            self.lifecycle.remove(webhook_id)
            self.dispatcher.remove(webhook_id)
            self.ordered.remove(webhook_id, deleted=True)
        else:
            try:
                self._apply(webhook)
            except Exception as error:
                # An earlier version stored it, or a fault did. It takes no events until a caller
                # changes it, and the other webhooks go on.
                self.index.remove(webhook_id)
                self.lifecycle.remove(webhook_id)
                self.ordered.remove(webhook_id)
                self.disable(webhook, f"the gateway cannot use its definition: {_short(error)}")
                raise

        successor = self.registry.webhooks.get(self.successors.get(webhook_id, ""))
        if successor is not None and successor.waits_for == webhook_id:
            self._apply(successor)  # at once: each event is for one of the two
        else:
            self.successors.pop(webhook_id, None)

    def _apply(self, webhook: Webhook) -> None:
        # The lane first: each webhook in the index must have one.
        self.dispatcher.put(webhook)
        if webhook.waits_for:
            self.successors[webhook.waits_for] = webhook.id
        if webhook.is_leaving or self._has_no_place_yet(webhook):
            # Its lane stays without new attempts: those in flight end, and the queue stays.
            self.index.remove(webhook.id)
            self.lifecycle.remove(webhook.id)
            self.ordered.remove(webhook.id)
            return
        if webhook.ordered:
            entry_of(webhook)  # raises what the task that delivers to it would crash of
        else:
            self.index.put(webhook)
        self.lifecycle.put(webhook)
        self.ordered.put(webhook)

    def _has_no_place_yet(self, webhook: Webhook) -> bool:
        """Whether the webhook that this one takes over still gets the events. An ordered one must
        also have ended its deliveries, which is so when it is removed."""
        former = self.registry.webhooks.get(webhook.waits_for)
        return former is not None and (webhook.ordered or former.renamed_to != webhook.id)

    def _log(self, stream: str, _known: KnownLog) -> None:
        self.broker.known_sequences.forget(stream)
        self.ledger.forget_high(stream)
        self.reader.forget(stream)
        self.hub.stream_recreated(stream)
        if stream in self.routers:
            self.routers[stream].log_reset()
            self.ordered.begin_again()

    def _stream(self, name: str, definition: StreamDefinition | None) -> None:
        if definition is None or definition.deleting:
            self.hub.stream_deleted(name)


def _short(error: Exception) -> str:
    known = isinstance(error, InvalidDefinition)
    text = str(error) if known else f"{type(error).__name__}: {error}"
    return text if len(text) <= MAX_REASON else f"{text[:MAX_REASON]}…"
