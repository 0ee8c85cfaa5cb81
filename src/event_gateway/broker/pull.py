"""Pulls messages from a JetStream consumer.

Requests stay open at the server for a while. When half of the requested messages have arrived, the
next request is sent. While there is nothing to send the server sends heartbeats: without them the
requests are lost, mostly with the server of a cluster that had them.
"""

import asyncio
import contextlib
import json
import time
from collections import deque
from collections.abc import Mapping

import msgspec
from nats.aio.subscription import Subscription

from event_gateway.beats import at_beat
from event_gateway.broker.connection import Broker

EXPIRES = 20.0  # seconds after which the server ends a pull request
HEARTBEAT = 5.0  # seconds without a message after which the server sends a heartbeat
SILENCE = 2 * HEARTBEAT + 1  # seconds without either after which a request is lost
LOOK = 1.0  # seconds between two looks whether it is
TIMES = {"expires": int(EXPIRES * 1e9), "idle_heartbeat": int(HEARTBEAT * 1e9)}  # of each request
MAX_BATCH = 1000  # messages of one request
MAX_BYTES = 16 * 1024 * 1024  # all messages of one request together


class Pulled(msgspec.Struct, gc=False):
    """A message of a stream. ``reply`` is the subject for its acknowledgement.

    ``delivered`` counts how often NATS has delivered the message, this time included. ``time`` is
    when NATS stored it, in seconds since the epoch. ``pending`` counts the consumer's messages that
    were behind it.
    """

    subject: str
    headers: Mapping[str, str] | None
    data: bytes
    reply: str
    seq: int
    consumer_seq: int
    delivered: int
    time: float
    pending: int = 0


class ConsumerGone(Exception):
    """The consumer does not exist any more: it was deleted, expired, or lost by the server."""


class Puller:
    """Pulls the messages of one consumer.

    The caller requests as many messages as it has room for (:meth:`request`), and takes those that
    have arrived (:meth:`take`). So never more messages arrive than the caller has room for.
    """

    def __init__(
        self, broker: Broker, stream: str, consumer: str, max_bytes: int = MAX_BYTES
    ) -> None:
        self._broker = broker
        self._max_bytes = max_bytes
        self._next = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._inbox = broker.nc.new_inbox()
        self._subscription: Subscription | None = None
        self._arrived: deque[Pulled] = deque()
        self.arrived_bytes = 0  # of the data of messages that arrived and are not taken yet
        self._signal = asyncio.Event()
        self._waits_for_beat = False
        self._outstanding = 0
        self._active_at = 0.0  # monotonic time of the last request or response
        self._gone = False
        self._answered = False  # whether a message has arrived since the last request
        self._too_large = False  # the next message is larger than a request allows

    async def start(self) -> None:
        """Subscribes to the inbox in which messages arrive."""
        self._subscription = await self._broker.nc.take(self._inbox, self._on_message)
        self._broker.add_reconnect_listener(self._forget_requests)

    async def stop(self) -> None:
        """Ends the subscription. NATS redelivers the messages that were requested but not taken."""
        self._broker.remove_reconnect_listener(self._forget_requests)
        self._outstanding = 0  # so that it does not look any more whether they are lost
        self._arrived.clear()
        self.arrived_bytes = 0
        if self._subscription is not None:
            await self._broker.nc.end(self._subscription)

    @property
    def idle(self) -> bool:
        """Whether no message has arrived and no request is open."""
        return self._outstanding <= 0 and not self._arrived

    async def request(self, room: int) -> None:
        """Keeps requests open for up to ``room`` messages beyond those already taken.

        A request ends before its messages exceed ``max_bytes`` in sum, because the server closes a
        connection whose buffer is full. A message that is larger is requested alone.
        """
        now = time.monotonic()
        if self._outstanding and self._is_silent(now):
            self._outstanding = 0
        if self._outstanding > room // 2:
            return
        batch = min(room - self._outstanding - len(self._arrived), MAX_BATCH)
        if batch <= 0 or not self._broker.connected:
            return
        request = TIMES | {"batch": batch, "max_bytes": self._max_bytes}
        if self._too_large:
            request = TIMES | {"batch": 1}
        self._too_large, self._answered = False, False
        self._outstanding += request["batch"]
        self._active_at = now
        await self._broker.nc.publish(self._next, json.dumps(request).encode(), reply=self._inbox)

    async def take(self, limit: int, timeout: float | None = None) -> list[Pulled]:
        """Waits for messages and returns at most ``limit``; an empty list after ``timeout`` s, and
        after :meth:`interrupt`.

        Raises ConsumerGone.
        """
        if not self._arrived:
            self._signal.clear()
            if self._gone:
                self._gone = False
                raise ConsumerGone
            if timeout is None:
                await self._signal.wait()
            else:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(timeout):
                        await self._signal.wait()
        batch = [self._arrived.popleft() for _ in range(min(limit, len(self._arrived)))]
        for pulled in batch:
            self.arrived_bytes -= len(pulled.data)
        return batch

    def interrupt(self) -> None:
        """Lets a waiting :meth:`take` return early."""
        self._signal.set()

    def interrupt_at_beat(self, seconds: float) -> None:
        """Does so at the next beat of ``seconds`` (see :mod:`event_gateway.beats`). To say so
        before each :meth:`take` costs nothing until that beat."""
        if not self._waits_for_beat:
            self._waits_for_beat = True
            at_beat(seconds, self._beat)

    def interrupt_if_lost(self) -> None:
        """Does so at the beat of a second at which no request is open any more, or the open ones
        are lost. So a task whose stream has nothing new is not woken each second."""
        if not self._waits_for_beat:
            self._waits_for_beat = True
            at_beat(LOOK, self._look)

    def _look(self) -> None:
        if self._outstanding > 0 and not self._is_silent(time.monotonic()):
            at_beat(LOOK, self._look)
        else:
            self._beat()

    def _beat(self) -> None:
        self._waits_for_beat = False
        self.interrupt()

    def _is_silent(self, now: float) -> bool:
        """Whether the server has said nothing for so long that the open requests are lost."""
        return now - self._active_at > SILENCE

    def _forget_requests(self) -> None:
        self._outstanding = 0
        self._signal.set()

    def _on_message(
        self, subject: bytes, reply: bytes, data: bytes, headers: Mapping[str, str] | None
    ) -> None:
        self._active_at = time.monotonic()
        if not reply.startswith(b"$JS.ACK."):
            self._on_status(headers or {})
            return
        if not self._arrived:  # else :meth:`take` does not wait
            self._signal.set()
        self._outstanding -= 1
        self._answered = True
        self.arrived_bytes += len(data)
        tokens = reply.split(b".")
        # $JS.ACK.[domain.account.]stream.consumer.delivered.seq.consumer_seq.time.pending[.random]
        start = 2 if len(tokens) == 9 else 4
        self._arrived.append(
            Pulled(
                subject.decode("utf-8", "replace"), headers, data, reply.decode(),
                int(tokens[start + 3]), int(tokens[start + 4]), int(tokens[start + 2]),
                int(tokens[start + 5]) / 1e9, int(tokens[start + 6]),
            )
        )  # fmt: skip

    def _on_status(self, headers: Mapping[str, str]) -> None:
        status = headers.get("Status")
        if status == "100":
            return
        pending = headers.get("Nats-Pending-Messages")
        self._outstanding -= int(pending) if pending else self._outstanding
        description = headers.get("Description", "").lower()
        if "maxbytes" in description and not self._answered:
            self._too_large = True
        if status == "503" or "consumer deleted" in description:
            self._gone = True
        self._signal.set()
