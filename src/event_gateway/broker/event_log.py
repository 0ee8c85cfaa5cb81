"""The events log: the JetStream streams that store every accepted event.

This module appends to it; :mod:`event_gateway.broker.log_reader` reads it.
"""

import asyncio
import functools
import hashlib
from collections.abc import Mapping, Sequence

import msgspec
import structlog
from nats.errors import Error as NatsError
from nats.js.errors import APIError, NoStreamResponseError

from event_gateway.broker.connection import MAX_PENDING, REQUEST_TIMEOUT, Broker
from event_gateway.broker.external_streams import ExternalStream
from event_gateway.broker.failures import (
    LogFull,
    LogUnavailable,
    NotConfirmed,
    NotTaken,
    failure,
)
from event_gateway.broker.provision import ProvisionError, capture
from event_gateway.broker.publisher import Appended
from event_gateway.core.cloudevents.event import HTTP
from event_gateway.core.cloudevents.media_types import STRUCTURED
from event_gateway.core.cloudevents.nats_message import (
    FORMAT_HEADER,
    LOG_FORMAT,
    ORIGIN_HEADER,
)
from event_gateway.core.streams.definition import EVENTS
from event_gateway.core.streams.log_subjects import capturable, subject_for

log = structlog.get_logger(__name__)

__all__ = [
    "Appended",
    "EventLog",
    "LogFull",
    "LogUnavailable",
    "NewEvent",
    "NotConfirmed",
    "NotTaken",
    "TooLarge",
    "message_id",
]

MAX_HEADERS = 1024  # bytes for the subject and headers of a message that the gateway publishes
MAX_SUBJECTS = 4096  # that are remembered
MAX_REMEMBERED_TYPE = 256  # characters of the type of such a subject


class TooLarge(Exception):
    """The event is larger than the largest message of NATS. The text names both sizes."""


class NewEvent(msgspec.Struct, frozen=True, gc=False):
    """An event to append: its structured form is ``body``; ``headers``: further ones of its
    message, such as those of its trace."""

    type: str
    source: str
    id: str
    body: bytes
    headers: Mapping[str, str] = {}


def message_id(source: str, event_id: str) -> str:
    """The message id by which the log recognizes an event: a digest of its source and id."""
    return hashlib.sha256(f"{source}\0{event_id}".encode()).hexdigest()[:32]


class EventLog:
    """Appends to the ingest stream, and knows what it and the external streams capture.

    ``captured`` are the NATS subjects that the ingest stream captures. ``captures_new_roots``:
    whether :meth:`capture_for` may add subjects.
    """

    def __init__(
        self,
        broker: Broker,
        captured: tuple[str, ...],
        external: Sequence[ExternalStream] = (),
        *,
        captures_new_roots: bool = True,
    ) -> None:
        self._broker = broker
        self.set_captured(captured)
        self.external = external
        self.captures_new_roots = captures_new_roots

    def set_captured(self, captured: tuple[str, ...]) -> None:
        """Sets the subjects that the ingest stream captures."""
        self.captured = captured
        self._subjects: dict[str, bytes] = {}  # by event type

    @property
    def all_captured(self) -> tuple[str, ...]:
        """The subjects that the ingest stream or an external stream captures."""
        return (*self.captured, *(s for stream in self.external for s in stream.subjects))

    def allow_new_roots(self, allowed: bool) -> None:
        """Sets whether :meth:`capture_for` may add subjects."""
        self.captures_new_roots = allowed

    def check_size(self, body: bytes) -> None:
        """Raises TooLarge if an event does not fit into a message of NATS.

        NATS closes the connection of a client that publishes a larger message.
        """
        limit = self._broker.nc.max_payload - MAX_HEADERS
        if len(body) > limit:
            raise TooLarge(
                f"the event has {len(body)} bytes in the log; NATS accepts at most {limit} bytes "
                "in a message"
            )

    async def append(
        self, events: Sequence[NewEvent], origin: str = HTTP
    ) -> list[Appended | LogUnavailable]:
        """Publishes events and waits until NATS has confirmed or refused each.

        ``origin`` is ``http``, or the name of the source that the events came from. The bodies must
        have passed :meth:`check_size`. The result has for each event where it is, or NotTaken,
        NotConfirmed, LogFull.
        """
        if shortage := self._broker.shortage():
            return [LogFull(shortage)] * len(events)
        # Not sent while NATS is away: the client would store the event, and send it when this call
        # has long failed.
        if not (self._broker.connected or await self._broker.wait_connected(REQUEST_TIMEOUT)):
            return [NotTaken("NATS cannot be reached")] * len(events)
        if not self._has_room:
            return [NotTaken("NATS does not take what is sent to it")] * len(events)
        answers = await self.begin(events, origin)
        return [self.outcome(answer) for answer in answers]

    @property
    def ready(self) -> bool:
        """Whether :meth:`begin` may be called now."""
        broker = self._broker
        return broker.connected and self._has_room and not broker.shortage()

    @property
    def _has_room(self) -> bool:
        return self._broker.nc.pending_data_size <= MAX_PENDING

    def begin(
        self, events: Sequence[NewEvent], origin: str = HTTP
    ) -> asyncio.Future[list[Appended | NatsError]]:
        """Publishes events as :meth:`append` does, and returns what it waits for; :meth:`outcome`
        tells what each answer means."""
        common = _common_lines(origin)
        return self._broker.publisher.publish(
            [
                (self._subject(event.type), _header_lines(event, common), event.body)
                for event in events
            ]
        )

    def outcome(self, answer: Appended | NatsError) -> Appended | LogUnavailable:
        """Where an event is, or why it is not in the log."""
        return answer if isinstance(answer, Appended) else self._why_not(answer)

    def _subject(self, event_type: str) -> bytes:
        """The subject for a type, of which the latest are remembered."""
        subject = self._subjects.get(event_type)
        if subject is None:
            subject = subject_for(event_type, self.captured).encode()
            if len(self._subjects) >= MAX_SUBJECTS:
                self._subjects.clear()
            if len(event_type) <= MAX_REMEMBERED_TYPE:
                self._subjects[event_type] = subject
        return subject

    def _why_not(self, error: NatsError) -> LogUnavailable:
        """The error to give in place of the one of NATS or its client."""
        cause = failure(self._broker, error)
        if isinstance(cause, LogFull):
            return cause
        refused = isinstance(error, APIError | NoStreamResponseError)
        return NotTaken(str(cause)) if refused else NotConfirmed(str(cause))

    async def capture_for(self, patterns: Sequence[str]) -> None:
        """Captures the NATS subjects of these patterns, unless ``captures_new_roots`` forbids it.

        If NATS refuses, the gateway logs a warning: it still accepts these events over HTTP.
        """
        if not self.captures_new_roots:
            return
        roots = tuple(root for pattern in patterns for root in capturable(pattern))
        own = tuple(
            root for root in roots if not any(stream.overlaps(root) for stream in self.external)
        )
        try:
            self.set_captured(await capture(self._broker, own))
        except ProvisionError as error:
            log.warning(
                "NATS refuses to capture the subjects of these patterns",
                patterns=patterns,
                error=str(error),
            )

    async def last_seq(self, stream: str = EVENTS) -> int:
        """The sequence of the newest event; 0 if the stream is empty."""
        info = await self._broker.js.stream_info(stream)
        return info.state.last_seq


@functools.lru_cache(maxsize=64)
def _common_lines(origin: str) -> bytes:
    lines = f"Content-Type: {STRUCTURED}\r\n{FORMAT_HEADER}: {LOG_FORMAT}\r\n"
    return f"{lines}{ORIGIN_HEADER}: {origin}\r\n".encode()


def _header_lines(event: NewEvent, common: bytes) -> bytes:
    """The headers of an event's message; ``common``: those of every event."""
    lines = b"Nats-Msg-Id: %b\r\n%b" % (message_id(event.source, event.id).encode(), common)
    for name, value in event.headers.items():
        lines += f"{name}: {value}\r\n".encode()
    return lines
