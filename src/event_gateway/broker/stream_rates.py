"""How many messages a second named streams receive."""

import asyncio
import time
from collections import deque
from collections.abc import Callable

from nats.js.errors import NotFoundError

from event_gateway.broker.connection import Broker
from event_gateway.broker.named_streams import stream_name
from event_gateway.broker.reading_consumers import ASKED_ONCE, asked_once, reading

MINUTE = 60.0  # seconds over which a rate is
STEP = 10.0  # seconds between two sequences that are kept
MAX_STREAMS = 10_000  # of which sequences are kept; those asked for longest ago are dropped
AT_ONCE = 8  # streams of which JetStream is asked at a time


class MessageRates:
    """Rates of streams in this process. The rate comes from the difference of the last sequences
    that this process has seen within a minute; for the first call JetStream counts the messages,
    which needs a consumer. ``clock``: in seconds."""

    def __init__(self, broker: Broker, clock: Callable[[], float] = time.monotonic) -> None:
        self._broker = broker
        self._clock = clock
        self._seen: dict[str, deque[tuple[float, int]]] = {}  # times and last sequences
        self._asking = asyncio.Semaphore(AT_ONCE)

    async def rate(self, name: str, last_seq: int) -> float:
        """Messages per second of the last minute, or of the part of it that is known; 0 for a
        stream that does not exist. ``last_seq``: the stream's, now.

        Raises the exceptions in BrokerError.
        """
        now = self._clock()
        seen = self._seen.pop(name, None) or deque()
        self._seen[name] = seen
        if len(self._seen) > MAX_STREAMS:
            del self._seen[next(iter(self._seen))]
        while seen and (now - seen[0][0] > MINUTE or seen[0][1] > last_seq):  # it was created again
            seen.popleft()
        if not seen or now - seen[-1][0] >= STEP:
            seen.append((now, last_seq))
        since, former = seen[0]
        if now - since >= STEP:
            return round((last_seq - former) / (now - since), 3)
        async with self._asking:
            return await self._counted(name)

    async def _counted(self, name: str) -> float:
        consumer = reading("rate", ASKED_ONCE, from_time=time.time() - MINUTE)
        try:
            info = await asked_once(self._broker, stream_name(name), consumer)
        except NotFoundError:
            return 0.0
        return round((info.num_pending or 0) / MINUTE, 3)
