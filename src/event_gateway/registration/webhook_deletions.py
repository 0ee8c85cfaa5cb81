"""Deletes webhooks, and cleans up after them in the background."""

import asyncio

import structlog
from msgspec.structs import replace

from event_gateway.broker.connection import BrokerError
from event_gateway.broker.registry import Registry, RegistryConflict
from event_gateway.core.errors import ChangedInBetween
from event_gateway.core.webhook.delivery import WEBHOOK_DELETED
from event_gateway.observability.lifecycle import Lifecycle
from event_gateway.registration.webhook_events import publish_change
from event_gateway.state.connection import StateError
from event_gateway.state.queues import Queues
from event_gateway.tasks import end, spawn

log = structlog.get_logger(__name__)

DEAD_AFTER = 5.0  # seconds after which another process resumes an unfinished deletion


class WebhookDeletions:
    """Marks webhooks as deleted, cancels their waiting deliveries, and then frees their ids."""

    def __init__(self, registry: Registry, queues: Queues, lifecycle: Lifecycle) -> None:
        self._registry = registry
        self._queues = queues
        self._lifecycle = lifecycle
        self._deleting: dict[str, asyncio.Task[None]] = {}

    async def delete(self, webhook_id: str) -> None:
        """Starts a deletion: no event matches any more, and pending deliveries are cancelled in the
        background.

        Raises NotRegistered, Conflict.
        """
        if self._registry.is_unreadable("webhook", webhook_id):
            await self._delete_unreadable(webhook_id)
            return
        webhook = self._registry.webhook(webhook_id)
        if webhook.deleting:
            return
        try:
            marked = replace(webhook, deleting=True)
            await self._registry.put_webhook(marked, webhook)
        except RegistryConflict:
            raise ChangedInBetween(f"the webhook {webhook_id} was changed in between") from None
        self._start_cleanup(webhook_id)

    async def completed(self, webhook_id: str) -> None:
        """Returns once a deletion is complete, or has failed."""
        self._start_cleanup(webhook_id)
        task = self._deleting.get(webhook_id)
        if task is not None:
            await asyncio.wait([task])

    async def resume(self) -> None:
        """Resumes deletions whose process ended before they were complete. It never returns."""
        before: set[str] = set()
        while True:
            deleting = {
                webhook.id for webhook in self._registry.webhooks.values() if webhook.deleting
            }
            for webhook_id in deleting & before:
                self._start_cleanup(webhook_id)
            before = deleting
            await asyncio.sleep(DEAD_AFTER)

    async def stop(self) -> None:
        """Cancels deletions that run; the next start resumes them."""
        await end(self._deleting.values())

    async def _delete_unreadable(self, webhook_id: str) -> None:
        while await self._queues.cancel(webhook_id, WEBHOOK_DELETED, deleted=True):
            await asyncio.sleep(0)
        try:
            await self._registry.remove_unreadable("webhook", webhook_id)
        except RegistryConflict:
            raise ChangedInBetween(f"the webhook {webhook_id} was changed in between") from None

    def _start_cleanup(self, webhook_id: str) -> None:
        if webhook_id not in self._deleting:
            task = spawn(self._clean_up(webhook_id), name=f"delete-{webhook_id}")
            self._deleting[webhook_id] = task
            task.add_done_callback(lambda _: self._deleting.pop(webhook_id, None))

    async def _clean_up(self, webhook_id: str) -> None:
        while True:
            webhook = self._registry.webhooks.get(webhook_id)
            if webhook is None or not webhook.deleting:
                return  # another process has completed it; a webhook with this id is a new one
            try:
                if await self._queues.cancel(webhook_id, WEBHOOK_DELETED, deleted=True):
                    await asyncio.sleep(0)
                    continue
                await self._registry.remove_webhook(webhook)
                break
            except RegistryConflict:
                await asyncio.sleep(0.05)  # until the watch has received the other change
            except (*StateError, *BrokerError) as error:
                log.warning(
                    "the deletion of a webhook waits for Redis or NATS",
                    webhook=webhook_id,
                    error=str(error),
                )
                await asyncio.sleep(1)
        publish_change(self._lifecycle, "deleted", webhook)
