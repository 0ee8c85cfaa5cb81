"""Reads a stream as it is stored, byte by byte: the headers as a block, the time in nanoseconds."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator

import structlog
from nats.aio.subscription import Subscription
from nats.js.api import ConsumerConfig
from nats.js.errors import APIError, NotFoundError

from event_gateway.broker.connection import Broker, BrokerError
from event_gateway.broker.failures import LogUnavailable
from event_gateway.broker.headers import read_headers
from event_gateway.broker.pull import SILENCE, TIMES
from event_gateway.broker.reading_consumers import reading
from event_gateway.core.compliance.chain import StoredMessage

log = structlog.get_logger(__name__)

BATCH = 1000  # messages of one request
MAX_BYTES = 4 * 1024 * 1024  # of one request
IDLE_LIMIT = 60.0  # seconds without requests after which the server deletes the consumer
PATIENCE = 30.0  # seconds for which an export waits for messages that must be there
QUIET = 1.0  # seconds without a message after which a batch is empty


class StreamGone(Exception):
    """The stream does not exist."""


async def stored_messages(
    broker: Broker,
    stream: str,
    from_seq: int,
    *,
    subject: str | None = None,
    read_ahead: int = 2 * BATCH,
) -> AsyncGenerator[list[StoredMessage], None]:
    """Yields the messages of a stream from a sequence on, in order and without gaps, for ever; an
    empty batch after a second without one, and while NATS is away. Raises StreamGone.

    With ``subject`` only messages on it. The generator must be closed (``contextlib.aclosing``).
    At most ``read_ahead`` messages are requested in advance.
    """
    position = max(from_seq, 1)
    while True:
        consumer = reading(
            "stored", IDLE_LIMIT, from_seq=position, subject=subject, max_waiting=16
        )  # fmt: skip
        reader = _Reader(broker, stream, consumer)
        try:
            await reader.start()
            while True:
                batch = await reader.take(read_ahead)
                if batch is None:
                    break  # something was lost on the way: another consumer sends it again
                if batch:
                    position = batch[-1].seq + 1
                yield batch
        except NotFoundError:
            raise StreamGone(stream) from None
        except (*BrokerError, APIError) as error:
            log.debug("reading the stream was interrupted", stream=stream, error=str(error))
            yield []
            await asyncio.sleep(0.5)
        finally:
            await reader.stop()


class Silent(LogUnavailable):
    """NATS does not send the messages of a stream."""


async def unsilenced(
    batches: AsyncGenerator[list[StoredMessage], None],
) -> AsyncGenerator[list[StoredMessage], None]:
    """The batches that are not empty; closes them in the end. Raises Silent once none has come for
    PATIENCE seconds."""
    empty = 0
    async with contextlib.aclosing(batches):
        async for batch in batches:
            empty = 0 if batch else empty + 1
            if batch:
                yield batch
            elif empty >= PATIENCE / QUIET:
                raise Silent("NATS does not send the messages of the stream")


class _Reader:
    """One consumer, and the messages that have arrived from it."""

    def __init__(self, broker: Broker, stream: str, consumer: ConsumerConfig) -> None:
        self._broker, self._stream, self._consumer = broker, stream, consumer
        self._name = consumer.name or ""
        self._inbox = broker.nc.new_inbox()
        self._arrived: list[tuple[bytes, bytes, bytes, bytes]] = []  # as they came
        self._signal = asyncio.Event()
        self._expected = 1  # the position of the next message
        self._outstanding = 0
        self._active_at = 0.0  # time of the last request or response
        self._heard = False  # whether NATS has sent anything since then
        self._lost = False
        self._answered = False  # whether a message has arrived since the last request
        self._too_large = False  # the next message is larger than a request allows
        self._subscription: Subscription | None = None

    async def start(self) -> None:
        await self._broker.js.add_consumer(self._stream, self._consumer)
        self._subscription = await self._broker.nc.take_raw(self._inbox, self._on_message)
        self._broker.add_reconnect_listener(self._on_reconnect)

    async def stop(self) -> None:
        self._broker.remove_reconnect_listener(self._on_reconnect)
        with contextlib.suppress(*BrokerError, APIError):
            if self._subscription is not None:
                await self._broker.nc.end(self._subscription)
                if self._broker.connected:
                    await self._broker.js.delete_consumer(self._stream, self._name)

    async def take(self, room: int) -> list[StoredMessage] | None:
        """The messages that have arrived; none of them after QUIET; None: one was lost."""
        await self._request(room)
        if not self._arrived and not self._lost:
            self._signal.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(QUIET):
                    await self._signal.wait()
        arrived, self._arrived = self._arrived, []
        batch = self._decoded(arrived)
        return batch if batch or not self._lost else None

    async def _request(self, room: int) -> None:
        now = asyncio.get_running_loop().time()
        if self._heard:
            self._active_at, self._heard = now, False
        if self._outstanding and now - self._active_at > SILENCE:
            self._outstanding = 0
        if self._outstanding > room // 2 or not self._broker.connected or self._lost:
            return
        count = min(room - self._outstanding - len(self._arrived), BATCH)
        if count <= 0:
            return
        if self._too_large:
            count = 1
        self._outstanding += count
        self._active_at = now
        request = TIMES | {"batch": count}
        if not self._too_large:
            request["max_bytes"] = MAX_BYTES
        self._too_large = self._answered = False
        await self._broker.nc.publish(
            f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._name}",
            json.dumps(request).encode(), reply=self._inbox,
        )  # fmt: skip

    def _on_message(self, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        self._heard = True
        if not reply.startswith(b"$JS.ACK."):
            self._on_status(headers)
            return
        self._outstanding -= 1
        self._answered = True
        if not self._arrived:
            self._signal.set()
        if not self._lost:
            self._arrived.append((subject, reply, data, headers))

    def _decoded(self, arrived: list[tuple[bytes, bytes, bytes, bytes]]) -> list[StoredMessage]:
        """The messages up to one before which another was lost."""
        batch: list[StoredMessage] = []
        expected = self._expected
        for subject, reply, data, headers in arrived:
            # $JS.ACK.[domain.account.]stream.consumer.delivered.seq.consumer_seq.time.pending
            # [.random]
            tokens = reply.split(b".")
            start = 2 if len(tokens) == 9 else 4
            position = int(tokens[start + 4])
            if position != expected:
                self._lost = True
                break
            expected += 1
            batch.append(
                StoredMessage(int(tokens[start + 3]), int(tokens[start + 5]), subject, headers,
                              data, position)
            )  # fmt: skip
        self._expected = expected
        return batch

    def _on_status(self, raw: bytes) -> None:
        headers = read_headers(raw) or {}
        if headers.get("Status") == "100":
            return
        pending = headers.get("Nats-Pending-Messages")
        self._outstanding -= int(pending) if pending else self._outstanding
        why = headers.get("Description", "").lower()
        if "maxbytes" in why:
            self._too_large = self._too_large or not self._answered
        elif headers.get("Status") not in ("404", "408") and "batch completed" not in why:
            self._lost = True  # the consumer is gone
        self._signal.set()

    def _on_reconnect(self) -> None:
        self._lost = True
        self._signal.set()
