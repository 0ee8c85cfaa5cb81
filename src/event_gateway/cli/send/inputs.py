"""Reads events from files and the standard input: one event, an array, or a line of JSON each."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import msgspec

from event_gateway.cli.client.output import fail
from event_gateway.cli.send.event_text import Event, NotAnEvent, events_in_document

CHUNK = 256 * 1024  # bytes
AHEAD = 8  # chunks that are read before they are needed
MAX_DOCUMENT = 256 * 1024 * 1024  # bytes of a JSON array
MAX_LINE = 64 * 1024 * 1024  # bytes, the largest message that NATS can be told to take


class Input:
    """One file, or the standard input. ``read``: bytes so far; ``size``: of the file, if known."""

    def __init__(self, file: Path) -> None:
        """Ends the command if the file cannot be read."""
        self.name = "standard input" if str(file) == "-" else str(file)
        try:
            self._descriptor = 0 if str(file) == "-" else os.open(file, os.O_RDONLY)
            status = os.fstat(self._descriptor)
        except OSError as error:
            fail(f"{file}: {error.strerror}", 2)
        self.size = status.st_size if status.st_size and str(file) != "-" else None
        self.read = 0
        self._slots = threading.Semaphore(AHEAD)

    async def events(self) -> AsyncIterator[list[Event]]:
        """The events as they can be read, with their line (or their place in an array). Raises
        NotAnEvent if the input is neither."""
        rest, number = bytearray(), 0
        lines: bool | None = None  # whether each line is an event; None: not known yet
        async for chunk in self._chunks():
            self.read += len(chunk)
            searched = len(rest)
            rest += chunk
            if lines is None:
                blank = len(rest) - len(rest.lstrip()) if not searched else 0
                number += rest.count(b"\n", 0, blank)
                del rest[:blank]
                lines = _are_lines(rest, searched)
                searched = 0
            if lines and (end := rest.rfind(b"\n", searched)) >= 0:
                whole = bytes(rest[:end]).split(b"\n")
                del rest[: end + 1]
                yield list(_numbered(whole, number))
                number += len(whole)
            _check_size(rest, lines, number + 1)
        if lines:
            yield list(_numbered([bytes(rest)], number))
        elif rest.strip():
            yield list(enumerate(events_in_document(bytes(rest)), 1))

    async def _chunks(self) -> AsyncIterator[bytes]:
        """What a thread reads: a pipe that is silent must not stop the command from ending."""
        loop = asyncio.get_running_loop()
        chunks: asyncio.Queue[bytes | OSError] = asyncio.Queue()

        def read() -> None:
            while True:
                self._slots.acquire()
                try:
                    chunk: bytes | OSError = os.read(self._descriptor, CHUNK)
                except OSError as error:
                    chunk = error
                try:
                    loop.call_soon_threadsafe(chunks.put_nowait, chunk)
                except RuntimeError:  # the command has ended
                    return
                if not chunk or isinstance(chunk, OSError):
                    return

        threading.Thread(target=read, daemon=True).start()
        while True:
            chunk = await chunks.get()
            self._slots.release()
            if isinstance(chunk, OSError):
                fail(f"{self.name}: {chunk.strerror}")
            if not chunk:
                return
            yield chunk


def _are_lines(text: bytearray, searched: int) -> bool | None:
    """Whether the first line is JSON by itself, and no array: then each line is an event. None
    while the line is not complete; up to ``searched`` it has no end."""
    if text[:1] == b"[":
        return False
    end = text.find(b"\n", searched)
    if end < 0:
        return None
    try:
        msgspec.json.decode(text[:end])
        return True
    except msgspec.DecodeError:
        return False


def _check_size(rest: bytearray, lines: bool | None, number: int) -> None:
    """Raises NotAnEvent where the input goes on without end. ``number``: of the present line."""
    if lines and len(rest) > MAX_LINE:
        raise NotAnEvent(f"line {number} is larger than {MAX_LINE} bytes, which no gateway takes")
    if not lines and len(rest) > MAX_DOCUMENT:
        raise NotAnEvent(f"is larger than {MAX_DOCUMENT} bytes and no JSON lines")


def _numbered(lines: Iterable[bytes], before: int) -> Iterable[Event]:
    for number, line in enumerate(lines, before + 1):
        if line.strip():
            yield number, line
