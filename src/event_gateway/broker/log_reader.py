"""Reads messages of the events log, and of external streams, by their sequences."""

import asyncio
import time
from collections.abc import Sequence

import structlog
from nats.js.errors import APIError, NotFoundError

from event_gateway.broker.batched_get import FetchedMessage, get_batch, supports_batches
from event_gateway.broker.connection import Broker, BrokerError
from event_gateway.broker.external_streams import ExternalStream
from event_gateway.broker.failures import LogUnavailable, failure
from event_gateway.broker.single_get import get_message
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.cloudevents.nats_message import from_message
from event_gateway.core.errors import InvalidEvent

log = structlog.get_logger(__name__)

# Seconds without batched reads from a stream after its server did not end a batched response.
SINGLE_READS = 300.0


class Undecodable(Exception):
    """The log holds a message, and no event can be made of it; ``data`` are its bytes.

    ``refused``: for this version it is no event. Else the decoder has a fault, which another
    version may not have.
    """

    def __init__(self, data: bytes, error: Exception) -> None:
        super().__init__(f"{type(error).__name__}: {error}")
        self.data = data
        self.refused = isinstance(error, InvalidEvent)


class LogReader:
    """Reads from the streams of the log; ``external``: those of the operator."""

    def __init__(self, broker: Broker, external: Sequence[ExternalStream] = ()) -> None:
        self._broker = broker
        # By stream: the time (monotonic clock) until which it is read message by message.
        self._single_reads_until: dict[str, float] = {}
        self._indirect = {stream.name for stream in external if not stream.direct}

    async def message(self, stream: str, seq: int) -> FetchedMessage | None:
        """The message at a sequence, as it came in; None if there is none, or no longer. Raises
        LogUnavailable."""
        return await self._message(stream, seq)

    async def read(self, stream: str, seq: int) -> Received | None:
        """The event at a sequence; None if the stream has no event there, or no longer.

        Raises LogUnavailable, and Undecodable where the decoder has a fault.
        """
        message = await self._message(stream, seq)
        if message is None:
            return None
        event = _event(message, stream, seq)
        if isinstance(event, Received):
            return event
        if not event.refused:
            raise event
        return None

    async def read_many(
        self, stream: str, seqs: Sequence[int]
    ) -> list[Received | Exception | None]:
        """The events at these sequences (a few hundred at most), in their order.

        None where the stream has no message, or no longer; Undecodable where the message is not an
        event; LogUnavailable, or another exception, where the message cannot be read now.
        """
        messages: dict[int, FetchedMessage] = {}
        now = time.monotonic()
        if (
            stream not in self._indirect
            and now >= self._single_reads_until.get(stream, 0.0)
            and self._broker.connected
            and supports_batches(self._broker)
        ):
            try:
                messages, ended = await get_batch(self._broker, stream, seqs)
                if not ended:
                    self._single_reads_until[stream] = now + SINGLE_READS
                    # The caller also waits for events of other streams, so this method does not
                    # wait for a second timeout.
                    if not messages:
                        return [LogUnavailable(f"{stream} does not respond") for _ in seqs]
            except BrokerError as error:
                log.debug("a batched read failed, reading message by message", stream=stream,
                          error=str(error))  # fmt: skip

        async def read_alone(seq: int) -> Received | Exception | None:
            try:
                message = await self._message(stream, seq)
            except Exception as error:  # of one event, which is no reason to fail the others
                return error
            return None if message is None else _event(message, stream, seq)

        # A task for each would cost more than to decode the message.
        missing = [seq for seq in seqs if seq not in messages]
        alone = dict(zip(missing, await asyncio.gather(*map(read_alone, missing)), strict=True))
        return [
            _event(messages[seq], stream, seq) if seq in messages else alone[seq] for seq in seqs
        ]

    async def _message(self, stream: str, seq: int) -> FetchedMessage | None:
        try:
            message = await get_message(
                self._broker, stream, seq, direct=stream not in self._indirect
            )
        except NotFoundError:
            return None
        except (*BrokerError, APIError) as error:
            raise failure(self._broker, error) from None
        return FetchedMessage(
            message.subject or "", message.headers or {}, message.data or b"",
            message.time.timestamp() if message.time else 0.0,
        )  # fmt: skip


def _event(message: FetchedMessage, stream: str, seq: int) -> Received | Undecodable:
    try:
        return from_message(
            message.headers, message.data, subject=message.subject, stream=stream,
            seq=seq, time=message.time,
        )  # fmt: skip
    except Exception as error:
        return Undecodable(message.data, error)
