"""Turns messages of the log into events: the one loop that decodes, admits and enriches.

All that routes, delivers and streams events reads them through :class:`EventDecoder`, so that these
readers agree on what is an event. They differ in four things, each of which is an argument:

====================  ======================  ==================  ===================  ==========
reader                ``admit``               rejected messages   ``select``           enrichment
====================  ======================  ==================  ===================  ==========
router                ``check_captured``      set aside           all                  yes
ordered webhooks      ``check_again``         skipped             events that match    yes
live subscribers      ``check_again``         skipped             all                  yes
repair, replays       ``check_again``         skipped             (:meth:`decode`)     no
====================  ======================  ==================  ===================  ==========

The methods of ``admit`` are those of :class:`~event_gateway.ingest.admission.Admission`. Whatever
shows single messages to people, and admits nothing (events that are looked up, rejected input,
sealed records), decodes them with ``from_message``.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import msgspec
import structlog

from event_gateway.broker.named_streams import copied_from, is_named
from event_gateway.broker.pull import Pulled
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.cloudevents.nats_message import from_message
from event_gateway.core.cloudevents.reserved_types import check_lifecycle
from event_gateway.core.errors import InvalidEvent
from event_gateway.core.streams.definition import LIFECYCLE

log = structlog.get_logger(__name__)


class Admit(Protocol):
    """Checks whether an event of the log may reach webhooks and subscribers."""

    def __call__(self, received: Received, /) -> None:
        """Raises InvalidEvent where the event may not pass."""


class Enrich(Protocol):
    """Enriches events in place; never fails."""

    async def __call__(self, events: Sequence[Received], /) -> None:
        """Sets ``enriched`` of each event whose data is a JSON object."""


class Decoded(msgspec.Struct):
    """The events of a batch of messages, in their order, and the messages that are no events, each
    with the reason."""

    events: list[tuple[Pulled, Received]]
    rejected: list[tuple[Pulled, InvalidEvent]]


class EventDecoder:
    """Decodes, admits and enriches the messages of a stream."""

    def __init__(self, admit: Admit, enrich: Enrich) -> None:
        self._admit = admit
        self._enrich = enrich

    def decode(self, stream: str, messages: Iterable[Pulled]) -> Decoded:
        """The events in messages of a JetStream stream, admitted and not enriched.

        An event in a named stream has the position in the log from which it was copied. Of the
        log of lifecycle events only what the gateway has published is an event.
        """
        admit = self._admit
        named = is_named(stream)
        log_stream, check = stream, stream != LIFECYCLE
        events: list[tuple[Pulled, Received]] = []
        rejected: list[tuple[Pulled, InvalidEvent]] = []
        for pulled in messages:
            seq = pulled.seq
            if named:
                log_stream, seq = copied_from(pulled.headers) or (stream, seq)
                check = log_stream != LIFECYCLE
            try:
                received = from_message(
                    pulled.headers, pulled.data, subject=pulled.subject, stream=log_stream,
                    seq=seq, time=pulled.time,
                )  # fmt: skip
                if check:
                    admit(received)
                else:
                    check_lifecycle(received.event, pulled.subject)
            except InvalidEvent as error:
                rejected.append((pulled, error))
                continue
            except Exception as error:  # a fault of the decoder must not stop the other events
                log.error("message cannot be decoded", stream=stream, seq=pulled.seq, fault=error)
                detail = f"decoding failed: {error!r}"
                rejected.append((pulled, InvalidEvent("failed", detail)))
                continue
            events.append((pulled, received))
        return Decoded(events, rejected)

    async def read(
        self,
        stream: str,
        messages: Iterable[Pulled],
        select: Callable[[Received], bool] | None = None,
    ) -> Decoded:
        """The events in messages of a JetStream stream, admitted and enriched, in one round trip.

        With ``select``, only the events for which it is true.
        """
        decoded = self.decode(stream, messages)
        if select is not None:
            decoded.events = [entry for entry in decoded.events if select(entry[1])]
        await self.enrich(stream, [received for _, received in decoded.events])
        return decoded

    async def enrich(self, stream: str, events: Sequence[Received]) -> None:
        """Enriches events that were in messages of a JetStream stream, in one round trip; those
        about the gateway itself are not enriched."""
        if stream == LIFECYCLE or is_named(stream):
            events = [received for received in events if received.stream != LIFECYCLE]
        if events:
            await self._enrich(events)
