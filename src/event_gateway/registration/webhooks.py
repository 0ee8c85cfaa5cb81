"""Registers webhooks, and changes them."""

import asyncio

from msgspec.structs import replace

from event_gateway.broker.registry import Registry, RegistryConflict
from event_gateway.core.errors import (
    AlreadyExists,
    BeingDeleted,
    ChangedInBetween,
    Conflict,
    InvalidDefinition,
)
from event_gateway.core.webhook.renaming import taking_over
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.observability.lifecycle import Lifecycle
from event_gateway.registration.log_positions import LogPositions
from event_gateway.registration.takeovers import Takeovers
from event_gateway.registration.webhook_deletions import WebhookDeletions
from event_gateway.registration.webhook_events import publish_change
from event_gateway.state.queues import Queues


class WebhookRegistration:
    """Writes webhooks into the registry, and publishes each change."""

    def __init__(
        self,
        registry: Registry,
        queues: Queues,
        lifecycle: Lifecycle,
        *,
        positions: LogPositions,
        takeovers: Takeovers,
        deletions: WebhookDeletions,
    ) -> None:
        self._registry = registry
        self._queues = queues
        self._lifecycle = lifecycle
        self._positions = positions
        self._takeovers = takeovers
        self._deletions = deletions

    async def create(self, webhook: Webhook) -> Webhook:
        """Registers a webhook for all events later in the log. Raises Conflict."""
        existing = self._registry.webhooks.get(webhook.id)
        if existing is not None:
            if existing.deleting:
                raise BeingDeleted(f"the webhook {webhook.id} is being deleted")
            raise AlreadyExists(f"the webhook {webhook.id} exists already")
        former = self._takeovers.former_of(webhook, None)
        await self._positions.capture_for(webhook)
        await self._queues.forget(webhook.id)
        await self._takeovers.give_id(webhook.id, former)
        webhook = await self._positions.beginning(webhook)
        if former is not None:
            webhook = taking_over(webhook, former)
        webhook = await self._positions.with_lifecycle(webhook)
        try:
            await self._registry.put_webhook(webhook, None)
        except RegistryConflict:
            raise AlreadyExists(f"the webhook {webhook.id} exists already") from None
        publish_change(self._lifecycle, "registered", webhook)
        if former is not None:
            await self._takeovers.mark_renamed(former, webhook)
        return webhook

    async def replace(self, webhook: Webhook) -> Webhook:
        """Replaces the definition of the webhook with the same id.

        Raises NotRegistered, Conflict, InvalidDefinition.
        """
        existing = self._registry.webhook(webhook.id)
        if existing.deleting:
            raise BeingDeleted(f"the webhook {webhook.id} is being deleted")
        if webhook.managed_by != "file" and webhook.owner != existing.owner:
            raise ChangedInBetween(f"the webhook {webhook.id} was changed in between")
        check_order(existing, webhook)
        former = self._takeovers.former_of(webhook, existing)
        await self._positions.capture_for(webhook)
        webhook = await self._positions.with_lifecycle(_replacing(existing, webhook))
        if former is not None:
            webhook = replace(webhook, takes_over=former.id)
        try:
            await self._registry.put_webhook(webhook, existing)
        except RegistryConflict:
            raise ChangedInBetween(f"the webhook {webhook.id} was changed in between") from None
        publish_change(self._lifecycle, "updated", webhook)
        if former is not None:
            await self._takeovers.mark_renamed(former, webhook)
        return webhook

    async def enable(self, webhook_id: str, *, discard: bool) -> Webhook:
        """Enables a webhook; ``discard`` cancels its pending deliveries first.

        Raises NotRegistered, Conflict.
        """
        existing = self._registry.webhook(webhook_id)
        if existing.managed_by == "file" and not existing.enabled:
            raise Conflict(f"the webhook {webhook_id} is paused in the configuration file")
        while discard and await self._queues.cancel(webhook_id, "discarded"):
            await asyncio.sleep(0)
        enabled = replace(existing, enabled=True, disabled=None)
        return existing if enabled == existing else await self.replace(enabled)

    async def delete(self, webhook_id: str) -> None:
        """Starts a deletion: no event matches any more, and pending deliveries are cancelled in the
        background.

        Raises NotRegistered, Conflict.
        """
        await self._deletions.delete(webhook_id)


def check_order(existing: Webhook, webhook: Webhook) -> None:
    """Raises InvalidDefinition if the order of pending deliveries would not be kept."""
    if (existing.ordered, existing.ordered_by) != (webhook.ordered, webhook.ordered_by):
        raise InvalidDefinition(
            "ordered",
            f"cannot change while the webhook {webhook.id} exists: "
            "register the changed webhook under another id, or delete this one first",
        )


def is_same(existing: Webhook, webhook: Webhook) -> bool:
    """Whether a definition changes nothing of the registered webhook."""
    # A webhook that the gateway has disabled stays so until a caller changes or enables it.
    return existing == replace(_replacing(existing, webhook), disabled=existing.disabled)


def _replacing(existing: Webhook, webhook: Webhook) -> Webhook:
    """The new definition, with the fields of the existing one that a change keeps."""
    return replace(
        webhook,
        since=existing.since,
        since_in=existing.since_in,
        created_at=existing.created_at,
        formerly=existing.formerly,
        waits_for=existing.waits_for,
        takes_over=existing.takes_over,
        message_name=existing.message_name,
        # A verification is for a single URL, and ends when ``verify`` is turned off.
        verified=existing.verified if webhook.verify and webhook.url == existing.url else None,
    )
