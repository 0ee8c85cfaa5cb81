"""The ids that webhooks had before: a webhook takes the place of another one, or loses an id that
is registered again. :mod:`event_gateway.registration.renames` does what is left then."""

import asyncio
import time

import structlog
from msgspec.structs import replace

from event_gateway.audit.trail import AuditTrail
from event_gateway.broker.registry import Registry, RegistryConflict
from event_gateway.config.response_bodies import webhook_to_json
from event_gateway.core.webhook.renaming import check_renaming
from event_gateway.core.webhook.webhook import Webhook

log = structlog.get_logger(__name__)


class Takeovers:
    """Finds and marks the webhooks whose place others take."""

    def __init__(self, registry: Registry, audit: AuditTrail) -> None:
        self._registry = registry
        self._audit = audit

    def former_of(self, webhook: Webhook, existing: Webhook | None) -> Webhook | None:
        """The registered webhook whose place this one is to take; None if there is none. Raises
        InvalidDefinition. ``existing``: what is registered under its own id."""
        former = self._registry.webhooks.get(webhook.renamed_from or "")
        if former is None or former.deleting or former.renamed_to or former.id == webhook.id:
            return None
        if existing is not None and existing.renamed_from == former.id:
            return None  # that was before; the id is that of another webhook by now
        if webhook.owner and former.owner != webhook.owner:
            return None  # for this owner there is no such webhook
        check_renaming(webhook, former, existing)
        return former

    async def mark_renamed(self, former: Webhook, webhook: Webhook) -> None:
        """Has ``webhook`` get the events of ``former`` in its place, in every process at once; what
        waits goes over in the background. If this process ends before, another one does it."""
        while True:
            present = self._registry.webhooks.get(former.id)
            if present is None or present.deleting or present.renamed_to:
                return
            if present.owner != webhook.owner:
                return  # another webhook has got the id meanwhile
            renamed = replace(present, renamed_to=webhook.id, renamed_at=time.time())
            try:
                async with self._audit.change(
                    self._audit.gateway, "webhooks.rename", f"webhook/{former.id}"
                ) as call:
                    call.about(before=webhook_to_json(present), after=webhook_to_json(renamed))
                    await self._registry.put_webhook(renamed, present)
            except RegistryConflict:
                await asyncio.sleep(0.05)  # until the watch has received the other change
                continue
            log.info("webhook renamed, it takes over the waiting deliveries", webhook=webhook.id,
                     former=former.id)  # fmt: skip
            return

    async def give_id(self, webhook_id: str, former: Webhook | None) -> None:
        """Takes an id that is registered again from the webhook that had it before. ``former``: the
        one that is renamed to this id, which keeps it."""
        while (holder := self._registry.current_id(webhook_id)) != webhook_id:
            if former is not None and holder == former.id:
                return
            other = self._registry.webhooks[holder]
            kept = replace(
                other,
                formerly=tuple(each for each in other.formerly if each != webhook_id),
                waits_for="" if other.waits_for == webhook_id else other.waits_for,
                takes_over="" if other.takes_over == webhook_id else other.takes_over,
            )
            if kept == other:
                return
            try:
                await self._registry.put_webhook(kept, other)
            except RegistryConflict:
                await asyncio.sleep(0.05)  # until the watch has received the other change
