"""Messages to NATS without confirmation: acknowledgements and lifecycle events."""

import asyncio
from collections import deque
from collections.abc import Callable

import structlog

from event_gateway.broker.nats_client import NatsClient

log = structlog.get_logger(__name__)

LIMIT = 50_000  # messages; at the limit the oldest one is dropped
MESSAGES_PER_WRITE = 256
# Seconds in which messages gather. The acknowledgement of an event follows its lifecycle events by
# the ledger's own wait (SHARED at most) and its round trip: so they leave in one write.
GATHER = 0.03
QUIET = 0.025  # seconds since the last write after which few messages are expected

Payload = bytes | Callable[[], bytes]  # a function is called just before the message is sent


class Outbox:
    """Sends messages over ``client``, many in one write. The client buffers at most ``max_pending``
    bytes.

    ``dropped`` counts the messages that were not sent: because too many waited, or because NATS is
    away and the client's buffer is full.
    """

    def __init__(self, client: NatsClient, max_pending: int) -> None:
        self._client = client
        self._max_pending = max_pending
        self._messages: deque[tuple[str, Payload]] = deque()
        # What sends them: a timer, while some wait. No task: its wake-ups cost more than the rest.
        self._sending: asyncio.Handle | None = None
        self._sent_at = 0.0  # on the loop's clock
        self._loop = asyncio.get_running_loop()
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._messages)

    def post(self, subject: str, payload: Payload) -> None:
        """Sends a message soon."""
        messages = self._messages
        messages.append((subject, payload))
        if self._sending is None:
            self._sending = self._loop.call_later(GATHER, self._send)
        elif len(messages) == MESSAGES_PER_WRITE:
            self._send_next()
        elif len(messages) > LIMIT:
            messages.popleft()
            self.dropped += 1

    def nothing_follows(self) -> None:
        """Sends the waiting messages at once: no event is being processed that could post more. If
        messages were sent a moment ago, there are many of them, and they still gather."""
        if self._messages and self._loop.time() - self._sent_at > QUIET:
            self._send_next()

    def post_now(self, subject: str, payload: Payload) -> None:
        """Sends a message, and those that wait, in the next turn of the event loop."""
        self._messages.append((subject, payload))
        self._send_next()

    async def close(self, seconds: float) -> None:
        """Sends the waiting messages, for at most ``seconds`` while NATS is connected."""
        deadline = self._loop.time() + seconds
        while self._messages and self._client.is_connected and self._loop.time() < deadline:
            self._send_next()
            await asyncio.sleep(0.001)
        if self._sending is not None:
            self._sending.cancel()

    def _send_next(self) -> None:
        """Sends in the next turn of the event loop, after what else this one posts."""
        if self._sending is not None:
            self._sending.cancel()
        self._sending = self._loop.call_soon(self._send)

    def _send(self) -> None:
        """Sends some messages; the others in the next turn, so that other work goes on between."""
        messages, client = self._messages, self._client
        if client.is_connected and client.pending_data_size > self._max_pending:
            self._sending = self._loop.call_later(GATHER, self._send)  # NATS is slow
            return
        take = messages.popleft
        batch = [take() for _ in range(min(len(messages), MESSAGES_PER_WRITE))]
        self._sent_at = self._loop.time()
        self._sending = self._loop.call_soon(self._send) if messages else None
        try:
            payloads = [
                (subject, payload if isinstance(payload, bytes) else payload())
                for subject, payload in batch
            ]
        except Exception:
            payloads = self._encodable(batch)
        # The client's own `publish` would cost more than the rest of an acknowledgement.
        most = client.max_payload
        commands = b"".join(
            [
                b"PUB %b %d\r\n%b\r\n" % (subject.encode(), len(payload), payload)
                for subject, payload in payloads
                if len(payload) <= most
            ]
        )
        if client.is_closed or client.pending_data_size + len(commands) > self._max_pending:
            # An acknowledgement is sent again after the redelivery; a lifecycle event is lost.
            self.dropped += len(payloads)
        else:
            client.send_now(commands)

    def _encodable(self, batch: list[tuple[str, Payload]]) -> list[tuple[str, bytes]]:
        """The messages of a batch whose payload can be made: one must not take the others along."""
        payloads = []
        for subject, payload in batch:
            try:
                payloads.append((subject, payload if isinstance(payload, bytes) else payload()))
            except Exception as error:
                log.error("a message cannot be encoded", subject=subject, fault=error)
                self.dropped += 1
        return payloads
