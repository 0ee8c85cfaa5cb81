"""Reads an event stream as the HTML Standard says (9.2.6), for tests; it shares no code with the
gateway."""

import asyncio
import codecs
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx

from support.patience import PATIENCE


@dataclass
class Message:
    """What an EventSource dispatches."""

    data: str
    event: str
    id: str


@dataclass
class Parser:
    """The state of an EventSource: ``last_event_id`` is what it sends when it connects again."""

    last_event_id: str = ""
    retry: int | None = None
    comments: list[str] = field(default_factory=list)
    blocks: int = 0

    def __post_init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("strict")
        self._text = ""
        self._begun = False
        self._data = self._event = ""
        self._id = self.last_event_id

    def feed(self, raw: bytes) -> list[Message]:
        """Takes bytes as they come, and returns the events that they complete."""
        self._text += self._decoder.decode(raw)
        if not self._begun and self._text:
            self._begun = True
            self._text = self._text.removeprefix("\ufeff")
        out = []
        while (line := self._line()) is not None:
            message = self._take(line)
            if message is not None:
                out.append(message)
        return out

    def _line(self) -> str | None:
        ends = [at for at in (self._text.find("\n"), self._text.find("\r")) if at >= 0]
        if not ends:
            return None
        end = min(ends)
        if self._text[end] == "\r" and end + 1 == len(self._text):
            return None  # an LF may follow
        line = self._text[:end]
        self._text = self._text[end + (2 if self._text[end : end + 2] == "\r\n" else 1) :]
        return line

    def _take(self, line: str) -> Message | None:
        if not line:
            return self._dispatch()
        if line.startswith(":"):
            self.comments.append(line[1:])
            return None
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data += value + "\n"
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self.retry = int(value)
        return None

    def _dispatch(self) -> Message | None:
        self.blocks += 1
        self.last_event_id = self._id
        data, event = self._data, self._event
        self._data = self._event = ""
        return Message(data[:-1], event or "message", self._id) if data else None


@dataclass
class EventStream:
    """A response of Server-Sent Events as its client sees it."""

    answer: httpx.Response
    parser: Parser = field(default_factory=Parser)

    def __post_init__(self) -> None:
        self._raw = self.answer.aiter_raw()
        self._pending: list[Message] = []

    async def next(self) -> Message:
        """The next event. Raises StopAsyncIteration at the end of the stream."""
        async with asyncio.timeout(PATIENCE):
            while not self._pending:
                self._pending += self.parser.feed(await anext(self._raw))
        return self._pending.pop(0)

    async def take(self, count: int) -> list[Message]:
        """The next events."""
        return [await self.next() for _ in range(count)]

    async def until_id(self, last_event_id: str) -> None:
        """Returns once the client would resume at an id."""
        async with asyncio.timeout(PATIENCE):
            while self.parser.last_event_id != last_event_id:
                self._pending += self.parser.feed(await anext(self._raw))

    async def comment(self) -> None:
        """Returns once another comment has come."""
        before = len(self.parser.comments)
        async with asyncio.timeout(PATIENCE):
            while len(self.parser.comments) == before:
                self._pending += self.parser.feed(await anext(self._raw))

    async def rest(self) -> list[Message]:
        """All events up to the end of the stream."""
        async with asyncio.timeout(PATIENCE):
            async for raw in self._raw:
                self._pending += self.parser.feed(raw)
        out, self._pending = self._pending, []
        return out

    def __aiter__(self) -> AsyncIterator[Message]:
        return self

    async def __anext__(self) -> Message:
        return await self.next()
