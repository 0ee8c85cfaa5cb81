"""Publishes messages that JetStream confirms, those of one turn of the event loop in one write.

The client's own way has a random inbox, a timer and two wake-ups for each message, which cost more
than the rest of taking an event in. Here all confirmations come to one inbox, are found by a
number, and one timer serves all that wait.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence

import msgspec
from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeout
from nats.js.errors import APIError, NoStreamResponseError

from event_gateway.broker.nats_client import NatsClient

TIMEOUT = 5.0  # seconds for which a confirmation is waited for

# Its subject, its header lines (each with its line break), and its payload.
Message = tuple[bytes, bytes, bytes]


class Appended(msgspec.Struct, frozen=True):
    """The sequence of a message in its stream; ``duplicate``: the stream had stored it before."""

    seq: int = 0
    duplicate: bool = False


Answer = Appended | NatsError


class _Confirmation(msgspec.Struct):
    stream: str = ""
    seq: int = 0
    duplicate: bool = False


_confirmation = msgspec.json.Decoder(_Confirmation).decode


class _Waiting:
    """Messages that were published together; ``done`` is set once each has its answer."""

    __slots__ = ("answers", "deadline", "done", "left")

    def __init__(self, count: int, deadline: float, done: asyncio.Future[list[Answer]]) -> None:
        self.answers: list[Answer] = [_NO_ANSWER] * count
        self.left = count
        self.deadline = deadline  # on the loop's clock
        self.done = done

    def answer(self, place: int, answer: Answer) -> None:
        self.answers[place] = answer
        self.left -= 1
        if not self.left and not self.done.done():
            self.done.set_result(self.answers)


_NO_ANSWER: Answer = Appended()


class Publisher:
    """Publishes over one client."""

    def __init__(self, client: NatsClient) -> None:
        self._client = client
        self._inbox = b""
        self._number = 0  # of the last message
        self._waiting: dict[int, tuple[_Waiting, int]] = {}  # by number, the oldest first
        self._timer: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Subscribes to the inbox of the confirmations, once the client is connected."""
        self._inbox = self._client.new_inbox().encode() + b"."
        await self._client.take(f"{self._inbox.decode()}*", self._answered)

    def publish(self, messages: Sequence[Message]) -> asyncio.Future[list[Answer]]:
        """Publishes messages; the client must be connected, and no message larger than NATS takes.

        The result has for each whether it was stored, or why not: APIError and
        NoStreamResponseError if NATS refused it, nats.errors.TimeoutError if it was not confirmed
        in time.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[list[Answer]] = loop.create_future()
        waiting = _Waiting(len(messages), loop.time() + TIMEOUT, done)
        commands = []
        for place, (subject, headers, payload) in enumerate(messages):
            self._number = number = self._number + 1
            self._waiting[number] = waiting, place
            size = len(headers) + 12  # with the line before and the one behind them
            commands.append(
                b"HPUB %b %b%d %d %d\r\nNATS/1.0\r\n%b\r\n%b\r\n"
                % (subject, self._inbox, number, size, size + len(payload), headers, payload)
            )
        self._client.send(b"".join(commands))
        if self._timer is None:
            self._timer = loop.call_at(waiting.deadline, self._expire)
        return done

    def _answered(
        self, subject: bytes, _reply: bytes, payload: bytes, headers: Mapping[str, str] | None
    ) -> None:
        """A message came to the inbox. It may also come from a client that has subscribed to the
        event's subject: then it is no confirmation."""
        answer: Answer | None
        if payload:
            try:
                stored = _confirmation(payload)
            except (msgspec.DecodeError, UnicodeDecodeError):
                return
            if stored.seq and stored.stream:
                answer = Appended(stored.seq, stored.duplicate)
            else:
                answer = _refusal(payload)
        elif headers is not None and headers.get("Status") == "503":  # no stream takes the subject
            answer = NoStreamResponseError()
        else:
            answer = None
        if answer is not None:
            self._settle(int(subject[len(self._inbox) :]), answer)

    def _settle(self, number: int, answer: Answer) -> None:
        found = self._waiting.pop(number, None)
        if found is not None:  # else it came too late
            waiting, place = found
            waiting.answer(place, answer)

    def _expire(self) -> None:
        loop = asyncio.get_running_loop()
        now, self._timer = loop.time(), None
        for number, (waiting, _) in list(self._waiting.items()):
            if waiting.deadline > now:
                self._timer = loop.call_at(waiting.deadline, self._expire)
                break
            self._settle(number, NatsTimeout())


def _refusal(payload: bytes) -> NatsError | None:
    """The error in an answer of JetStream; None if it is no such answer."""
    try:
        APIError.from_error(json.loads(payload)["error"])
    except APIError as error:
        return error
    except (LookupError, TypeError):
        return None
    raise AssertionError  # from_error always raises
