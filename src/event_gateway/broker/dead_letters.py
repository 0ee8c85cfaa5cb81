"""The stream of dead letters: what could not be delivered, with its event and the reason."""

import asyncio
import hashlib
import json
import zlib
from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol

import msgspec
import structlog
from nats.js.errors import APIError, NoStreamResponseError, NotFoundError

from event_gateway.broker.connection import REQUEST_TIMEOUT, Broker, BrokerError
from event_gateway.broker.failures import LogUnavailable, failure
from event_gateway.broker.log_search import read_back
from event_gateway.broker.provision import DEAD_LETTERS
from event_gateway.broker.single_get import get_message
from event_gateway.broker.stream_page import read_page
from event_gateway.core.cloudevents.event import DataKind, Event, Received
from event_gateway.core.cloudevents.json_format import from_structured, to_structured
from event_gateway.core.errors import InvalidEvent
from event_gateway.core.webhook.delivery import Attempt
from event_gateway.core.webhook.error_type import AttemptErrorType

log = structlog.get_logger(__name__)

FORMAT = 1
_FAILURES = (*BrokerError, NoStreamResponseError, APIError)
NOT_DELETED = 10057  # error code of the server: there is no such message
CONCURRENT_READS = 32  # by position
CONCURRENT_DELETIONS = 64
HEADERS = 1024  # bytes that a message's subject and headers may take
MAX_UNPACKED = 512 * 1024 * 1024
_PACKED = b"\x78"  # the first byte of zlib's output, with which no JSON object begins
_SUBJECT = "eg.dead."
_POSITIONS = range(1, 2**63)  # the positions that a request can name


class DeadLetterBody(msgspec.Struct, kw_only=True):
    """The body of a message in the stream of dead letters.

    ``webhook`` is the webhook's definition at the time, ``stream`` and ``seq`` are the event's
    position in the log. ``dropped``: the size in bytes of event data that was left out, because
    it does not fit into one NATS message; 0 if the data is complete."""

    v: int = FORMAT
    webhook_id: str
    url: str
    reason: str
    attempts: list[Attempt]
    stream: str
    seq: int
    run: int
    time: str
    event: msgspec.Raw
    webhook: msgspec.Raw = msgspec.Raw(b"null")
    dropped: int = 0
    repeats: str = ""


class StoredDeadLetter(msgspec.Struct, frozen=True):
    """A dead letter at its position, with its event; ``time`` in seconds since the epoch."""

    position: int
    time: float
    body: DeadLetterBody
    event: Event

    @property
    def has_event(self) -> bool:
        """Whether the dead letter holds the complete event. Of a lost event it has only the id."""
        return self.body.reason != AttemptErrorType.EVENT_LOST and not self.body.dropped


class WebhookIds(Protocol):
    """The ids of webhooks that were renamed: their dead letters are stored under the former ones,
    and are those of the present id."""

    def ids_of(self, webhook_id: str) -> tuple[str, ...]: ...
    def current_id(self, webhook_id: str) -> str: ...


class DeadLetterLog:
    """Appends, reads and deletes dead letters. All methods raise LogUnavailable if NATS does not
    answer."""

    def __init__(self, broker: Broker, ids: WebhookIds) -> None:
        """``ids``: which ids a webhook has had."""
        self._broker = broker
        self._ids = ids

    async def append(self, body: DeadLetterBody, identity: str) -> int:
        """Stores a dead letter. Returns its position after NATS has confirmed it.

        A dead letter appended twice within two minutes with the same ``identity`` is stored once.
        """
        payload = _encode(body, self._broker.nc.max_payload - HEADERS)
        try:
            ack = await self._broker.js.publish(
                _SUBJECT + body.webhook_id, payload, stream=DEAD_LETTERS,
                headers={"Nats-Msg-Id": hashlib.sha256(identity.encode()).hexdigest()[:32]},
            )  # fmt: skip
        except _FAILURES as error:
            raise failure(self._broker, error) from None
        return ack.seq

    async def page(
        self,
        *,
        webhook_id: str | None,
        from_position: int = 1,
        since: float | None = None,
        limit: int,
    ) -> tuple[list[StoredDeadLetter], int, int]:
        """Reads at most ``limit`` dead letters from a position or a time on, the oldest first.

        Returns them, the position after which the next page begins, and how many dead letters
        follow that position."""
        subjects = self._subjects(webhook_id)
        try:
            pages = [
                await read_page(
                    self._broker, DEAD_LETTERS, from_seq=from_position, from_time=since,
                    subject=subject, limit=limit,
                )
                for subject in subjects
            ]  # fmt: skip
        except _FAILURES as error:
            raise failure(self._broker, error) from None
        found = sorted(
            (message for page in pages for message in page.messages), key=lambda each: each.seq
        )
        # Up to where all pages are complete: one may have ended early for its size.
        ends = [page.messages[-1].seq for page in pages if page.messages and page.remaining]
        complete = [each for each in found if not ends or each.seq <= min(ends)]
        messages = complete[:limit]
        remaining = len(found) - len(messages) + sum(page.remaining for page in pages)
        decoded = [self._decode(each.seq, each.time, each.data) for each in messages]
        last = messages[-1].seq if messages else from_position - 1
        return [stored for stored in decoded if stored is not None], last, remaining

    async def latest(
        self, *, webhook_id: str | None, before: int, floor: int, wanted: int
    ) -> tuple[list[StoredDeadLetter], int]:
        """The newest dead letters before a position, the newest first, ``wanted`` (1 to 500) or
        all from ``floor`` on if these are more; and the position from which on these are all.
        """
        subjects = [each for each in self._subjects(webhook_id) if each is not None]
        try:
            passage = await read_back(
                self._broker, DEAD_LETTERS, before=before, floor=floor, wanted=wanted,
                subjects=subjects,
            )  # fmt: skip
        except _FAILURES as error:
            raise failure(self._broker, error) from None
        decoded = [self._decode(each.seq, each.time, each.data) for each in passage.messages]
        return [stored for stored in reversed(decoded) if stored is not None], passage.begin

    async def bounds(self) -> tuple[int, int]:
        """The positions of the oldest and of the newest dead letter; the second is lower if there
        is none."""
        try:
            state = (await self._broker.js.stream_info(DEAD_LETTERS)).state
        except _FAILURES as error:
            raise failure(self._broker, error) from None
        return max(state.first_seq, 1), state.last_seq

    async def read(self, position: int) -> StoredDeadLetter | None:
        """The dead letter at a position; None if there is none, or no longer."""
        if position not in _POSITIONS:
            return None
        try:
            message = await get_message(self._broker, DEAD_LETTERS, position)
        except NotFoundError:
            return None
        except _FAILURES as error:
            raise failure(self._broker, error) from None
        time = message.time.timestamp() if message.time else 0.0
        return self._decode(position, time, message.data or b"")

    async def read_all(
        self, positions: Sequence[int]
    ) -> AsyncIterator[list[StoredDeadLetter | None]]:
        """The dead letters at positions, in their order, in lists of some: each can have a
        mebibyte. None where there is none, or no longer."""
        for start in range(0, len(positions), CONCURRENT_READS):
            reads = map(self.read, positions[start : start + CONCURRENT_READS])
            yield await asyncio.gather(*reads)

    async def event(self, position: int) -> Received | None:
        """The event of the dead letter at a position, as the log returns events."""
        stored = await self.read(position)
        if stored is None or not stored.has_event:
            return None
        return Received(stored.event, DEAD_LETTERS, position, stored.time)

    async def last_position(self) -> int:
        """The position of the newest dead letter; 0 if there never was one."""
        try:
            return (await self._broker.js.stream_info(DEAD_LETTERS)).state.last_seq
        except _FAILURES as error:
            raise failure(self._broker, error) from None

    async def count(self, webhook_id: str | None = None) -> int:
        """How many dead letters there are (of a webhook)."""
        total = 0
        try:
            for subject in self._subjects(webhook_id):
                state = (await self._broker.js.stream_info(DEAD_LETTERS, subject)).state
                by_subject = state.subjects or {}
                total += state.messages if subject is None else by_subject.get(subject, 0)
        except _FAILURES as error:
            raise failure(self._broker, error) from None
        return total

    async def delete(self, position: int) -> bool:
        """Deletes one dead letter and overwrites its bytes; False if there was none."""
        return await self._delete(position, erase=True)

    async def delete_all(self, positions: Sequence[int]) -> int:
        """Deletes dead letters in batches; returns how many existed.

        They are not overwritten, as that is some thirty times the work: NATS drops them when it
        compacts their file, as it does with those that :meth:`purge` deletes.
        """
        deleted = 0
        for start in range(0, len(positions), CONCURRENT_DELETIONS):
            batch = positions[start : start + CONCURRENT_DELETIONS]
            deleted += sum(
                await asyncio.gather(*(self._delete(position, erase=False) for position in batch))
            )
        return deleted

    async def _delete(self, position: int, *, erase: bool) -> bool:
        if position not in _POSITIONS:
            return False
        answer = await self._api("MSG.DELETE", {"seq": position, "no_erase": not erase})
        if answer.get("error", {}).get("err_code") == NOT_DELETED:
            return False
        _check(answer)
        return True

    async def purge(self, *, webhook_id: str | None, before: int) -> int:
        """Deletes all dead letters (of a webhook) before a position; returns how many."""
        purged = 0
        for subject in self._subjects(webhook_id):
            request: dict[str, Any] = {"seq": before}
            if subject is not None:
                request["filter"] = subject
            answer = await self._api("PURGE", request)
            _check(answer)
            purged += int(answer.get("purged", 0))
        return purged

    def _subjects(self, webhook_id: str | None) -> Sequence[str | None]:
        """The subjects of a webhook's dead letters; of all webhooks, no subject in particular."""
        if webhook_id is None:
            return [None]
        return [_SUBJECT + each for each in self._ids.ids_of(webhook_id)]

    def _decode(self, position: int, time: float, data: bytes) -> StoredDeadLetter | None:
        stored = _decode(position, time, data)
        if stored is not None:
            stored.body.webhook_id = self._ids.current_id(stored.body.webhook_id)
        return stored

    async def _api(self, what: str, request: dict[str, Any]) -> dict[str, Any]:
        try:
            message = await self._broker.nc.request(
                f"$JS.API.STREAM.{what}.{DEAD_LETTERS}", json.dumps(request).encode(),
                timeout=REQUEST_TIMEOUT,
            )  # fmt: skip
        except _FAILURES as error:
            raise failure(self._broker, error) from None
        return json.loads(message.data)  # type: ignore[no-any-return]


def _check(answer: dict[str, Any]) -> None:
    if "error" in answer:
        raise LogUnavailable(str(answer["error"].get("description")))


def _encode(body: DeadLetterBody, max_size: int) -> bytes:
    """Encodes a dead letter in at most ``max_size`` bytes: plain, compressed, without the webhook
    and the responses, or at last without the event's data.

    In JSON an event may be six times as large as it was on the wire.
    """
    plain = msgspec.json.encode(body)
    if len(plain) <= max_size:
        return plain
    packed = zlib.compress(plain, 1)
    if len(packed) > max_size:
        slim = [
            msgspec.structs.replace(attempt, response=None, response_headers=None)
            for attempt in body.attempts
        ]
        body = msgspec.structs.replace(body, webhook=msgspec.Raw(b"null"), attempts=slim)
        packed = zlib.compress(msgspec.json.encode(body), 1)
    if len(packed) > max_size:
        event = from_structured(bytes(body.event))
        log.error("the data of an event do not fit into its dead letter",
                  webhook=body.webhook_id, event_id=event.id, size=len(event.data))  # fmt: skip
        bare = msgspec.structs.replace(event, data=b"", kind=DataKind.NONE)
        body = msgspec.structs.replace(
            body, event=msgspec.Raw(to_structured(bare)), dropped=len(event.data)
        )
        packed = zlib.compress(msgspec.json.encode(body), 1)
    return packed


def _decode(position: int, time: float, data: bytes) -> StoredDeadLetter | None:
    """Decodes a message; None if the gateway did not write it, or a newer version did."""
    try:
        if data[:1] == _PACKED:
            data = zlib.decompressobj().decompress(data, MAX_UNPACKED)
        body = msgspec.json.decode(data, type=DeadLetterBody)
        if body.v > FORMAT:
            return None
        return StoredDeadLetter(position, time, body, from_structured(bytes(body.event)))
    except (msgspec.DecodeError, InvalidEvent, zlib.error):
        return None
