"""Intake: appends events to the log. They are answered only once the log has confirmed them."""

import asyncio
import functools
from collections.abc import Awaitable, Sequence

from event_gateway.broker.event_log import Appended, EventLog, NotConfirmed, NotTaken
from event_gateway.core.cloudevents.event import HTTP, Event
from event_gateway.core.cloudevents.trace_context import TraceContext
from event_gateway.ingest.publish_spans import headers_of, traced_append
from event_gateway.observability.tracing.spans import Tracing

MAX_APPENDING = 256  # events of one batch that are appended at the same time


class Intake:
    """Appends checked events to the log."""

    def __init__(self, log: EventLog, tracing: Tracing) -> None:
        self._log = log
        self._tracing = tracing

    async def accept(
        self,
        events: list[tuple[Event, bytes]],
        origin: str = HTTP,
        trace: TraceContext | None = None,
    ) -> list[Appended]:
        """Appends events, each with its structured form, and returns their sequences. ``origin``:
        ``http``, or the name of the source that the events came from. ``trace``: that of the
        request, which goes on with the events.

        Not atomic: if it fails halfway, the caller sends the whole batch again, and the log
        recognises the events that it has. Raises TooLarge before anything is written; NotTaken,
        where no event was taken; NotConfirmed, where some may have been; LogFull.
        """
        for _, body in events:
            self._log.check_size(body)
        if len(events) == 1:
            return [await self._append(*events[0], origin, trace)]
        out: list[Appended] = []
        for start in range(0, len(events), MAX_APPENDING):
            answers = await asyncio.gather(
                *(
                    self._append(event, body, origin, trace)
                    for event, body in events[start : start + MAX_APPENDING]
                ),
                return_exceptions=True,
            )
            taken = [answer for answer in answers if isinstance(answer, Appended)]
            failed = [answer for answer in answers if isinstance(answer, BaseException)]
            out += taken
            if failed:
                raise _failure(failed, taken=len(out))
        return out

    def _append(
        self, event: Event, body: bytes, origin: str, trace: TraceContext | None
    ) -> Awaitable[Appended]:
        tracer = self._tracing.tracer
        append = functools.partial(
            self._log.append, event.type, event.source, event.id, body, origin
        )
        if tracer is not None:
            return traced_append(tracer, event, trace, append)
        return append(None if trace is None else headers_of(trace))


def _failure(errors: Sequence[BaseException], taken: int) -> BaseException:
    """The error of a batch: NotTaken only if none of its events was taken."""
    for error in errors:
        if not isinstance(error, NotTaken):
            return error
    if taken:
        return NotConfirmed(f"{taken} events of the batch were taken: {errors[0]}")
    return errors[0]
