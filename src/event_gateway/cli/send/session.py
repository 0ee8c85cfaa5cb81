"""Sends all events of some inputs: in batches, several at a time, at a rate, with progress."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Protocol

from event_gateway.cli.client.progress import ProgressBar
from event_gateway.cli.send.event_text import Defaults, Event, NotAnEvent, complete
from event_gateway.cli.send.publishing import BatchPublisher, Outcome

MAX_BATCH_BYTES = 512 * 1024  # the gateway's own limit of a body is 1 MiB by default
PER_SECOND = 10  # batches, where there is a rate


class EventInput(Protocol):
    """Where events come from. ``read`` of ``size`` are done; ``size`` None: not known."""

    name: str
    read: int

    @property
    def size(self) -> int | None: ...

    def events(self) -> AsyncIterator[list[Event]]:
        """Events in portions. Raises NotAnEvent."""
        ...


@dataclass(slots=True)
class Sent:
    """What was sent of one source. ``refused``: the number of the line, or of the event, and the
    reason; every event before ``next_number`` was sent or refused, none from
    ``furthest`` on."""

    name: str
    outcome: Outcome = field(default_factory=Outcome)
    next_number: int = 1
    furthest: int = 1
    complete: bool = False


class Sending:
    """Sends the events of a source. ``batch``: events of a request; ``at_once``: requests side by
    side; ``rate``: events a second, None for as many as possible."""

    def __init__(
        self,
        publisher: BatchPublisher,
        defaults: Defaults,
        *,
        batch: int,
        at_once: int,
        rate: float | None,
    ) -> None:
        self._publisher = publisher
        self._defaults = defaults
        self._batch = batch if rate is None else max(1, min(batch, int(rate / PER_SECOND)))
        self._at_once = at_once
        self._rate = rate

    async def send(self, source: EventInput, sent: Sent, *, quiet: bool) -> None:
        """Sends all events, and keeps ``sent`` up to date. Raises what publishers raise, NotAnEvent
        where the input as a whole is none."""
        slots = asyncio.Semaphore(self._at_once)
        under_way: dict[int, list[Event]] = {}
        started, taken = time.monotonic(), 0
        with ProgressBar("sending", source.size, quiet=quiet) as bar:

            async def publish(number: int, batch: list[Event]) -> None:
                try:
                    sent.outcome.add(await self._publisher.publish(batch))
                finally:
                    slots.release()
                del under_way[number]
                _note_progress(sent, under_way, batch)
                counted = sent.outcome.accepted + sent.outcome.duplicates
                refused = len(sent.outcome.refused)
                bar.show(source.read, counted, f"{refused:,} refused" if refused else "")

            try:
                async with asyncio.TaskGroup() as group:
                    async for batch in self._batches(source, sent):
                        if self._rate is not None:
                            due = started + taken / self._rate
                            await asyncio.sleep(due - time.monotonic())
                        await slots.acquire()
                        taken += len(batch)
                        under_way[batch[0][0]] = batch
                        group.create_task(publish(batch[0][0], batch))
            except ExceptionGroup as failures:
                raise failures.exceptions[0] from None
        sent.complete = True

    async def _batches(self, source: EventInput, sent: Sent) -> AsyncIterator[list[Event]]:
        async for portion in source.events():
            batch: list[Event] = []
            size = 0
            for number, text in portion:
                try:
                    whole = complete(text, self._defaults)
                except NotAnEvent as error:
                    sent.outcome.refused.append((number, str(error)))
                    continue
                if batch and (len(batch) >= self._batch or size + len(whole) > MAX_BATCH_BYTES):
                    yield batch
                    batch, size = [], 0
                batch.append((number, whole))
                size += len(whole) + 1
            if batch:
                yield batch


def _note_progress(sent: Sent, under_way: dict[int, list[Event]], batch: list[Event]) -> None:
    """Moves ``next_number`` on to the first event whose outcome is not known."""
    sent.furthest = max(sent.furthest, batch[-1][0] + 1)
    sent.next_number = min(under_way, default=sent.furthest)
