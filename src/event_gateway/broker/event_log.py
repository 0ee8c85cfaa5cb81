"""The events log: where an event is safe once it has been acknowledged."""

import asyncio
import base64
import hashlib
import json
import time
from collections.abc import Sequence

import msgspec
import structlog
from nats.js.api import RawStreamMsg
from nats.js.errors import APIError, NoStreamResponseError, NotFoundError

from event_gateway.broker.batched_get import StoredMessage, get_batch, supports_batches
from event_gateway.broker.connection import REQUEST_TIMEOUT, Broker, BrokerError
from event_gateway.broker.external_streams import ExternalStream
from event_gateway.broker.headers import parse_headers
from event_gateway.broker.provision import ProvisionError, capture
from event_gateway.core.cloudevents.event import HTTP, Received
from event_gateway.core.cloudevents.media_types import STRUCTURED
from event_gateway.core.cloudevents.nats_message import (
    FORMAT_HEADER,
    LOG_FORMAT,
    ORIGIN_HEADER,
    from_message,
)
from event_gateway.core.errors import InvalidEvent
from event_gateway.core.streams.definition import EVENTS
from event_gateway.core.streams.log_subjects import capturable, subject_for

log = structlog.get_logger(__name__)

MAX_HEADERS = 1024  # bytes of subject and headers of what the gateway writes into the log
APART = 300.0  # seconds for which a stream that did not end its answer is asked one by one


class LogUnavailable(Exception):
    """NATS did not confirm; whether it holds the event is unknown, and it can be sent again."""


class LogFull(LogUnavailable):
    """The log is at its size limit and refuses new events rather than drop old ones."""


class TooLarge(Exception):
    """NATS takes no message as large as this event is in the log; the text names both sizes."""


class Appended(msgspec.Struct, frozen=True):
    """Where the log has an event; ``duplicate``: it had it already."""

    seq: int
    duplicate: bool


def message_id(source: str, event_id: str) -> str:
    """What identifies an event for the log: the same source and id are the same event."""
    return hashlib.sha256(f"{source}\0{event_id}".encode()).hexdigest()[:32]


class EventLog:
    """Appends to and reads from the ingest stream."""

    def __init__(
        self,
        broker: Broker,
        captured: tuple[str, ...],
        external: Sequence[ExternalStream] = (),
        *,
        captures_new_roots: bool = True,
    ) -> None:
        self._broker = broker
        self.captured = captured
        self.external = external
        self.captures_new_roots = captures_new_roots
        # Until when the events of a stream are asked for one by one, on the monotonic clock.
        self._apart_until: dict[str, float] = {}
        self._indirect = {stream.name for stream in external if not stream.direct}

    def set_captured(self, captured: tuple[str, ...]) -> None:
        """Uses these as the subjects that the ingest stream captures."""
        self.captured = captured

    def allow_new_roots(self, allowed: bool) -> None:
        """Whether :meth:`capture` may add subjects."""
        self.captures_new_roots = allowed

    def check_size(self, body: bytes) -> None:
        """Raises TooLarge where NATS would not take an event, and hang up on who sends it."""
        most = self._broker.nc.max_payload - MAX_HEADERS
        if len(body) > most:
            raise TooLarge(
                f"the event has {len(body)} bytes in the log, and NATS takes {most} in a message"
            )

    async def append(
        self, event_type: str, source: str, event_id: str, body: bytes, origin: str = HTTP
    ) -> Appended:
        """Writes one structured event and waits for its acknowledgement. ``origin``: ``http``, or
        the name of the source that the event came from.

        What :meth:`check_size` says must be heeded. Raises LogUnavailable, LogFull.
        """
        headers = {
            "Nats-Msg-Id": message_id(source, event_id),
            "Content-Type": STRUCTURED,
            ORIGIN_HEADER: origin,
            FORMAT_HEADER: str(LOG_FORMAT),
        }
        try:
            ack = await self._broker.js.publish(
                subject_for(event_type, self.captured), body, headers=headers
            )
        except APIError as error:
            if error.err_code in (10077, 10122, 10047):  # stream or account storage is used up
                raise LogFull(str(error.description)) from None
            raise LogUnavailable(str(error.description)) from None
        except (*BrokerError, NoStreamResponseError) as error:
            raise LogUnavailable(str(error) or type(error).__name__) from None
        return Appended(ack.seq, bool(ack.duplicate))

    async def feed(self, patterns: Sequence[str]) -> None:
        """Captures from now on, unless ``captures_new_roots`` forbids it, what the patterns need.

        Where NATS refuses that it is only said: over HTTP their events still come in.
        """
        if not self.captures_new_roots:
            return
        roots = tuple(root for pattern in patterns if (root := capturable(pattern)))
        own = tuple(one for one in roots if not any(f.holds(one) for f in self.external))
        try:
            self.captured = await capture(self._broker, own)
        except ProvisionError as error:
            log.warning("subjects not captured from NATS", patterns=patterns, error=str(error))

    async def last_seq(self, stream: str = EVENTS) -> int:
        """The sequence of the newest event, 0 in an empty log."""
        info = await self._broker.js.stream_info(stream)
        return info.state.last_seq

    async def read(self, stream: str, seq: int) -> Received | None:
        """The event at a sequence; None where the log holds no event there (any more).

        Raises LogUnavailable.
        """
        try:
            message = await get_message(
                self._broker, stream, seq, direct=stream not in self._indirect
            )
        except NotFoundError:
            return None
        except (*BrokerError, APIError) as error:
            raise LogUnavailable(str(error) or type(error).__name__) from None
        try:
            return from_message(
                message.headers,
                message.data or b"",
                subject=message.subject or "",
                stream=stream,
                seq=seq,
                time=message.time.timestamp() if message.time else 0.0,
            )
        except InvalidEvent:
            return None

    async def read_many(
        self, stream: str, seqs: Sequence[int]
    ) -> list[Received | LogUnavailable | None]:
        """The events at these sequences, a few hundred at most, as :meth:`read` gives them."""
        found: dict[int, StoredMessage] = {}
        now = time.monotonic()
        if (
            stream not in self._indirect
            and now >= self._apart_until.get(stream, 0.0)
            and self._broker.connected
            and supports_batches(self._broker)
        ):
            try:
                found, ended = await get_batch(self._broker, stream, seqs)
                if not ended:
                    self._apart_until[stream] = now + APART
                    # Who waits for this waits for other streams' events, too: not twice in a row.
                    if not found:
                        return [LogUnavailable(f"{stream} does not answer") for _ in seqs]
            except BrokerError as error:
                log.debug("events are read one by one", stream=stream, error=str(error))

        async def one(seq: int) -> Received | LogUnavailable | None:
            message = found.get(seq)
            try:
                if message is None:
                    return await self.read(stream, seq)
                return from_message(
                    message.headers, message.data, subject=message.subject, stream=stream,
                    seq=seq, time=message.time,
                )  # fmt: skip
            except LogUnavailable as error:
                return error
            except InvalidEvent:
                return None

        return await asyncio.gather(*(one(seq) for seq in seqs))


async def get_message(
    broker: Broker, stream: str, seq: int, *, direct: bool = True
) -> RawStreamMsg:
    """One message. Any replica may answer where that is ``direct``; that there is none only the
    leader can say, whom the others may be behind.

    Raises NotFoundError, and what BrokerError names.
    """
    if direct:
        try:
            return await broker.js.get_msg(stream, seq=seq, direct=True)
        except NotFoundError:
            pass
    asked = await broker.nc.request(
        f"$JS.API.STREAM.MSG.GET.{stream}", b'{"seq":%d}' % seq, timeout=REQUEST_TIMEOUT
    )
    answer = json.loads(asked.data)
    if "error" in answer:
        raise APIError.from_error(answer["error"])
    message: RawStreamMsg = RawStreamMsg.from_response(answer["message"])
    message.data = base64.b64decode(message.data or b"")
    # The client reads these as if they were an e-mail's.
    message.headers = parse_headers(base64.b64decode(message.hdrs or b""))
    return message
