"""Resolves the names of receivers outside the event loop, each name once at a time.

Each look-up has a thread of its own instead of one of the event loop's few threads: a name whose
servers do not answer occupies a thread for many seconds, and must delay neither other names nor the
end of the process.
"""

import asyncio
import contextlib
import socket
import threading
import time
from collections import deque
from collections.abc import Callable

MAX_LOOKUPS = 64  # threads at a time; further names wait
CACHED = 5.0  # seconds for which an answer is used
CACHED_FAILURE = 1.0  # seconds
MAX_STALE = 60.0  # seconds for which a former answer is used while the name is looked up again
MAX_CACHED = 4096  # names

LookUp = Callable[[str], list[str]]


def look_up(host: str) -> list[str]:
    """The addresses of a name, from the operating system. Blocks. Raises socket.gaierror."""
    entries = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in entries))


class Resolver:
    """Caches the addresses of names; ``look_up`` resolves a name and may block."""

    def __init__(self, look_up: LookUp = look_up, *, max_stale: float = MAX_STALE) -> None:
        self._look_up = look_up
        self._max_stale = max_stale
        self._answers: dict[str, asyncio.Future[list[str]]] = {}
        # The last addresses of each name, and when they were looked up (monotonic clock).
        self._last_good: dict[str, tuple[list[str], float]] = {}
        self._waiting: deque[tuple[str, asyncio.Future[list[str]]]] = deque()
        self._running = 0

    async def addresses(self, host: str) -> list[str]:
        """The addresses of a name. Raises OSError (socket.gaierror) or UnicodeError if it has none.

        While a known name is resolved again, its previous addresses are returned, up to
        :data:`MAX_STALE` seconds after they were looked up.
        """
        answer = self._answers.get(host)
        if answer is None:
            loop = asyncio.get_running_loop()
            answer = self._answers[host] = loop.create_future()
            while len(self._answers) > MAX_CACHED:
                del self._answers[next(iter(self._answers))]
            self._waiting.append((host, answer))
            self._start_next()
        if not answer.done() and (former := self._last_good.get(host)) is not None:
            addresses, looked_up_at = former
            if time.monotonic() - looked_up_at < self._max_stale:
                return addresses
        return await asyncio.shield(answer)

    def known(self, host: str) -> list[str] | None:
        """The addresses of a name if its last answer holds still; None otherwise."""
        answer = self._answers.get(host)
        if answer is None or not answer.done() or answer.exception() is not None:
            return None
        return answer.result()

    def _start_next(self) -> None:
        if self._waiting and self._running < MAX_LOOKUPS:
            self._running += 1
            host, answer = self._waiting.popleft()
            loop = asyncio.get_running_loop()
            thread = threading.Thread(
                target=self._resolve, args=(loop, host, answer), name=f"look-up {host}", daemon=True
            )
            try:
                thread.start()
            except RuntimeError as error:  # the process may start no more threads
                loop.call_soon(self._answered, host, answer, OSError(str(error)))

    def _resolve(
        self, loop: asyncio.AbstractEventLoop, host: str, answer: "asyncio.Future[list[str]]"
    ) -> None:
        result: list[str] | Exception
        try:
            result = self._look_up(host)
        except Exception as error:
            result = error
        with contextlib.suppress(RuntimeError):  # the event loop has been closed
            loop.call_soon_threadsafe(self._answered, host, answer, result)

    def _answered(
        self, host: str, answer: "asyncio.Future[list[str]]", result: list[str] | Exception
    ) -> None:
        self._running -= 1
        self._last_good.pop(host, None)
        if isinstance(result, Exception):
            answer.set_exception(result)
            answer.exception()  # marks it as retrieved: no caller may be waiting any more
        else:
            answer.set_result(result)
            self._last_good[host] = result, time.monotonic()
            if len(self._last_good) > MAX_CACHED:
                del self._last_good[next(iter(self._last_good))]
        cached = CACHED_FAILURE if isinstance(result, Exception) else CACHED
        asyncio.get_running_loop().call_later(cached, self._forget, host, answer)
        self._start_next()

    def _forget(self, host: str, answer: "asyncio.Future[list[str]]") -> None:
        if self._answers.get(host) is answer:
            del self._answers[host]
