"""The named streams that hold an event, with the sequences that it has there."""

import asyncio
from collections.abc import Sequence

import msgspec
from nats.js.errors import NotFoundError

from event_gateway.broker.connection import Broker
from event_gateway.broker.failures import failure
from event_gateway.broker.log_search import UNREADABLE, copy_of
from event_gateway.core.cloudevents.type_subject import log_subjects
from event_gateway.core.matching.pattern import matches
from event_gateway.core.streams.definition import LIFECYCLE, StreamDefinition

CONCURRENT = 8  # streams that are searched at a time


class Copy(msgspec.Struct, frozen=True):
    """A stream that takes an event's subject. ``sequence``: where it has the event; None where it
    does not, then ``reason`` says why."""

    name: str
    sequence: int | None
    reason: str | None


def takes_subject(definition: StreamDefinition, stream: str, subject: str) -> bool:
    """Whether a named stream copies messages on this subject from this stream of the log."""
    return definition.of_lifecycle == (stream == LIFECYCLE) and any(
        matches(written, subject)
        for pattern in definition.subjects
        for written in log_subjects(pattern)
    )


async def stream_copies(
    broker: Broker, definitions: Sequence[StreamDefinition], stream: str, seq: int, subject: str
) -> list[Copy]:
    """Looks for a message of the log in those of the named streams that take its subject. Raises
    LogUnavailable."""
    turns = asyncio.Semaphore(CONCURRENT)

    async def look(definition: StreamDefinition) -> Copy:
        async with turns:
            try:
                sequence, reason = await copy_of(broker, definition.name, stream, seq)
            except NotFoundError:
                sequence, reason = None, "NATS has no such stream now"
            except UNREADABLE as error:
                raise failure(broker, error) from None
        return Copy(definition.name, sequence, reason or None)

    taking = [each for each in definitions if takes_subject(each, stream, subject)]
    return list(await asyncio.gather(*(look(definition) for definition in taking)))
