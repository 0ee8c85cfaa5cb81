"""Registers the webhooks of the configuration file."""

import time
from collections.abc import Iterable

import structlog
from msgspec.structs import replace

from event_gateway.audit.trail import AuditTrail
from event_gateway.broker.registry import Registry, RegistryConflict
from event_gateway.config.response_bodies import webhook_to_json
from event_gateway.core.errors import Conflict, InvalidDefinition
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.registration.takeovers import Takeovers
from event_gateway.registration.waiting import Waiting
from event_gateway.registration.webhook_deletions import WebhookDeletions
from event_gateway.registration.webhooks import WebhookRegistration, check_order, is_same

log = structlog.get_logger(__name__)


class FileWebhooks:
    """Has the registry follow the file, each change in the audit log."""

    def __init__(
        self,
        registry: Registry,
        audit: AuditTrail,
        *,
        webhooks: WebhookRegistration,
        takeovers: Takeovers,
        deletions: WebhookDeletions,
        waiting: Waiting,
    ) -> None:
        self._registry = registry
        self._audit = audit
        self._webhooks = webhooks
        self._takeovers = takeovers
        self._deletions = deletions
        self._waiting = waiting

    def check(self, webhooks: Iterable[Webhook]) -> None:
        """Raises InvalidDefinition if a webhook cannot replace the registered one, or cannot take
        the place of the one that it was renamed from."""
        for webhook in webhooks:
            existing = self._registry.webhooks.get(webhook.id)
            if existing is not None and existing.deleting:
                existing = None
            try:
                if existing is not None:
                    check_order(existing, webhook)
                self._takeovers.former_of(webhook, existing)
            except InvalidDefinition as error:
                key = f"webhooks.{webhook.id}.{error.key}"
                raise InvalidDefinition(key, error.detail) from None

    async def load(self, webhooks: Iterable[Webhook], *, force: bool = False) -> None:
        """Writes new and changed webhooks of the file into the registry, and deletes those that are
        no longer in the file.

        Without ``force`` a webhook is not deleted while deliveries wait for it: it is orphaned.
        Raises InvalidDefinition before it changes anything, and the exceptions in StateError.
        """
        in_file = {webhook.id: webhook for webhook in webhooks}
        self.check(in_file.values())
        for webhook in in_file.values():
            existing = self._registry.webhooks.get(webhook.id)
            if existing is not None and existing.deleting:
                await self._deletions.completed(webhook.id)
                existing = None
            if existing is not None and existing.renamed_to:
                await self._takeovers.give_id(webhook.id, None)  # the file has both of them now
            try:
                if existing is None or not is_same(existing, webhook):
                    await self._write(webhook, existing)
            except Conflict as error:
                # Another process with the same file has started at the same time and was first.
                log.info("another process has just written this webhook", webhook=webhook.id,
                         reason=str(error))  # fmt: skip
        for existing in list(self._registry.webhooks.values()):
            if existing.managed_by == "file" and existing.id not in in_file:
                if self._is_taken_over(existing.id, in_file.values()):
                    continue
                await self._leave_out(existing, force=force)

    def _is_taken_over(self, former_id: str, webhooks: Iterable[Webhook]) -> bool:
        """Whether another process that has read the same file is about to mark a webhook as
        renamed: deleted before that, it would leave no one for the events in between."""
        for webhook in webhooks:
            if webhook.renamed_from == former_id:
                present = self._registry.webhooks.get(webhook.id)
                if present is None or present.renamed_from != former_id:
                    return True  # that process has just written it
                return former_id in (present.waits_for, present.takes_over)
        return False

    async def _leave_out(self, webhook: Webhook, *, force: bool) -> None:
        """Deletes a webhook that the file does not name, or orphans it while deliveries wait."""
        if webhook.deleting or webhook.renamed_to:
            return
        waiting = await self._waiting.of(webhook)
        if waiting and not force:
            if not webhook.orphaned_at:
                await self._orphan(webhook, waiting)
            return
        if waiting:
            log.warning(
                "the webhook is no longer in the file, deleting it with its waiting deliveries",
                webhook=webhook.id,
                count=waiting,
            )
        else:
            log.info("the webhook is no longer in the file, deleting it", webhook=webhook.id)
        async with self._audit.change(
            self._audit.file, "webhooks.delete", f"webhook/{webhook.id}"
        ) as call:
            call.about(before=webhook_to_json(webhook))
            await self._deletions.delete(webhook.id)

    async def _orphan(self, webhook: Webhook, waiting: int) -> None:
        """Has a webhook get no new events and no attempts, and keeps its waiting deliveries."""
        orphaned = replace(webhook, orphaned_at=time.time())
        async with self._audit.change(
            self._audit.file, "webhooks.orphan", f"webhook/{webhook.id}"
        ) as call:
            call.about(before=webhook_to_json(webhook), after=webhook_to_json(orphaned))
            try:
                await self._registry.put_webhook(orphaned, webhook)
            except RegistryConflict:
                return  # another process has just done the same, or the next reload does
        log.warning(
            "the webhook is no longer in the file, and deliveries wait for it: it is kept, gets no "
            "new events, and no attempts are made; name it again, have another webhook take them "
            "over with renamed_from, or delete it",
            webhook=webhook.id, count=waiting,
        )  # fmt: skip

    async def _write(self, webhook: Webhook, existing: Webhook | None) -> None:
        """Writes a webhook of the file, and that it does so into the audit log."""
        operation = "webhooks.create" if existing is None else "webhooks.replace"
        async with self._audit.change(self._audit.file, operation, f"webhook/{webhook.id}") as call:
            if existing is None:
                call.about(after=webhook_to_json(await self._webhooks.create(webhook)))
            else:
                written = webhook_to_json(await self._webhooks.replace(webhook))
                call.about(before=webhook_to_json(existing), after=written)
