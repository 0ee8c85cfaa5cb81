"""Carries out what is left of a renaming: the deliveries and the history go over to the new id.

A renaming is two writes of the registry, and work in the background:

1. the webhook is registered under its new id, and waits for the former one;
2. the former one is marked as renamed. Each process takes it out of the index and puts the new one
   into it at once, so that every event is for one of them;
3. the waiting deliveries are moved in Redis; those with an attempt under way follow after it;
4. when no attempt can be under way any more, the history is moved, and the former id is removed.

After a crash anywhere the next process goes on: each step may be repeated.
"""

import asyncio
import time

import structlog
from msgspec.structs import replace

from event_gateway.beats import at_beat, beat
from event_gateway.broker.connection import BrokerError
from event_gateway.broker.peers import Peers
from event_gateway.broker.positions import PositionCopies
from event_gateway.broker.registry import Registry, RegistryConflict
from event_gateway.core.webhook.renaming import is_over, is_pending, joining
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.observability.lifecycle import Lifecycle
from event_gateway.registration.takeovers import Takeovers
from event_gateway.registration.webhook_events import publish_change
from event_gateway.state.connection import StateError
from event_gateway.state.order import Order
from event_gateway.state.renames import Renames

log = structlog.get_logger(__name__)

INTERVAL = 1.0  # seconds between two rounds
MARGIN = 5.0  # seconds after an attempt's timeout in which its outcome is recorded
ORDER_LEASE = 15.0  # seconds for which no process delivers to an ordered webhook
STRAYS = 30  # rounds between two searches for deliveries under ids that are gone


class WebhookRenames:
    """Finishes renamings, and publishes that the former id is gone."""

    def __init__(
        self,
        registry: Registry,
        renames: Renames,
        order: Order,
        copies: PositionCopies,
        *,
        peers: Peers,
        takeovers: Takeovers,
        lifecycle: Lifecycle,
    ) -> None:
        self._registry = registry
        self._renames = renames
        self._order = order
        self._copies = copies
        self._peers = peers
        self._takeovers = takeovers
        self._lifecycle = lifecycle
        self._concerned: set[str] = set()  # ids of webhooks that name or have another one
        self._woken = asyncio.Event()
        self._rounds = 0
        registry.notify(webhook=self._note)

    def _note(self, webhook_id: str, webhook: Webhook | None) -> None:
        concerned = webhook is not None and (
            webhook.renamed_to or webhook.waits_for or webhook.takes_over or webhook.formerly
        )
        if concerned:
            self._concerned.add(webhook_id)
            self._woken.set()
        else:
            self._concerned.discard(webhook_id)

    async def run(self) -> None:
        """Goes on with each renaming until it is complete. It never returns."""
        while True:
            self._woken.clear()
            if self._concerned and self._peers.index_and_count[0] == 0:
                try:
                    await self._round()
                except RegistryConflict:
                    pass  # the next round sees what has changed
                except (*StateError, *BrokerError) as error:
                    log.warning("the renaming of a webhook waits for Redis or NATS",
                                error=str(error) or type(error).__name__)  # fmt: skip
                await beat(INTERVAL)
            else:
                if self._concerned:  # else there is nothing to do until there is
                    at_beat(INTERVAL, self._woken.set)
                await self._woken.wait()

    async def _round(self) -> None:
        registry = self._registry.webhooks
        for webhook_id in list(self._concerned):
            webhook = registry.get(webhook_id)
            if webhook is None:
                continue
            if webhook.renamed_to and not webhook.deleting:
                await self._go_on(webhook)
            former_id = webhook.waits_for or webhook.takes_over
            former = registry.get(former_id)
            if former is not None and is_pending(webhook, former):
                await self._takeovers.mark_renamed(former, webhook)
            elif former_id and is_over(webhook, former):
                on_its_own = replace(webhook, waits_for="", takes_over="")
                await self._registry.put_webhook(on_its_own, webhook)
        if self._rounds % STRAYS == 0:
            await self._move_strays()
        self._rounds += 1

    async def _go_on(self, former: Webhook) -> None:
        """Goes on with a webhook that is marked as renamed."""
        webhook = self._successor(former)
        if webhook is None:  # it was deleted, with all that waits
            await self._registry.put_webhook(replace(former, deleting=True), former)
            return
        if former.id not in webhook.formerly:
            await self._registry.put_webhook(joining(webhook, former), webhook)
            return
        await self._renames.begin(former.id, webhook.id)
        stay = await self._renames.move_queue(former.id, webhook.id)
        if stay or time.time() < former.renamed_at + former.timeout + MARGIN:
            return
        others = self._registry.webhooks.values()
        if any(other.renamed_to == former.id for other in others):
            return  # what goes over to this one comes first
        if former.ordered and not await self._order.lease(former.id, ORDER_LEASE):
            return  # a process still delivers
        await self._renames.move_records(former.id, webhook.id)
        if former.ordered:
            await self._copy_positions(former, webhook)
        if not await self._renames.finish(former.id, webhook.id):
            return
        await self._order.release(former.id)
        await self._registry.remove_webhook(former)
        publish_change(self._lifecycle, "deleted", former)
        log.info("webhook renamed, its deliveries and history are complete under the new id",
                 webhook=webhook.id, former=former.id)  # fmt: skip

    def _successor(self, former: Webhook) -> Webhook | None:
        """The webhook that takes over; it may have been renamed again meanwhile."""
        webhook: Webhook | None = former
        seen = set()
        while webhook is not None and webhook.renamed_to and webhook.id not in seen:
            seen.add(webhook.id)
            webhook = self._registry.webhooks.get(webhook.renamed_to)
        return None if webhook is None or webhook.deleting or webhook.renamed_to else webhook

    async def _copy_positions(self, former: Webhook, webhook: Webhook) -> None:
        for stream, known in self._registry.logs.items():
            position = await self._copies.read(former.id, stream, known)
            if position > await self._copies.read(webhook.id, stream, known):
                await self._copies.write(webhook.id, stream, position, known)
                await self._copies.forget(former.id, stream)

    async def _move_strays(self) -> None:
        """Moves what a process that had not seen the change yet has queued under a former id."""
        registry = self._registry.webhooks
        for webhook_id in list(self._concerned):
            webhook = registry.get(webhook_id)
            for former in () if webhook is None or webhook.renamed_to else webhook.formerly:
                if former not in registry:
                    await self._renames.move_queue(former, webhook_id)
