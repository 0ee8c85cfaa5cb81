"""The durable consumers through which all processes share the logs, created again where deleted."""

from collections.abc import Mapping

from event_gateway.broker.connection import Broker
from event_gateway.broker.provision import ensure_router
from event_gateway.core.streams.definition import EVENTS
from event_gateway.core.streams.known_log import KnownLog
from event_gateway.state.checkpoints import Checkpoints


class LogConsumers:
    """``logs`` is what is known of the streams: the consumer of a log that is another one than the
    known is not created before the gateway knows the new one, as the registered sequences would
    hide its events."""

    def __init__(
        self, broker: Broker, logs: Mapping[str, KnownLog], checkpoints: Checkpoints
    ) -> None:
        self._broker = broker
        self._logs = logs
        self._checkpoints = checkpoints

    async def create(self, stream: str) -> bool:
        """Creates the router's consumer of a stream if it is missing; False: it cannot be yet.

        Raises the exceptions in BrokerError and StateError.
        """
        known = self._logs.get(stream)
        info = await self._broker.js.stream_info(stream)
        if known is None or known.created != str(info.created):
            return False
        # Up to the checkpoint every event has its records. All later ones are read again, and what
        # is recorded is skipped.
        from_seq = 1 if stream == EVENTS else (await self._checkpoints.read(stream) or 0) + 1
        await ensure_router(self._broker, stream, from_seq)
        return True
