"""The gateway's own changes of webhooks: it disables them, and stores what handshakes say."""

import asyncio
import time
from collections.abc import Callable

import structlog
from msgspec.structs import replace

from event_gateway.audit.trail import AuditTrail
from event_gateway.broker.connection import BrokerError
from event_gateway.broker.registry import Registry, RegistryConflict
from event_gateway.config.response_bodies import webhook_to_json
from event_gateway.core.webhook.webhook import Disabled, Verification, Webhook
from event_gateway.observability.lifecycle import Lifecycle
from event_gateway.registration.webhook_events import publish_change
from event_gateway.tasks import end, spawn

log = structlog.get_logger(__name__)


class WebhookAmendments:
    """Changes webhooks as the gateway, each of them in the audit log."""

    def __init__(self, registry: Registry, audit: AuditTrail, lifecycle: Lifecycle) -> None:
        self._registry = registry
        self._audit = audit
        self._lifecycle = lifecycle
        self._disabling: dict[str, asyncio.Task[None]] = {}

    def disable(self, webhook: Webhook, reason: str) -> None:
        """Disables a webhook, in the background; its pending deliveries stay in the queue.

        Changes nothing if the webhook has another URL or is not active by then.
        """
        if webhook.id not in self._disabling:
            task = spawn(self._disable(webhook, reason), name=f"stop-{webhook.id}")
            self._disabling[webhook.id] = task
            task.add_done_callback(lambda _: self._disabling.pop(webhook.id, None))

    async def set_verification(
        self, meant: Webhook, verified: Verification | None, why: str
    ) -> Webhook | None:
        """Stores a receiver's verification, or with None removes that of ``meant``.

        Returns the webhook; None if it was deleted, has another URL, or needs no verification.
        Raises the exceptions in BrokerError.
        """

        def change(webhook: Webhook) -> Webhook | None:
            over = verified is None and webhook.verified != meant.verified
            return None if over or not webhook.verify else replace(webhook, verified=verified)

        changed = await self._amend(meant, change, "webhooks.verification")
        if changed is not None:
            publish_change(self._lifecycle, "updated", changed, reason=why)
        return changed

    async def stop(self) -> None:
        """Cancels disablings that wait for NATS."""
        await end(self._disabling.values())

    async def _disable(self, meant: Webhook, reason: str) -> None:
        def change(webhook: Webhook) -> Webhook | None:
            disabled = Disabled(reason, time.time())
            return replace(webhook, disabled=disabled) if webhook.active else None

        while True:
            try:
                marked = await self._amend(meant, change, "webhooks.disable")
                break
            except BrokerError as error:
                log.warning("webhook not disabled yet", webhook=meant.id, error=str(error))
                await asyncio.sleep(1)
        if marked is not None:
            log.warning("webhook disabled", webhook=meant.id, reason=reason)
            publish_change(self._lifecycle, "disabled", marked, reason=reason)

    async def _amend(
        self, meant: Webhook, change: Callable[[Webhook], Webhook | None], operation: str
    ) -> Webhook | None:
        """Applies ``change`` to the registered webhook, writes the result and returns it. It is the
        gateway's own change, an ``operation`` of the audit log.

        None if ``change`` returns None, or if the webhook is deleted or has another URL than
        ``meant``.
        """
        while True:
            webhook = self._registry.webhooks.get(meant.id)
            if webhook is None or webhook.deleting or webhook.url != meant.url:
                return None
            changed = change(webhook)
            if changed is None:
                return None
            try:
                async with self._audit.change(
                    self._audit.gateway, operation, f"webhook/{webhook.id}"
                ) as call:
                    call.about(before=webhook_to_json(webhook), after=webhook_to_json(changed))
                    await self._registry.put_webhook(changed, webhook)
                return changed
            except RegistryConflict:
                await asyncio.sleep(0.05)  # until the watch has received the other change
