"""Copies the log into a compliance stream whose events are sealed for the people they are about.

Other named streams copy the log inside NATS, where nothing can be sealed. This copy is written by
the process that leads, in the order of the log. Each message names where it stood in the log, and
the last sequence that the stream must have, so that a copy goes on without a gap, and no message is
there twice.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing

import structlog
from nats.errors import Error as NatsError
from nats.js.errors import APIError, NotFoundError

from event_gateway.broker.connection import Broker, BrokerError
from event_gateway.broker.named_streams import SEALED_SUBJECT, SOURCE, copied_from, stream_name
from event_gateway.broker.publisher import Message
from event_gateway.broker.pull import Pulled
from event_gateway.broker.stream_follower import follow_stream
from event_gateway.compliance.sealing import DataSealing, redacted
from event_gateway.core.access.sealing import CannotOpen, CannotSeal
from event_gateway.core.cloudevents.json_format import to_structured
from event_gateway.core.cloudevents.nats_message import ORIGIN_HEADER, from_message
from event_gateway.core.cloudevents.type_subject import EVENTS_ROOT, log_subjects
from event_gateway.core.errors import InvalidEvent
from event_gateway.core.streams.definition import EVENTS, StreamDefinition

log = structlog.get_logger(__name__)

RETRY = 1.0  # seconds
_ROOT = f"{EVENTS_ROOT}."
READ_AHEAD = 256  # messages
CUT = "Eg-Cut"  # how many bytes a payload had that NATS would not take
_AFTER = "Nats-Expected-Last-Sequence"
_HEADER_LINES = 12  # bytes before and behind the header lines of a message


class NotStored(Exception):
    """NATS has not stored a message: another process writes, or NATS is away."""


class SealedCopy:
    """The copy of one stream. ``problem``: why it does not go on; ``leads``: whether this process
    writes."""

    def __init__(
        self,
        broker: Broker,
        definition: StreamDefinition,
        sealing: DataSealing,
        leads: Callable[[], bool],
    ) -> None:
        assert definition.sealed_by is not None
        self.problem: str | None = None
        self._broker = broker
        self._definition = definition
        self._path = definition.sealed_by
        self._sealing = sealing
        self._leads = leads
        self._last = 0  # sequence of the stream

    async def run(self) -> None:
        """Copies while this process leads. It never returns."""
        while True:
            if self._leads():
                try:
                    await self._copy()
                except (NotStored, CannotSeal, CannotOpen, APIError, *BrokerError) as error:
                    if self.problem is None:
                        log.warning("events cannot be sealed into a stream yet",
                                    stream=self._definition.name, reason=str(error))  # fmt: skip
                    self.problem = str(error) or type(error).__name__
            await asyncio.sleep(RETRY)

    async def _copy(self) -> None:
        await self._sealing.keys.ensure()
        from_seq, from_time = await self._position()
        subjects = [each for pattern in self._definition.subjects for each in log_subjects(pattern)]
        messages = follow_stream(
            self._broker, EVENTS, from_seq=from_seq, from_time=from_time,
            filter_subjects=subjects, read_ahead=READ_AHEAD,
        )  # fmt: skip
        async with aclosing(messages) as batches:
            async for batch in batches:
                if not self._leads():
                    return
                if batch:
                    await self._append(batch)
                if self._broker.connected:
                    self.problem = None

    async def _position(self) -> tuple[int | None, float | None]:
        """Where the copy goes on: behind the last message; if that has left, with what came later
        than any message that may have left."""
        stream = stream_name(self._definition.name)
        self._last = (await self._broker.js.stream_info(stream)).state.last_seq
        if not self._last:
            return 1, None
        try:
            last = await self._broker.js.get_msg(stream, self._last)
        except NotFoundError:
            retention = self._definition.retention
            return None, time.time() - retention if retention is not None else time.time()
        source = copied_from(last.headers)
        return (1 if source is None else source[1] + 1), None

    async def _append(self, batch: Sequence[Pulled]) -> None:
        keys: dict[str, tuple[str, bytes]] = {}  # not for longer: another process may erase them
        messages = [
            await self._message(pulled, self._last + n, keys) for n, pulled in enumerate(batch)
        ]
        answers = await self._broker.publisher.publish(messages)
        for answer in answers:
            if isinstance(answer, NatsError):
                raise NotStored(str(answer) or type(answer).__name__)
            self._last = answer.seq

    async def _message(
        self, pulled: Pulled, after: int, keys: dict[str, tuple[str, bytes]]
    ) -> Message:
        name = self._definition.name
        headers, body = dict(pulled.headers or {}), pulled.data
        try:
            received = from_message(
                pulled.headers, pulled.data, subject=pulled.subject, stream=EVENTS,
                seq=pulled.seq, time=pulled.time,
            )  # fmt: skip
        except InvalidEvent:
            received = None  # it is copied as it is
        person = None
        if received is not None:
            person = self._sealing.person_of(name, self._path, received)
        without_data: bytes | None = None
        if received is not None and person is not None:
            if person not in keys:
                keys[person] = await self._sealing.key(name, person)
            body = to_structured(self._sealing.sealed(received.event, keys[person]))
            without_data = to_structured(redacted(received.event))
            kept = {each: headers[each] for each in headers if each.lower() == "traceparent"}
            headers = {"Content-Type": "application/cloudevents+json", **kept}
            headers[ORIGIN_HEADER] = received.origin
        own = {SOURCE: f"{EVENTS} {pulled.seq}", _AFTER: str(after)}
        kept = {each: value for each, value in headers.items() if not each.startswith("Nats-")}
        text, body = self._fitting(kept, own, body, without_data)
        subject = pulled.subject
        if not any(each.startswith(_ROOT) for each in self._definition.subjects):
            subject = subject.removeprefix(_ROOT)  # where events over HTTP may lie
        return f"{SEALED_SUBJECT}.{name}.{subject}".encode(), text, body

    def _fitting(
        self, headers: dict[str, str], own: dict[str, str], body: bytes, without_data: bytes | None
    ) -> tuple[bytes, bytes]:
        """The header lines and the payload, cut where NATS would not take the whole: it closes the
        connection of a client that sends more. ``without_data``: what stands for the payload then;
        None: the payload is not sealed, and its beginning does."""
        most = self._broker.nc.max_payload - _HEADER_LINES
        text = _lines(headers | own)
        if len(text) + len(body) <= most:
            return text, body
        size, seq = len(body), int(own[_AFTER]) + 1
        log.error("an event is too large for a sealed stream, and stored without its data",
                  stream=self._definition.name, seq=seq, size=size)  # fmt: skip
        text = _lines(headers | own | {CUT: str(size)})
        return text, body[: most - len(text)] if without_data is None else without_data


def _lines(headers: Mapping[str, str]) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
