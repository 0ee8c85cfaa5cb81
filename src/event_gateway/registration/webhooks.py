"""Registers webhooks, over the API and from the configuration file."""

import asyncio
import time
from collections.abc import Callable, Iterable

import structlog
from msgspec.structs import replace

from event_gateway.audit.trail import AuditTrail
from event_gateway.broker.connection import BrokerError
from event_gateway.broker.event_log import EventLog
from event_gateway.broker.registry import Registry, RegistryConflict
from event_gateway.config.response_bodies import webhook_to_json
from event_gateway.core.errors import (
    AlreadyExists,
    BeingDeleted,
    ChangedInBetween,
    Conflict,
    InvalidDefinition,
)
from event_gateway.core.streams.definition import LIFECYCLE
from event_gateway.core.webhook.renaming import check_renaming, taking_over
from event_gateway.core.webhook.webhook import Disabled, Verification, Webhook
from event_gateway.observability.lifecycle import Lifecycle
from event_gateway.registration.waiting import Waiting
from event_gateway.state.connection import StateError
from event_gateway.state.queues import Queues
from event_gateway.tasks import end, spawn

log = structlog.get_logger(__name__)


DEAD_AFTER = 5.0  # seconds after which another process resumes an unfinished deletion


class WebhookRegistration:
    """Writes webhooks into the registry, publishes each change, and cleans up after deletions."""

    def __init__(
        self,
        registry: Registry,
        events: EventLog,
        queues: Queues,
        lifecycle: Lifecycle,
        audit: AuditTrail,
        *,
        waiting: Waiting,
    ) -> None:
        self._waiting = waiting
        self._registry = registry
        self._events = events
        self._queues = queues
        self._lifecycle = lifecycle
        self._audit = audit
        self._deleting: dict[str, asyncio.Task[None]] = {}
        self._disabling: dict[str, asyncio.Task[None]] = {}

    async def create(self, webhook: Webhook) -> Webhook:
        """Registers a webhook for all events later in the log. Raises Conflict."""
        existing = self._registry.webhooks.get(webhook.id)
        if existing is not None:
            if existing.deleting:
                raise BeingDeleted(f"the webhook {webhook.id} is being deleted")
            raise AlreadyExists(f"the webhook {webhook.id} exists already")
        former = self._former_of(webhook, None)
        await self._capture_for(webhook)
        await self._queues.forget(webhook.id)
        await self._give_id(webhook.id, former)
        webhook = replace(
            webhook,
            since=await self._events.last_seq(),
            since_in={
                stream.name: await self._events.last_seq(stream.name)
                for stream in self._events.external
            },
            created_at=time.time(),
            deleting=False,
        )
        if former is not None:
            webhook = taking_over(webhook, former)
        webhook = await self._with_lifecycle(webhook)
        try:
            await self._registry.put_webhook(webhook, None)
        except RegistryConflict:
            raise AlreadyExists(f"the webhook {webhook.id} exists already") from None
        self._publish("registered", webhook)
        if former is not None:
            await self.mark_renamed(former, webhook)
        return webhook

    async def replace(self, webhook: Webhook) -> Webhook:
        """Replaces the definition of the webhook with the same id.

        Raises Unknown, Conflict, InvalidDefinition.
        """
        existing = self._registry.webhook(webhook.id)
        if existing.deleting:
            raise BeingDeleted(f"the webhook {webhook.id} is being deleted")
        if webhook.managed_by != "file" and webhook.owner != existing.owner:
            raise ChangedInBetween(f"the webhook {webhook.id} was changed in between")
        check_order(existing, webhook)
        former = self._former_of(webhook, existing)
        await self._capture_for(webhook)
        webhook = await self._with_lifecycle(_replacing(existing, webhook))
        if former is not None:
            webhook = replace(webhook, takes_over=former.id)
        try:
            await self._registry.put_webhook(webhook, existing)
        except RegistryConflict:
            raise ChangedInBetween(f"the webhook {webhook.id} was changed in between") from None
        self._publish("updated", webhook)
        if former is not None:
            await self.mark_renamed(former, webhook)
        return webhook

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
            log.info("webhook renamed, it takes over what waits", webhook=webhook.id,
                     former=former.id)  # fmt: skip
            return

    def removed(self, webhook: Webhook) -> None:
        """Publishes that a webhook which was renamed is gone."""
        self._publish("deleted", webhook)

    async def delete(self, webhook_id: str) -> None:
        """Starts a deletion: no event matches any more, and pending deliveries are cancelled in the
        background.

        Raises Unknown, Conflict.
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

    def disable(self, webhook: Webhook, reason: str) -> None:
        """Disables a webhook, in the background; its pending deliveries stay in the queue.

        Changes nothing if the webhook has another URL or is not active by then.
        """
        if webhook.id not in self._disabling:
            task = spawn(self._disable(webhook, reason), name=f"stop-{webhook.id}")
            self._disabling[webhook.id] = task
            task.add_done_callback(lambda _: self._disabling.pop(webhook.id, None))

    async def enable(self, webhook_id: str, *, discard: bool) -> Webhook:
        """Enables a webhook; ``discard`` cancels its pending deliveries first.

        Raises Unknown, Conflict.
        """
        existing = self._registry.webhook(webhook_id)
        if existing.managed_by == "file" and not existing.enabled:
            raise Conflict(f"the webhook {webhook_id} is paused in the configuration file")
        while discard and await self._queues.cancel(webhook_id, "discarded"):
            await asyncio.sleep(0)
        enabled = replace(existing, enabled=True, disabled=None)
        return existing if enabled == existing else await self.replace(enabled)

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
            self._publish("updated", changed, reason=why)
        return changed

    def check_file(self, webhooks: Iterable[Webhook]) -> None:
        """Raises InvalidDefinition if a webhook cannot replace the registered one, or cannot take
        the place of the one that it was renamed from."""
        for webhook in webhooks:
            existing = self._registry.webhooks.get(webhook.id)
            if existing is not None and existing.deleting:
                existing = None
            try:
                if existing is not None:
                    check_order(existing, webhook)
                self._former_of(webhook, existing)
            except InvalidDefinition as error:
                key = f"webhooks.{webhook.id}.{error.key}"
                raise InvalidDefinition(key, error.detail) from None

    async def load_file(self, webhooks: Iterable[Webhook], *, force: bool = False) -> None:
        """Writes new and changed webhooks of the file into the registry, and deletes those that are
        no longer in the file.

        Without ``force`` a webhook is not deleted while deliveries wait for it: it is orphaned.
        Raises InvalidDefinition before it changes anything, and the exceptions in StateError.
        """
        in_file = {webhook.id: webhook for webhook in webhooks}
        self.check_file(in_file.values())
        for webhook in in_file.values():
            existing = self._registry.webhooks.get(webhook.id)
            if existing is not None and existing.deleting:
                await self._deleted(webhook.id)
                existing = None
            if existing is not None and existing.renamed_to:
                await self._give_id(webhook.id, None)  # the file has both of them now
            try:
                if existing is None or not _is_same(existing, webhook):
                    await self._load(webhook, existing)
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
            log.warning("the webhook is no longer in the file, deleting it with what waits for it",
                        webhook=webhook.id, count=waiting)  # fmt: skip
        else:
            log.info("the webhook is no longer in the file, deleting it", webhook=webhook.id)
        async with self._audit.change(
            self._audit.file, "webhooks.delete", f"webhook/{webhook.id}"
        ) as call:
            call.about(before=webhook_to_json(webhook))
            await self.delete(webhook.id)

    async def _orphan(self, webhook: Webhook, waiting: int) -> None:
        """Has a webhook get no new events and no attempts, and keeps what waits for it."""
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

    async def _load(self, webhook: Webhook, existing: Webhook | None) -> None:
        """Writes a webhook of the file, and that it does so into the audit log."""
        operation = "webhooks.create" if existing is None else "webhooks.replace"
        async with self._audit.change(self._audit.file, operation, f"webhook/{webhook.id}") as call:
            if existing is None:
                call.about(after=webhook_to_json(await self.create(webhook)))
            else:
                written = webhook_to_json(await self.replace(webhook))
                call.about(before=webhook_to_json(existing), after=written)

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

    async def resume_deletions(self) -> None:
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
        """Cancels deletions and disablings that run; the next start resumes them."""
        await end([*self._deleting.values(), *self._disabling.values()])

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
            self._publish("disabled", marked, reason=reason)

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

    async def _delete_unreadable(self, webhook_id: str) -> None:
        while await self._queues.cancel(webhook_id, "webhook deleted", deleted=True):
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

    async def _deleted(self, webhook_id: str) -> None:
        """Returns once a deletion is complete, or has failed."""
        self._start_cleanup(webhook_id)
        task = self._deleting.get(webhook_id)
        if task is not None:
            await asyncio.wait([task])

    async def _clean_up(self, webhook_id: str) -> None:
        while True:
            webhook = self._registry.webhooks.get(webhook_id)
            if webhook is None or not webhook.deleting:
                return  # another process has completed it; a webhook with this id is a new one
            try:
                if await self._queues.cancel(webhook_id, "webhook deleted", deleted=True):
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
        self._publish("deleted", webhook)

    async def _give_id(self, webhook_id: str, former: Webhook | None) -> None:
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

    def _former_of(self, webhook: Webhook, existing: Webhook | None) -> Webhook | None:
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

    async def _with_lifecycle(self, webhook: Webhook) -> Webhook:
        """The webhook with its position in the log of lifecycle events: the present one if it has
        none yet, and none if no pattern names lifecycle events (any more)."""
        since_in = dict(webhook.since_in)
        if not webhook.names_lifecycle:
            since_in.pop(LIFECYCLE, None)
        elif LIFECYCLE not in since_in:
            since_in[LIFECYCLE] = await self._events.last_seq(LIFECYCLE)
        return replace(webhook, since_in=since_in)

    async def _capture_for(self, webhook: Webhook) -> None:
        """Has the log capture the subjects of a webhook's patterns. What it captures is decided by
        the operators: those of a webhook with an owner are captured only if they are already."""
        if not webhook.owner:
            await self._events.capture_for(webhook.events)

    def _publish(self, what: str, webhook: Webhook, **more: str) -> None:
        about = {"url": webhook.url, "events": webhook.events} | more
        if what != "disabled":  # which has a warning of its own
            log.info(f"webhook {what}", webhook=webhook.id)
        self._lifecycle.webhook(what, webhook.id, about)


def check_order(existing: Webhook, webhook: Webhook) -> None:
    """Raises InvalidDefinition if the order of pending deliveries would not be kept."""
    if (existing.ordered, existing.ordered_by) != (webhook.ordered, webhook.ordered_by):
        raise InvalidDefinition(
            "ordered",
            f"cannot change while the webhook {webhook.id} exists: "
            "register the changed webhook under another id, or delete this one first",
        )


def _is_same(existing: Webhook, webhook: Webhook) -> bool:
    # A webhook that the gateway has disabled stays so until somebody changes or enables it.
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
