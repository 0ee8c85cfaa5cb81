"""The positions of the routers in their streams: callers at the same time share one request."""

import time

from nats.js.api import StreamInfo

from event_gateway.broker.connection import Broker
from event_gateway.broker.consumer_state import ConsumerState, consumer_state
from event_gateway.broker.provision import ROUTER
from event_gateway.broker.stream_list import StreamList
from event_gateway.shared_call import SharedCall

ASKED_AGAIN = 10.0  # seconds after which the router of a stream that has not changed is asked for


class RouterPositions:
    """The positions of the routers' consumers.

    Callers that ask for the same position at the same time share one request to NATS. No request is
    made for a stream that has not changed since its router had settled everything: ``streams``,
    which is read every second or two anyway, says whether it has.
    """

    def __init__(self, broker: Broker, streams: StreamList) -> None:
        self._broker = broker
        self._streams = streams
        self._reading: dict[str, SharedCall[ConsumerState]] = {}
        # By stream, once its router was found to have settled everything: what the list said of
        # the stream just before, what was found, and when.
        self._settled: dict[str, tuple[StreamInfo | None, ConsumerState, float]] = {}

    async def read(self, stream: str) -> ConsumerState:
        """The position in a stream. Raises NotFoundError if the consumer does not exist, the
        exceptions in BrokerError, and APIError."""
        reading = self._reading.get(stream)
        if reading is None:
            reading = self._reading[stream] = SharedCall(lambda: self._read(stream))
        return await reading()

    async def _read(self, stream: str) -> ConsumerState:
        info = None
        if stream in self._settled and self._streams.is_short:
            info = (await self._streams.read()).get(stream)
            before, state, asked_at = self._settled[stream]
            if info is not None and info is before and time.monotonic() - asked_at < ASKED_AGAIN:
                return state
        self._settled.pop(stream, None)
        state = await consumer_state(self._broker, stream, ROUTER)
        if state.settled:
            self._settled[stream] = info, state, time.monotonic()
        return state
