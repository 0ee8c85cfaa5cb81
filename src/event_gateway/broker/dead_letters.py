"""The stream of dead letters: what could not be delivered, with its event and the reason."""

import asyncio
import hashlib
import json
import zlib
from collections.abc import Sequence
from typing import Any

import msgspec
import structlog
from nats.js.errors import APIError, NoStreamResponseError, NotFoundError

from event_gateway.broker.connection import REQUEST_TIMEOUT, Broker, BrokerError
from event_gateway.broker.event_log import LogUnavailable, get_message
from event_gateway.broker.provision import DEAD_LETTERS
from event_gateway.broker.stream_page import read_page
from event_gateway.core.cloudevents.event import DataKind, Event, Received
from event_gateway.core.cloudevents.json_format import from_structured, to_structured
from event_gateway.core.errors import ErrorType, InvalidEvent
from event_gateway.core.webhook.delivery import Attempt

log = structlog.get_logger(__name__)

FORMAT = 1
_FAILURES = (*BrokerError, NoStreamResponseError, APIError)
NOT_DELETED = 10057  # the server's code where there is no such message
DELETED_TOGETHER = 64
HEADERS = 1024  # bytes that a message's subject and headers may take
MAX_UNPACKED = 512 * 1024 * 1024
_PACKED = b"\x78"  # as what zlib makes begins, and no JSON object
_SUBJECT = "eg.dead."
_PLACES = range(1, 2**63)  # what the server can be asked for


class Letter(msgspec.Struct, kw_only=True):
    """A dead letter as it is stored. ``webhook`` is its definition as it was, ``stream`` and
    ``seq`` are the event's place in the log. ``dropped``: the event's data had so many bytes, more
    than NATS takes in one message."""

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


class Kept(msgspec.Struct, frozen=True):
    """A dead letter at its place, with its event; ``time`` in seconds since the epoch."""

    place: int
    time: float
    letter: Letter
    event: Event

    @property
    def whole(self) -> bool:
        """Whether it holds its event: of one that was lost it has the name alone."""
        return self.letter.reason != ErrorType.EVENT_LOST and not self.letter.dropped


class DeadLetterLog:
    """Appends, reads and deletes. Everything raises LogUnavailable where NATS does not answer."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def append(self, letter: Letter, identity: str) -> int:
        """Keeps a dead letter; gives its place once that is confirmed.

        What is written again within two minutes with the same ``identity`` is kept once.
        """
        body = _fitting(letter, self._broker.nc.max_payload - HEADERS)
        try:
            ack = await self._broker.js.publish(
                _SUBJECT + letter.webhook_id, body, stream=DEAD_LETTERS,
                headers={"Nats-Msg-Id": hashlib.sha256(identity.encode()).hexdigest()[:32]},
            )  # fmt: skip
        except _FAILURES as error:
            raise _unavailable(error) from None
        return ack.seq

    async def page(
        self,
        *,
        webhook_id: str | None,
        from_place: int = 1,
        since: float | None = None,
        limit: int,
    ) -> tuple[list[Kept], int, int]:
        """At most ``limit`` letters from a place or a time on, the oldest first; behind which place
        to go on, and how many are there."""
        subject = None if webhook_id is None else _SUBJECT + webhook_id
        try:
            found = await read_page(
                self._broker, DEAD_LETTERS, from_seq=from_place, from_time=since, subject=subject,
                limit=limit,
            )  # fmt: skip
        except _FAILURES as error:
            raise _unavailable(error) from None
        kept = [_kept(one.seq, one.time, one.data) for one in found.messages]
        last = found.messages[-1].seq if found.messages else from_place - 1
        return [one for one in kept if one is not None], last, found.behind

    async def read(self, place: int) -> Kept | None:
        """The letter at a place; None where there is none (any more)."""
        if place not in _PLACES:
            return None
        try:
            message = await get_message(self._broker, DEAD_LETTERS, place)
        except NotFoundError:
            return None
        except _FAILURES as error:
            raise _unavailable(error) from None
        time = message.time.timestamp() if message.time else 0.0
        return _kept(place, time, message.data or b"")

    async def event(self, place: int) -> Received | None:
        """The event of the letter at a place, as if the log had it there."""
        kept = await self.read(place)
        if kept is None or not kept.whole:
            return None
        return Received(kept.event, DEAD_LETTERS, place, kept.time)

    async def last_place(self) -> int:
        """The place of the newest letter, 0 where there has been none."""
        try:
            return (await self._broker.js.stream_info(DEAD_LETTERS)).state.last_seq
        except _FAILURES as error:
            raise _unavailable(error) from None

    async def delete(self, place: int) -> bool:
        """Deletes one letter and overwrites it; False where there was none."""
        return await self._delete(place, erase=True)

    async def delete_all(self, places: Sequence[int]) -> int:
        """Deletes letters, some at a time; gives how many there were.

        They are not overwritten, as that is some thirty times the work: NATS drops them when it
        compacts their file, as it does with those that :meth:`purge` deletes.
        """
        deleted = 0
        for start in range(0, len(places), DELETED_TOGETHER):
            some = places[start : start + DELETED_TOGETHER]
            deleted += sum(
                await asyncio.gather(*(self._delete(place, erase=False) for place in some))
            )
        return deleted

    async def _delete(self, place: int, *, erase: bool) -> bool:
        if place not in _PLACES:
            return False
        said = await self._api("MSG.DELETE", {"seq": place, "no_erase": not erase})
        if said.get("error", {}).get("err_code") == NOT_DELETED:
            return False
        _check(said)
        return True

    async def purge(self, *, webhook_id: str | None, before: int) -> int:
        """Deletes all letters (of a webhook) before a place; gives how many that were."""
        request: dict[str, Any] = {"seq": before}
        if webhook_id is not None:
            request["filter"] = _SUBJECT + webhook_id
        said = await self._api("PURGE", request)
        _check(said)
        return int(said.get("purged", 0))

    async def _api(self, what: str, request: dict[str, Any]) -> dict[str, Any]:
        try:
            answer = await self._broker.nc.request(
                f"$JS.API.STREAM.{what}.{DEAD_LETTERS}", json.dumps(request).encode(),
                timeout=REQUEST_TIMEOUT,
            )  # fmt: skip
        except _FAILURES as error:
            raise _unavailable(error) from None
        return json.loads(answer.data)  # type: ignore[no-any-return]


def _check(said: dict[str, Any]) -> None:
    if "error" in said:
        raise LogUnavailable(str(said["error"].get("description")))


def _fitting(letter: Letter, most: int) -> bytes:
    """A letter in at most so many bytes: as it is, packed, without what only tells of it, and at
    last without the event's data.

    In JSON an event may be six times as large as it was on the wire.
    """
    body = msgspec.json.encode(letter)
    if len(body) <= most:
        return body
    packed = zlib.compress(body, 1)
    if len(packed) > most:
        slim = [
            msgspec.structs.replace(one, response=None, response_headers=None)
            for one in letter.attempts
        ]
        letter = msgspec.structs.replace(letter, webhook=msgspec.Raw(b"null"), attempts=slim)
        packed = zlib.compress(msgspec.json.encode(letter), 1)
    if len(packed) > most:
        event = from_structured(bytes(letter.event))
        log.error("the data of an event do not fit into its dead letter",
                  webhook=letter.webhook_id, event=event.id, size=len(event.data))  # fmt: skip
        bare = msgspec.structs.replace(event, data=b"", kind=DataKind.NONE)
        letter = msgspec.structs.replace(
            letter, event=msgspec.Raw(to_structured(bare)), dropped=len(event.data)
        )
        packed = zlib.compress(msgspec.json.encode(letter), 1)
    return packed


def _kept(place: int, time: float, data: bytes) -> Kept | None:
    """None where it is not of the gateway's making, or of a newer version's."""
    try:
        if data[:1] == _PACKED:
            data = zlib.decompressobj().decompress(data, MAX_UNPACKED)
        letter = msgspec.json.decode(data, type=Letter)
        if letter.v > FORMAT:
            return None
        return Kept(place, time, letter, from_structured(bytes(letter.event)))
    except (msgspec.DecodeError, InvalidEvent, zlib.error):
        return None


def _unavailable(error: BaseException) -> LogUnavailable:
    return LogUnavailable(str(error) or type(error).__name__)
