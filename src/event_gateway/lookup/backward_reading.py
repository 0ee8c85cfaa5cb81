"""Reads a stream backwards by subject; without subjects where NATS takes too long to find them.

JetStream knows the subjects in a block of a stream only while that was asked for lately. After a
start, the first request for a rare subject has it load all blocks: some seconds for 10,000,000
messages. NATS goes on loading after the request was given up, so a later request is fast.
"""

import asyncio
from collections.abc import Sequence

from event_gateway.broker.connection import Broker
from event_gateway.broker.log_search import Passage, read_back

SUBJECT_WAIT = 2.0  # seconds for which a request waits for what NATS loads
NOTE = (
    "NATS is loading which subjects its blocks of the log have, as after each start: this page was "
    "searched event by event, the newest first, and may have fewer events than there are; the next "
    "page goes on from there"
)


class BackwardReading:
    """Reads one stream for one request. ``slow``: NATS did not answer in time, so all messages are
    read since, whatever their subject."""

    def __init__(self, broker: Broker, stream: str, subjects: Sequence[str]) -> None:
        self._broker = broker
        self._stream = stream
        self._subjects = subjects
        self.slow = False

    async def back(self, before: int, floor: int, wanted: int) -> Passage:
        """As :func:`read_back`; the messages may be on other subjects, too. Raises the exceptions
        in BrokerError, and APIError."""
        passage = await self.back_at_once(before, floor, wanted, SUBJECT_WAIT)
        if passage is None:
            passage = await self.back_at_once(before, floor, wanted, SUBJECT_WAIT)
        assert passage is not None
        return passage

    async def back_at_once(
        self, before: int, floor: int, wanted: int, wait: float
    ) -> Passage | None:
        """As :meth:`back`; None if NATS has not found the subjects within ``wait``, at most
        :data:`SUBJECT_WAIT`: the next call reads on without them."""
        if not self._subjects or self.slow:
            return await read_back(
                self._broker, self._stream, before=before, floor=floor, wanted=wanted
            )
        try:
            async with asyncio.timeout(min(wait, SUBJECT_WAIT)):
                return await read_back(
                    self._broker, self._stream, before=before, floor=floor, wanted=wanted,
                    subjects=self._subjects,
                )  # fmt: skip
        except TimeoutError:
            self.slow = True
            return None
