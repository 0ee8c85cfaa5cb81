"""Reads events of the log by their sequences, for answers that must not leave one out."""

from collections.abc import Sequence

from event_gateway.broker.log_reader import LogReader, Undecodable
from event_gateway.core.cloudevents.event import Received


async def read_events(log: LogReader, stream: str, seqs: Sequence[int]) -> list[Received]:
    """The events at these sequences (a few hundred at most), in their order, without those that the
    log has no longer and messages that are no events.

    Raises LogUnavailable, or another exception, where a message cannot be read now.
    """
    events = []
    for result in await log.read_many(stream, seqs):
        if isinstance(result, Received):
            events.append(result)
        elif result is not None and not isinstance(result, Undecodable):
            raise result
    return events
