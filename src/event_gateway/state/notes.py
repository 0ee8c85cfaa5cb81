"""Notes of a process that Redis gets once a second: counts, each with the latest time or error."""

import asyncio
from typing import Any, Generic, Protocol, Self, TypeVar

import structlog
from redis.asyncio import Redis

from event_gateway.beats import beat
from event_gateway.state.connection import StateError

log = structlog.get_logger(__name__)

INTERVAL = 1.0  # seconds between two writes


class Note(Protocol):
    """What is to be written to one key."""

    def add(self, later: Self, /) -> None:
        """Becomes this note and a later one of the same key."""

    def write(self, pipe: Any, key: str) -> None:
        """Puts the commands that write it into a pipeline of the client."""


N = TypeVar("N", bound=Note)


class Notes(Generic[N]):
    """Gathers notes by their keys, and writes them. While Redis is away they are kept. A process
    that ends loses those that it has not written, and a write whose answer is lost is repeated: for
    counts on which nothing depends. A note whose key holds something else is dropped.

    ``subject``: of the log line; ``most``: keys, beyond which notes of other keys are dropped.
    """

    def __init__(self, client: Redis, *, subject: str, most: int) -> None:
        self._client = client
        self._subject = subject
        self._most = most
        self._notes: dict[str, N] = {}
        self._noted = asyncio.Event()  # set while there are notes

    def add(self, key: str, note: N) -> None:
        """Adds a note to those of its key."""
        known = self._notes.get(key)
        if known is not None:
            known.add(note)
        elif len(self._notes) < self._most:
            self._notes[key] = note
            self._noted.set()

    async def run(self) -> None:
        """Writes the notes. It never returns."""
        while True:
            await self._noted.wait()
            await beat(INTERVAL)
            self._noted.clear()
            taken, self._notes = self._notes, {}
            try:
                # Redis takes all commands, or none: then they are written again. One that does
                # not fit the type of its key is refused alone; again, it would be refused again,
                # and the others would count twice.
                async with self._client.pipeline(transaction=True) as pipe:
                    for key, note in taken.items():
                        note.write(pipe, key)
                    answers = await pipe.execute(raise_on_error=False)
                if refused := [each for each in answers if isinstance(each, Exception)]:
                    log.warning("Redis has refused notes, which are dropped",
                                subject=self._subject, error=str(refused[0]))  # fmt: skip
            except StateError as error:
                log.debug("notes are not written yet", subject=self._subject, error=str(error))
                since, self._notes = self._notes, taken
                for key, note in since.items():
                    self.add(key, note)
                self._noted.set()
