"""Publishes batches of events over HTTP, and says which events were refused."""

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from event_gateway.cli.client.failures import refused
from event_gateway.cli.client.place_options import place
from event_gateway.cli.send.event_text import Event

if TYPE_CHECKING:
    from event_gateway.cli.client.gateway_client import GatewayClient

BATCH = "application/cloudevents-batch+json"
AGAIN = (429, 500, 502, 503, 504)  # statuses after which the same batch is sent again
FIRST_DELAY, MAX_DELAY = 0.25, 5.0  # seconds between two attempts
PATIENCE = 60.0  # seconds without success, after which sending ends


@dataclass(slots=True)
class Outcome:
    """``refused``: numbers of events, and why each was refused."""

    accepted: int = 0
    duplicates: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)
    last_sequence: int | None = None

    def add(self, other: "Outcome") -> None:
        """Adds the figures of another outcome."""
        self.accepted += other.accepted
        self.duplicates += other.duplicates
        self.refused += other.refused
        self.last_sequence = other.last_sequence or self.last_sequence


class BatchPublisher(Protocol):
    """Publishes a batch; an event that is refused does not stop the others."""

    async def publish(self, batch: list[Event]) -> Outcome:
        """Raises ConnectionError, or PublishingRefused where no event would be taken."""
        ...


class PublishingRefused(Exception):
    """The gateway takes no event of this caller; the text says why."""


class HttpPublisher:
    """Publishes with ``POST /v1/events``."""

    def __init__(self, client: "GatewayClient") -> None:
        self._client = client

    async def publish(self, batch: list[Event]) -> Outcome:
        """See :class:`BatchPublisher`. A batch is sent again where it is not known whether it was
        taken: the log recognises duplicates by source and id."""
        outcome = Outcome()
        parts = [batch]
        while parts:
            part = parts.pop()
            status, answer = await self._post(part)
            if status == 202:
                sequences = [item["sequence"] for item in answer["items"]]
                outcome.add(
                    Outcome(answer["accepted"], answer["duplicates"], [], max(sequences, default=0))
                )
                continue
            wrong = _wrong_items(answer)
            if wrong:
                outcome.refused += [(part[at][0], detail) for at, detail in wrong.items()]
                if left := [event for at, event in enumerate(part) if at not in wrong]:
                    parts.append(left)
            elif status in (401, 403, 404, 405):
                raise PublishingRefused(refused(status, answer, place()))
            elif len(part) == 1:
                outcome.refused.append((part[0][0], refused(status, answer, place())))
            else:  # too large, or something in it cannot be read
                half = len(part) // 2
                parts += [part[half:], part[:half]]
        return outcome

    async def _post(self, part: list[Event]) -> tuple[int, Any]:
        body = b"[%b]" % b",".join(text for _, text in part)
        loop = asyncio.get_running_loop()
        deadline, delay = loop.time() + PATIENCE, FIRST_DELAY
        while True:
            late = loop.time() >= deadline
            try:
                status, answer = await self._client.request("POST", "/v1/events", body, BATCH)
                if late or status not in AGAIN:
                    return status, answer
            except ConnectionError:
                if late:
                    raise
            await asyncio.sleep(delay)
            delay = min(MAX_DELAY, 2 * delay)


def _wrong_items(answer: Any) -> dict[int, str]:
    """Positions in the batch, and what is wrong with each."""
    errors = answer.get("errors") if isinstance(answer, dict) else None
    return {
        error["index"]: str(error["detail"]) for error in errors or () if "index" in error
    }  # fmt: skip
