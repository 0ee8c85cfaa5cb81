"""The durable consumers through which all processes share the logs, created again where deleted."""

from collections.abc import Mapping

from event_gateway.broker.connection import Broker
from event_gateway.broker.provision import ensure_router, has_router
from event_gateway.core.streams.definition import EVENTS, LIFECYCLE
from event_gateway.core.streams.known_log import KnownLog
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.state.checkpoints import Checkpoints

UNUSED = 300.0  # seconds after which NATS deletes a consumer from which no process pulls


class LogConsumers:
    """Creates the routers' consumers. ``logs`` is what is known of the streams; ``webhooks`` are
    those that are registered.

    Where a stream was deleted and created again, its consumer is created only once the
    gateway has adopted the new stream: until then the sequences at which webhooks were registered
    are of the former one, and would hide events of the new one.
    """

    def __init__(
        self,
        broker: Broker,
        logs: Mapping[str, KnownLog],
        checkpoints: Checkpoints,
        webhooks: Mapping[str, Webhook],
    ) -> None:
        self._broker = broker
        self._logs = logs
        self._checkpoints = checkpoints
        self._webhooks = webhooks

    async def create(self, stream: str) -> bool:
        """Creates the router's consumer of a stream if it is missing; False: the stream is not
        adopted yet.

        Raises the exceptions in BrokerError and StateError.
        """
        known = self._logs.get(stream)
        info = await self._broker.js.stream_info(stream)
        if known is None or known.created != str(info.created):
            return False
        if stream == LIFECYCLE:
            await self._create_for_lifecycle()
            return True
        # Up to the checkpoint every event has its records. All later ones are read again, and what
        # is recorded is skipped.
        from_seq = 1 if stream == EVENTS else (await self._checkpoints.read(stream) or 0) + 1
        await ensure_router(self._broker, stream, from_seq)
        return True

    async def _create_for_lifecycle(self) -> None:
        """The consumer of lifecycle events exists only while webhooks take them: it begins behind
        the first registration of such a webhook, and NATS deletes it when no process pulls from it
        any more."""
        registered = [
            webhook.since_of(LIFECYCLE)
            for webhook in self._webhooks.values()
            if webhook.reads_lifecycle
        ]
        if not registered or await has_router(self._broker, LIFECYCLE):
            return
        checkpoint = await self._checkpoints.read(LIFECYCLE)
        done = max(checkpoint or 0, min(registered))
        if done != checkpoint:
            await self._checkpoints.begin(LIFECYCLE, done)  # else all before would be read again
        await ensure_router(self._broker, LIFECYCLE, done + 1, unused=UNUSED)
