"""Verification: repeats the handshake with the receivers of webhooks with ``verify``."""

import asyncio
import contextlib
import functools
import time
from dataclasses import dataclass
from typing import Any

import structlog

from event_gateway.beats import at_beat
from event_gateway.broker.connection import BrokerError
from event_gateway.broker.peers import Peers
from event_gateway.broker.registry import Registry
from event_gateway.core.errors import ChangedInBetween
from event_gateway.core.text.times import rfc3339
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.registration.webhook_amendments import WebhookAmendments
from event_gateway.request import handshake
from event_gateway.request.builder import RequestBuilders
from event_gateway.request.handshake import HandshakeResult
from event_gateway.request.receiver_client import ReceiverClient
from event_gateway.tasks import end, spawn

log = structlog.get_logger(__name__)

INTERVAL = 0.5  # seconds between two looks for handshakes that are due
MAX_HANDSHAKES = 64  # at a time; receivers without a failed one go first
FIRST_DELAY = 1.0  # seconds from the first failed handshake to the next, doubled each time
MAX_DELAY = 600.0


@dataclass(slots=True, eq=False)
class _Unverified:
    """A webhook whose receiver is not verified. ``next_at``: when the next handshake is due, on the
    event loop's clock; ``failed``: the number of handshakes that failed so far."""

    webhook: Webhook
    next_at: float
    failed: int = 0
    last_error: str | None = None


class Verifier:
    """Runs the handshakes for ``origin``, and writes verifications into the registry.

    Every process knows the unverified webhooks. The live process with index 0 runs the handshakes;
    if it dies, another process becomes the one with index 0.
    """

    def __init__(
        self, registry: Registry, amendments: WebhookAmendments, peers: Peers, *,
        receivers: ReceiverClient, builders: RequestBuilders, origin: str,
    ) -> None:  # fmt: skip
        self._registry = registry
        self._amendments = amendments
        self._peers = peers
        self._receivers = receivers
        self._builders = builders
        self._origin = origin
        self._unverified: dict[str, _Unverified] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()
        registry.notify(webhook=self._put)

    async def verify(self, webhook_id: str) -> HandshakeResult:
        """Runs the handshake with a receiver now, and returns the result.

        For a verified webhook the new result counts: a refusal ends the verification; without a
        response the webhook stays verified. For a webhook without ``verify`` nothing is stored.

        Raises NotRegistered, Conflict, and the exceptions in BrokerError.
        """
        webhook = self._registry.webhook(webhook_id)
        result = await self._request_verification(webhook)
        if not webhook.verify:
            return result
        if result.verified is not None:
            written = await self._amendments.set_verification(webhook, result.verified, "verified")
            if written is None:
                raise ChangedInBetween(f"the webhook {webhook_id} was changed in between")
        elif webhook.verified is not None and result.status_code is not None:
            why = f"no longer verified: {result.error_message}"
            if await self._amendments.set_verification(webhook, None, why) is not None:
                log.warning("the receiver is no longer verified", webhook=webhook_id,
                            error=result.error)  # fmt: skip
        unverified = self._unverified.get(webhook_id)
        if unverified is not None and result.error:
            unverified.last_error = result.error
        return result

    async def change_origin(self, origin: str) -> None:
        """Changes the gateway's origin; every receiver has to be verified for the new origin.

        Raises the exceptions in BrokerError.
        """
        self._origin = origin
        for webhook in list(self._registry.webhooks.values()):
            self._put(webhook.id, webhook)
        await self.withdraw_outdated()

    async def withdraw_outdated(self) -> None:
        """Removes verifications for another origin. Raises the exceptions in BrokerError."""
        if not self._peers.leads:
            return
        for unverified in list(self._unverified.values()):
            if unverified.webhook.verified is not None:
                why = f"no longer verified: the gateway's origin is {self._origin}"
                await self._amendments.set_verification(unverified.webhook, None, why)

    def progress(self, webhook_id: str) -> dict[str, Any]:
        """The last error and the time of the next handshake of an unverified webhook, as the API
        shows them. Only the process that runs the handshakes knows the time."""
        unverified = self._unverified.get(webhook_id)
        if unverified is None:
            return {}
        left = unverified.next_at - asyncio.get_running_loop().time()
        waits = left > 0 and self._peers.leads  # otherwise a handshake runs
        return {
            "last_error": unverified.last_error,
            "next_try_at": rfc3339(time.time() + left) if waits else None,
        }

    async def run(self) -> None:
        """Runs the handshakes that are due. It never returns."""
        while True:
            self._changed.clear()
            if self._peers.leads:
                with contextlib.suppress(*BrokerError):
                    await self.withdraw_outdated()
                self._start_due()
            if self._unverified:  # else there is nothing to do until there is
                at_beat(INTERVAL, self._changed.set)
            await self._changed.wait()

    async def stop(self) -> None:
        """Cancels the handshakes that run."""
        await end(self._running.values())

    def _put(self, webhook_id: str, webhook: Webhook | None) -> None:
        """Applies a new or changed webhook: its handshake is due at once."""
        former = self._unverified.pop(webhook_id, None)
        if webhook is None or not self._needs_verification(webhook):
            return
        unverified = _Unverified(webhook, asyncio.get_running_loop().time())
        if former is not None and former.webhook.url == webhook.url:
            unverified.last_error = former.last_error
        self._unverified[webhook_id] = unverified
        self._changed.set()

    def _needs_verification(self, webhook: Webhook) -> bool:
        if webhook.deleting or not webhook.verify or not webhook.enabled or webhook.disabled:
            return False  # the gateway would send nothing to the receiver
        verified = webhook.verified if webhook.is_verified else None
        return verified is None or verified.origin != self._origin

    def _start_due(self) -> None:
        now = asyncio.get_running_loop().time()
        due = [
            unverified
            for webhook_id, unverified in self._unverified.items()
            if unverified.next_at <= now and webhook_id not in self._running
        ]
        due.sort(key=lambda unverified: (unverified.failed, unverified.next_at))
        for unverified in due[: max(0, MAX_HANDSHAKES - len(self._running))]:
            webhook_id = unverified.webhook.id
            task = spawn(self._try(unverified), name=f"verify-{webhook_id}")
            self._running[webhook_id] = task
            task.add_done_callback(functools.partial(self._ended, webhook_id))

    def _ended(self, webhook_id: str, _task: asyncio.Task[None]) -> None:
        del self._running[webhook_id]
        self._changed.set()

    async def _try(self, unverified: _Unverified) -> None:
        webhook = unverified.webhook
        result = await self._request_verification(webhook)
        error = result.error
        if result.verified is not None:
            try:
                if await self._amendments.set_verification(webhook, result.verified, "verified"):
                    log.info("the receiver is verified", webhook=webhook.id,
                             requests_per_minute=result.verified.rate)  # fmt: skip
                    return
                error = "the webhook was changed in between"
            except BrokerError as broken:
                error = f"the verification could not be stored: {broken}"
        unverified.failed += 1
        delay = min(FIRST_DELAY * 2.0 ** min(unverified.failed - 1, 20), MAX_DELAY)
        unverified.next_at = asyncio.get_running_loop().time() + delay
        if unverified.last_error is None:
            log.warning("the receiver is not verified yet, its deliveries are pending",
                        webhook=webhook.id, error=error)  # fmt: skip
        unverified.last_error = error

    async def _request_verification(self, webhook: Webhook) -> HandshakeResult:
        return await handshake.request_verification(
            self._receivers, self._builders, webhook, self._origin
        )
