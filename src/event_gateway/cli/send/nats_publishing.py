"""Publishes events to NATS, as services do."""

import asyncio
import itertools
import json
from typing import Any

import msgspec
import nats
from nats.aio.client import Client as Nats
from nats.aio.msg import Msg

from event_gateway.cli.send.event_text import Event
from event_gateway.cli.send.publishing import Outcome
from event_gateway.core.streams.definition import EVENTS
from event_gateway.core.streams.log_subjects import subject_for

ACK_TIMEOUT = 10.0  # seconds


class _Type(msgspec.Struct):
    type: str


_type_of = msgspec.json.Decoder(_Type).decode


class NatsPublisher:
    """Publishes on the subject that is the event's type where the gateway captures it, else below
    ``events``; JetStream confirms each event."""

    def __init__(self, bus: Nats, inbox: str, captured: tuple[str, ...]) -> None:
        self._bus = bus
        self._inbox = inbox
        self._captured = captured
        self._numbers = itertools.count()
        self._waiting: dict[str, asyncio.Future[Msg]] = {}

    @classmethod
    async def connect(cls, url: str) -> "NatsPublisher":
        """Raises ConnectionError."""
        try:
            bus = await nats.connect(url, max_reconnect_attempts=2, error_cb=_quiet)
            info = await bus.jetstream().stream_info(EVENTS)
        except (OSError, nats.errors.Error) as error:
            raise ConnectionError(f"NATS: {error or type(error).__name__}") from None
        publisher = cls(bus, bus.new_inbox(), tuple(info.config.subjects or ()))
        await bus.subscribe(f"{publisher._inbox}.*", cb=publisher._confirmed)
        return publisher

    async def publish(self, batch: list[Event]) -> Outcome:
        """See :class:`~event_gateway.cli.send.publishing.BatchPublisher`."""
        confirmations = [await self._post(text) for _, text in batch]
        await self._bus.flush()
        _, late = await asyncio.wait(confirmations, timeout=ACK_TIMEOUT)
        if late:
            raise ConnectionError(f"NATS: {len(late)} events were not confirmed")
        outcome = Outcome()
        for (number, _), confirmation in zip(batch, confirmations, strict=True):
            answer = _decoded(confirmation.result())
            if "error" in answer:
                detail = answer["error"].get("description", "refused")
                outcome.refused.append((number, f"NATS: {detail}"))
            elif answer.get("duplicate"):
                outcome.duplicates += 1
            else:
                outcome.accepted += 1
            outcome.last_sequence = answer.get("seq") or outcome.last_sequence
        return outcome

    async def close(self) -> None:
        """Closes the connection."""
        await self._bus.close()

    async def _post(self, text: bytes) -> "asyncio.Future[Msg]":
        reply = f"{self._inbox}.{next(self._numbers)}"
        confirmation: asyncio.Future[Msg] = asyncio.get_running_loop().create_future()
        self._waiting[reply] = confirmation
        await self._bus.publish(subject_for(_type_of(text).type, self._captured), text, reply=reply)
        return confirmation

    async def _confirmed(self, message: Msg) -> None:
        confirmation = self._waiting.pop(message.subject, None)
        if confirmation is not None and not confirmation.done():
            confirmation.set_result(message)


def _decoded(message: Msg) -> dict[str, Any]:
    if message.headers and message.headers.get("Status") == "503":
        return {"error": {"description": "no stream captures its subject"}}
    answer: dict[str, Any] = json.loads(message.data)
    return answer


async def _quiet(_error: Exception) -> None:
    """The command says what fails; the client would log it too."""
