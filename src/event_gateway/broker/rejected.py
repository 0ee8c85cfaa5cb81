"""Rejected input: messages that are not valid events, stored with their bytes and the reason."""

import contextlib
import re
from collections.abc import Callable, Mapping
from urllib.parse import quote, unquote

import msgspec
from nats.js.errors import APIError, NoStreamResponseError

from event_gateway.broker.connection import Broker, BrokerError
from event_gateway.broker.failures import failure
from event_gateway.broker.log_search import read_back
from event_gateway.broker.provision import REJECTED
from event_gateway.broker.pull import Pulled
from event_gateway.broker.stream_page import read_page
from event_gateway.core.cloudevents.event import Event
from event_gateway.core.cloudevents.nats_message import from_message
from event_gateway.core.errors import InvalidEvent
from event_gateway.core.streams.definition import EVENTS

FORMAT = "1"
MAX_HEADERS = 65_535  # bytes; the limit of JetStream
MAX_COPIED = MAX_HEADERS - 8192  # bytes for the headers of the input
_HEADER = "Eg-Header-"  # prefix of the headers of the input
_MESSAGE_ID = "Nats-Msg-Id"
_OF_SOURCE = "sources/"  # the beginning of the stream and subject of refused requests
_RETRY = "rejected:"  # the beginning of the message id of retried input
_CUT = "Eg-Cut"  # set if body or headers did not fit: the size of the original body in bytes
# The header names that the NATS client accepts; it refuses a message with others.
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
PASSAGE = 200  # messages that are read backwards at a time
MAX_READ = 2_000  # messages that one page of the list reads
MAX_BYTES = 16 * 1024 * 1024  # of their data, after which a page ends
_UNAVAILABLE = (*BrokerError, APIError)


class Rejected(msgspec.Struct, frozen=True):
    """A rejected message. ``time`` in seconds since the epoch; ``body`` with its original bytes.

    ``stream`` and ``origin_seq`` are its position in the log, ``seq`` its sequence in the stream of
    rejected input. ``cut``: the message was too large to be stored completely; the value is the
    size of its original body in bytes. ``path`` is where its data violated a schema; None if it was
    rejected for another reason.
    """

    seq: int
    time: float
    reason: str
    detail: str
    subject: str
    stream: str
    origin_seq: int
    headers: dict[str, str]
    body: bytes
    cut: int | None = None
    path: str | None = None

    @property
    def source(self) -> str | None:
        """The inbound source that has refused it; None: it was a message of a stream. A stream's
        name has no slash, while the subject of a message may begin like that of a source."""
        of_source = self.stream.startswith(_OF_SOURCE)
        return self.stream.removeprefix(_OF_SOURCE) if of_source else None


class NotCaptured(Exception):
    """No stream captures the NATS subject of the message."""


class RejectedInput:
    """The stream of rejected input."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def store(self, stream: str, pulled: Pulled, error: InvalidEvent) -> None:
        """Stores a rejected message of a stream. Raises LogUnavailable if NATS does not confirm."""
        headers = {
            "Eg-Rejected-Format": FORMAT,
            "Eg-Reason": error.reason,
            "Eg-Detail": error.detail[:1000].encode("ascii", "replace").decode(),
            "Eg-Subject": pulled.subject,
            "Eg-Stream": stream,
            "Eg-Sequence": str(pulled.seq),
            # A message that is rejected again after a crash is stored once.
            _MESSAGE_ID: f"{stream}:{pulled.seq}",
        }
        if error.path is not None:
            headers["Eg-Path"] = quote(error.path, safe="/~!$&'()*+,;=:@")
        # Every message of the log must fit here, or the router would never acknowledge it.
        await self._publish(error.reason, headers, pulled.headers or {}, pulled.data)

    async def store_request(
        self, source: str, reason: str, detail: str, given: Mapping[str, str], data: bytes
    ) -> None:
        """Stores a request that an inbound source has refused: its headers, which must hold no
        credential, and its body. Raises LogUnavailable if NATS does not confirm."""
        headers = {
            "Eg-Rejected-Format": FORMAT,
            "Eg-Reason": reason,
            "Eg-Detail": detail[:1000].encode("ascii", "replace").decode(),
            "Eg-Subject": f"{_OF_SOURCE}{source}",
            "Eg-Stream": f"{_OF_SOURCE}{source}",
            "Eg-Sequence": "0",
        }
        await self._publish(reason, headers, given, data)

    async def _publish(
        self, reason: str, headers: dict[str, str], given: Mapping[str, str], data: bytes
    ) -> None:
        copied, complete = _copied(given)
        headers |= copied
        body = data[: self._broker.nc.max_payload - MAX_HEADERS]
        if len(body) < len(data) or not complete:
            headers[_CUT] = str(len(data))
        try:
            await self._broker.js.publish(
                f"eg.rejected.{reason}", body, stream=REJECTED, headers=headers
            )
        except (*_UNAVAILABLE, NoStreamResponseError) as problem:
            raise failure(self._broker, problem) from None

    async def page(self, from_seq: int, limit: int) -> tuple[list[Rejected], bool]:
        """Reads rejected messages from a sequence on, the oldest first, and whether more follow.

        Raises LogUnavailable.
        """
        try:
            page = await read_page(self._broker, REJECTED, from_seq=from_seq, limit=limit)
        except _UNAVAILABLE as error:
            raise failure(self._broker, error) from None
        return [_rejected(message) for message in page.messages], page.remaining > 0

    async def latest(
        self, before: int | None, limit: int, fits: Callable[[Rejected], bool]
    ) -> tuple[list[Rejected], int | None, int]:
        """At most ``limit`` rejected messages that fit before a sequence, the newest first, the
        sequence before which more follow, and how many there are of all kinds in total.

        It reads at most :data:`MAX_READ` messages and about :data:`MAX_BYTES`, so a page may have
        fewer and be followed by another. Raises LogUnavailable.
        """
        found: list[Rejected] = []
        read = size = 0
        try:
            state = (await self._broker.js.stream_info(REJECTED)).state
            first, end = max(state.first_seq, 1), state.last_seq + 1
            end = min(before or end, end)
            while end > first and len(found) < limit and read < MAX_READ and size < MAX_BYTES:
                passage = await read_back(
                    self._broker, REJECTED, before=end, floor=first,
                    wanted=min(PASSAGE, limit if not read else PASSAGE),
                )  # fmt: skip
                read += max(len(passage.messages), 1)
                size += sum(len(message.data) for message in passage.messages)
                found += filter(fits, map(_rejected, reversed(passage.messages)))
                end = passage.begin
        except _UNAVAILABLE as error:
            raise failure(self._broker, error) from None
        if len(found) > limit:  # a passage may have more than was wanted
            end = found[limit].seq + 1
        return found[:limit], end if end > first else None, state.messages

    async def read(self, seq: int) -> Rejected | None:
        """The rejected message at a sequence; None if there is none. Raises LogUnavailable."""
        page, _ = await self.page(seq, 1)
        return page[0] if page and page[0].seq == seq else None

    async def mentioning(self, text: str, limit: int) -> tuple[list[Rejected], bool]:
        """Those of the latest ``limit`` rejected messages that have a text in their body or in a
        header, the newest first; and whether there are older ones. Raises LogUnavailable."""
        found: list[Rejected] = []
        content = text.encode("utf-8", "surrogatepass")
        try:
            state = (await self._broker.js.stream_info(REJECTED)).state
            before, floor = state.last_seq + 1, max(state.first_seq, 1)
            read = 0
            while before > floor and read < limit:
                passage = await read_back(
                    self._broker, REJECTED, before=before, floor=floor, wanted=PASSAGE
                )
                read += max(len(passage.messages), 1)
                before = passage.begin
                for message in reversed(passage.messages):
                    values = (message.headers or {}).values()
                    if content in message.data or any(text == value for value in values):
                        found.append(_rejected(message))
        except _UNAVAILABLE as error:
            raise failure(self._broker, error) from None
        return found, before > floor

    async def retry(self, seq: int, admit: Callable[[Event], None]) -> int:
        """Publishes a rejected message again and returns its new sequence in the log.

        ``admit`` raises InvalidEvent if the gateway does not admit the event. Raises KeyError if
        there is no message at ``seq``, InvalidEvent if it still is not a valid event (it stays
        stored then), NotCaptured, and LogUnavailable.
        """
        rejected = await self.read(seq)
        if rejected is None:
            raise KeyError(seq)
        if rejected.source is not None:
            detail = "it was refused by a source: the sender can send it again, nobody else can"
            raise InvalidEvent("unsupported", detail)
        if rejected.cut is not None:
            raise InvalidEvent("malformed", "the message was too large to be stored completely")
        received = from_message(
            rejected.headers, rejected.body, subject=rejected.subject, stream=rejected.stream,
            seq=rejected.origin_seq, time=rejected.time,
        )  # fmt: skip
        admit(received.event)
        # With its former message id the log would drop it as a duplicate. The new id lets two
        # retries at the same time store it once.
        headers = {k: v for k, v in rejected.headers.items() if k.lower() != _MESSAGE_ID.lower()}
        headers[_MESSAGE_ID] = f"{_RETRY}{seq}"
        try:
            ack = await self._broker.js.publish(rejected.subject, rejected.body, headers=headers)
            with contextlib.suppress(APIError):  # another retry has just deleted it
                await self._broker.js.delete_msg(REJECTED, seq)
        except NoStreamResponseError:
            raise NotCaptured(f"no stream captures {rejected.subject} any more") from None
        except _UNAVAILABLE as error:
            raise failure(self._broker, error) from None
        return ack.seq


def is_retry(pulled: Pulled) -> bool:
    """Whether a message of the log is rejected input that was retried."""
    return any(
        name.lower() == _MESSAGE_ID.lower() and value.startswith(_RETRY)
        for name, value in (pulled.headers or {}).items()
    )


def _copied(headers: Mapping[str, str]) -> tuple[dict[str, str], bool]:
    """Renames the headers of the input for storage; returns them and whether all of them fit."""
    copied: dict[str, str] = {}
    size = 0
    for name, value in headers.items():
        size += len(_HEADER) + len(name) + len(value.encode()) + 4
        if size > MAX_COPIED:
            return copied, False
        if _TOKEN.fullmatch(name):
            copied[f"{_HEADER}{name}"] = value
    return copied, True


def _rejected(pulled: Pulled) -> Rejected:
    headers = dict(pulled.headers or {})
    return Rejected(
        seq=pulled.seq,
        time=pulled.time,
        reason=headers.get("Eg-Reason", "unknown"),
        detail=headers.get("Eg-Detail", ""),
        subject=headers.get("Eg-Subject", ""),
        stream=headers.get("Eg-Stream", EVENTS),
        origin_seq=int(headers.get("Eg-Sequence", "0")),
        headers={
            name.removeprefix(_HEADER): value
            for name, value in headers.items()
            if name.startswith(_HEADER)
        },
        body=pulled.data,
        cut=int(headers[_CUT]) if _CUT in headers else None,
        path=None if (path := headers.get("Eg-Path")) is None else unquote(path),
    )
