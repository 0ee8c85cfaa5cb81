"""Verification: receivers of webhooks with ``verify`` are asked until they agree."""

import asyncio
import contextlib
import functools
import time
from dataclasses import dataclass
from typing import Any

import structlog

from event_gateway.broker.connection import BrokerError
from event_gateway.broker.peers import Peers
from event_gateway.broker.registry import Registry
from event_gateway.core.errors import Conflict
from event_gateway.core.text.times import rfc3339
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.registration.webhooks import WebhookRegistration
from event_gateway.request import handshake
from event_gateway.request.builder import RequestBuilders
from event_gateway.request.handshake import HandshakeResult
from event_gateway.request.receiver_client import ReceiverClient
from event_gateway.tasks import end, spawn

log = structlog.get_logger(__name__)

LOOK = 0.5  # seconds between looks at who is to be asked
AT_ONCE = 64  # receivers that are being asked; those never asked before come first
FIRST_DELAY = 1.0  # seconds until one that did not agree is asked again, doubled each time
MAX_DELAY = 600.0


@dataclass(slots=True, eq=False)
class _Open:
    """A receiver that has yet to agree. ``next_at``, on the loop's clock, is when it is asked."""

    webhook: Webhook
    next_at: float
    failed: int = 0
    last_error: str | None = None


class Verifier:
    """Asks for consent in the name of ``origin``, and has the answers written down.

    All processes know who is to be asked; the first of those that live asks, and if it dies the
    next one carries on.
    """

    def __init__(
        self, registry: Registry, registration: WebhookRegistration, peers: Peers, *,
        receivers: ReceiverClient, builders: RequestBuilders, origin: str,
    ) -> None:  # fmt: skip
        self._registry = registry
        self._registration = registration
        self._peers = peers
        self._receivers = receivers
        self._builders = builders
        self._origin = origin
        self._open: dict[str, _Open] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()
        registry.notify(webhook=self._put)

    async def verify(self, webhook_id: str) -> HandshakeResult:
        """Asks a receiver now, also one that has agreed, whose answer then takes the place of the
        former: a refusal ends the consent, silence does not. Without ``verify`` nothing is kept.

        Raises Unknown, Conflict, and what BrokerError names.
        """
        webhook = self._registry.webhook(webhook_id)
        answer = await self._request_verification(webhook)
        if not webhook.verify:
            return answer
        if answer.verified is not None:
            if (
                await self._registration.set_verification(webhook, answer.verified, "verified")
                is None
            ):
                raise Conflict(f"the webhook {webhook_id} was changed in between")
        elif webhook.verified is not None and answer.status_code is not None:
            why = f"no longer verified: {answer.error_message}"
            if await self._registration.set_verification(webhook, None, why) is not None:
                log.warning("receiver has withdrawn its consent", webhook=webhook_id,
                            error=answer.error)  # fmt: skip
        known = self._open.get(webhook_id)
        if known is not None and answer.error:
            known.last_error = answer.error
        return answer

    async def change_origin(self, origin: str) -> None:
        """Changes the gateway's origin; every receiver has to be verified for the new origin.

        Raises what BrokerError names.
        """
        self._origin = origin
        for webhook in list(self._registry.webhooks.values()):
            self._put(webhook.id, webhook)
        await self.withdraw_outdated()

    async def withdraw_outdated(self) -> None:
        """Removes verifications that are for another origin. Raises what BrokerError names."""
        if self._peers.index_and_count[0] != 0:
            return
        for one in list(self._open.values()):
            if one.webhook.verified is not None:
                why = f"no longer verified: the gateway's origin is {self._origin}"
                await self._registration.set_verification(one.webhook, None, why)

    def seen(self, webhook_id: str) -> dict[str, Any]:
        """What this process knows of asking a receiver that has yet to agree, as the API shows it;
        only the one that asks knows much."""
        one = self._open.get(webhook_id)
        if one is None:
            return {}
        left = one.next_at - asyncio.get_running_loop().time()
        waits = left > 0 and self._peers.index_and_count[0] == 0  # else it is just being asked
        return {
            "last_error": one.last_error,
            "next_try_at": rfc3339(time.time() + left) if waits else None,
        }

    async def run(self) -> None:
        """Goes on for ever."""
        while True:
            self._changed.clear()
            if self._peers.index_and_count[0] == 0:
                with contextlib.suppress(*BrokerError):
                    await self.withdraw_outdated()
                self._begin()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK):
                    await self._changed.wait()

    async def stop(self) -> None:
        """Leaves off."""
        await end(self._running.values())

    def _put(self, webhook_id: str, webhook: Webhook | None) -> None:
        """Takes up a webhook or its change, after which it is asked at once."""
        former = self._open.pop(webhook_id, None)
        if webhook is None or not self._must_agree(webhook):
            return
        one = _Open(webhook, asyncio.get_running_loop().time())
        if former is not None and former.webhook.url == webhook.url:
            one.last_error = former.last_error
        self._open[webhook_id] = one
        self._changed.set()

    def _must_agree(self, webhook: Webhook) -> bool:
        if webhook.deleting or not webhook.verify or not webhook.enabled or webhook.disabled:
            return False  # nobody is asked to whom nothing would be sent
        consent = webhook.verified if webhook.is_verified else None
        return consent is None or consent.origin != self._origin

    def _begin(self) -> None:
        now = asyncio.get_running_loop().time()
        due = [
            one
            for webhook_id, one in self._open.items()
            if one.next_at <= now and webhook_id not in self._running
        ]
        due.sort(key=lambda one: (one.failed, one.next_at))
        for one in due[: max(0, AT_ONCE - len(self._running))]:
            webhook_id = one.webhook.id
            task = spawn(self._try(one), name=f"verify-{webhook_id}")
            self._running[webhook_id] = task
            task.add_done_callback(functools.partial(self._ended, webhook_id))

    def _ended(self, webhook_id: str, _task: asyncio.Task[None]) -> None:
        del self._running[webhook_id]
        self._changed.set()

    async def _try(self, one: _Open) -> None:
        webhook = one.webhook
        answer = await self._request_verification(webhook)
        error = answer.error
        if answer.verified is not None:
            try:
                if await self._registration.set_verification(webhook, answer.verified, "verified"):
                    log.info("receiver has agreed", webhook=webhook.id,
                             requests_per_minute=answer.verified.rate)  # fmt: skip
                    return
                error = "the webhook was changed in between"
            except BrokerError as broken:
                error = f"the consent could not be written down: {broken}"
        one.failed += 1
        delay = min(FIRST_DELAY * 2.0 ** min(one.failed - 1, 20), MAX_DELAY)
        one.next_at = asyncio.get_running_loop().time() + delay
        if one.last_error is None:
            log.warning("receiver has not agreed yet, its deliveries wait", webhook=webhook.id,
                        error=error)  # fmt: skip
        one.last_error = error

    async def _request_verification(self, webhook: Webhook) -> HandshakeResult:
        return await handshake.request_verification(
            self._receivers, self._builders, webhook, self._origin
        )
