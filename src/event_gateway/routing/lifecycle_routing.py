"""Routes the gateway's own lifecycle events, for as long as a webhook takes them.

Without such a webhook there is no consumer, and nothing of the log of lifecycle events is read.
"""

import asyncio

import structlog

from event_gateway.broker.connection import BrokerError
from event_gateway.core.streams.definition import LIFECYCLE
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.routing.log_consumer import LogConsumers
from event_gateway.routing.router import Router
from event_gateway.state.connection import StateError

log = structlog.get_logger(__name__)

TRY_AGAIN = 0.25  # seconds until the consumer is asked for again after a failure


class LifecycleRouting:
    """Starts and ends ``router``, which reads the log of lifecycle events in this process."""

    def __init__(self, router: Router, consumers: LogConsumers) -> None:
        self._router = router
        self._consumers = consumers
        self._webhooks: set[str] = set()  # those in the index that take lifecycle events
        self._changed = asyncio.Event()
        self._prepared = False
        self._routes = False

    @property
    def streams(self) -> tuple[str, ...]:
        """The log of lifecycle events while its consumer is in use, else nothing."""
        return (LIFECYCLE,) if self._prepared else ()

    def put(self, webhook: Webhook) -> None:
        """Applies a webhook's definition. Ordered webhooks read the log themselves."""
        if webhook.reads_lifecycle and not webhook.ordered:
            self._webhooks.add(webhook.id)
        else:
            self._webhooks.discard(webhook.id)
        self._changed.set()

    def remove(self, webhook_id: str) -> None:
        """The webhook takes no events any more."""
        self._webhooks.discard(webhook_id)
        self._changed.set()

    async def prepare(self) -> None:
        """Creates the consumer, if a webhook takes lifecycle events and it is missing.

        Raises the exceptions in BrokerError and StateError.
        """
        if self._webhooks:
            self._prepared = await self._consumers.create(LIFECYCLE)

    async def run(self) -> None:
        """Starts and ends the router as the registered webhooks need it. It never returns."""
        failing = False
        while True:
            self._changed.clear()
            try:
                if self._webhooks and not self._routes:
                    await self._begin()
                elif self._routes and not self._webhooks:
                    await self._end()
            except (*BrokerError, *StateError) as error:
                if not failing:
                    reason = str(error) or type(error).__name__
                    log.warning("lifecycle events are not routed yet", error=reason)
                failing = True
                await asyncio.sleep(TRY_AGAIN)
                continue
            failing = False
            await self._changed.wait()

    async def stop_taking(self) -> None:
        """Takes no more events; those taken may still settle."""
        if self._routes:
            await self._router.stop()

    async def close(self) -> None:
        """Ends the keep-alive of what is not settled: NATS redelivers it."""
        if self._routes:
            await self._router.close()

    async def _begin(self) -> None:
        while self._webhooks and not self._prepared:
            await self.prepare()
            if not self._prepared:
                await asyncio.sleep(TRY_AGAIN)  # until the gateway knows the log
        if self._webhooks:
            self._router.start()
            self._routes = True

    async def _end(self) -> None:
        # Events that were taken are acknowledged once they are recorded; the others match no
        # webhook.
        await self._router.stop()
        await self._router.close()
        self._routes = self._prepared = False
