"""Intake: appends events to the log. They are answered only once the log has confirmed them."""

import asyncio
from collections.abc import Sequence

from nats.errors import Error as NatsError

from event_gateway.broker.event_log import (
    Appended,
    EventLog,
    LogUnavailable,
    NewEvent,
    NotConfirmed,
    NotTaken,
)
from event_gateway.core.cloudevents.event import HTTP, Event
from event_gateway.core.cloudevents.trace_context import TraceContext
from event_gateway.ingest.publish_spans import Link, headers_of, publication
from event_gateway.observability.tracing.spans import Tracing

MAX_APPENDING = 256  # events of one batch that are appended at the same time


class Intake:
    """Appends checked events to the log."""

    def __init__(self, log: EventLog, tracing: Tracing) -> None:
        self._log = log
        self._tracing = tracing

    async def accept(
        self,
        events: Sequence[tuple[Event, bytes]],
        origin: str = HTTP,
        trace: TraceContext | None = None,
        link: Link | None = None,
    ) -> list[Appended]:
        """Appends events, each with its structured form, and returns their sequences. ``origin``:
        ``http``, or the name of the source that the events came from. ``trace``: that of the
        request, which goes on with the events; ``link``: to the request, if its events have traces
        of their own.

        Not atomic: if it fails halfway, the caller sends the whole batch again, and the log
        recognises the events that it has. Raises TooLarge before anything is written; NotTaken,
        where no event was taken; NotConfirmed, where some may have been; LogFull.
        """
        for _, body in events:
            self._log.check_size(body)
        taken: list[Appended] = []
        for start in range(0, len(events), MAX_APPENDING):
            part = events[start : start + MAX_APPENDING]
            answers = await self._append(part, origin, trace, link)
            failed: list[LogUnavailable] = []
            for answer in answers:
                if isinstance(answer, Appended):
                    taken.append(answer)
                else:
                    failed.append(answer)
            if failed:
                raise _failure(failed, taken=len(taken))
        return taken

    @property
    def takes_at_once(self) -> bool:
        """Whether :meth:`begin` may be called now: the log takes events, and publications have no
        spans."""
        return self._tracing.tracer is None and self._log.ready

    def begin(
        self, event: Event, body: bytes, trace: TraceContext | None
    ) -> asyncio.Future[list[Appended | NatsError]]:
        """Begins to append one event from HTTP, as :meth:`accept` does, which also tells of the
        arguments; :meth:`ended` tells how it ends. Raises TooLarge."""
        self._log.check_size(body)
        return self._log.begin([_new(event, body, {} if trace is None else headers_of(trace))])

    def ended(self, answers: Sequence[Appended | NatsError]) -> Appended:
        """Where the event of :meth:`begin` is. Raises NotTaken, NotConfirmed, LogFull."""
        outcome = self._log.outcome(answers[0])
        if isinstance(outcome, Appended):
            return outcome
        raise outcome

    async def _append(
        self,
        events: Sequence[tuple[Event, bytes]],
        origin: str,
        trace: TraceContext | None,
        link: Link | None,
    ) -> list[Appended | LogUnavailable]:
        headers = {} if trace is None else headers_of(trace)
        tracer = self._tracing.tracer
        if tracer is None:
            return await self._log.append(
                [_new(event, body, headers) for event, body in events], origin
            )
        spans = [publication(tracer, event, trace, link) for event, _ in events]
        answers = await self._log.append(
            [
                _new(event, body, headers if span is None else span.headers)
                for (event, body), span in zip(events, spans, strict=True)
            ],
            origin,
        )
        for span, answer in zip(spans, answers, strict=True):
            if span is not None:
                span.ended(answer)
        return answers


def _new(event: Event, body: bytes, headers: dict[str, str]) -> NewEvent:
    return NewEvent(event.type, event.source, event.id, body, headers)


def _failure(errors: Sequence[LogUnavailable], taken: int) -> LogUnavailable:
    """The error of a batch: NotTaken only if none of its events was taken."""
    for error in errors:
        if not isinstance(error, NotTaken):
            return error
    if taken:
        return NotConfirmed(f"{taken} events of the batch were taken: {errors[0]}")
    return errors[0]
