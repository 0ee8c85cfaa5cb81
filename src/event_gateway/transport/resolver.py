"""Looking up receivers' names: off the event loop, each name once at a time.

In threads of their own rather than the event loop's few: a name whose servers do not answer holds
its thread for many seconds, and must neither hold up other names nor the end of the process.
"""

import asyncio
import contextlib
import socket
import threading
from collections import deque
from collections.abc import Callable

MAX_LOOKUPS = 64  # at a time; more wait
KEEP = 5.0  # seconds for which an answer holds
KEEP_FAILURE = 1.0
MAX_KEPT = 4096  # names

Look = Callable[[str], list[str]]


def look_up(host: str) -> list[str]:
    """A name's addresses, blocking. Raises socket.gaierror."""
    entries = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in entries))


class Resolver:
    """Addresses by name; ``look`` asks the system."""

    def __init__(self, look: Look = look_up) -> None:
        self._look = look
        self._answers: dict[str, asyncio.Future[list[str]]] = {}
        self._good: dict[str, list[str]] = {}  # what each name had last
        self._waiting: deque[tuple[str, asyncio.Future[list[str]]]] = deque()
        self._running = 0

    async def addresses(self, host: str) -> list[str]:
        """Raises OSError (socket.gaierror) or UnicodeError where the name has none.

        While a known name is looked up anew its former addresses hold, however long that takes.
        """
        answer = self._answers.get(host)
        if answer is None:
            loop = asyncio.get_running_loop()
            answer = self._answers[host] = loop.create_future()
            while len(self._answers) > MAX_KEPT:
                del self._answers[next(iter(self._answers))]
            self._waiting.append((host, answer))
            self._next()
        if not answer.done() and host in self._good:
            return self._good[host]
        return await asyncio.shield(answer)

    def _next(self) -> None:
        if self._waiting and self._running < MAX_LOOKUPS:
            self._running += 1
            host, answer = self._waiting.popleft()
            loop = asyncio.get_running_loop()
            thread = threading.Thread(
                target=self._ask, args=(loop, host, answer), name=f"look-up {host}", daemon=True
            )
            try:
                thread.start()
            except RuntimeError as error:  # the system lets this process have no more
                loop.call_soon(self._answered, host, answer, OSError(str(error)))

    def _ask(
        self, loop: asyncio.AbstractEventLoop, host: str, answer: "asyncio.Future[list[str]]"
    ) -> None:
        result: list[str] | Exception
        try:
            result = self._look(host)
        except Exception as error:
            result = error
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(self._answered, host, answer, result)

    def _answered(
        self, host: str, answer: "asyncio.Future[list[str]]", result: list[str] | Exception
    ) -> None:
        self._running -= 1
        self._good.pop(host, None)
        if isinstance(result, Exception):
            answer.set_exception(result)
            answer.exception()  # whoever asked may have left
        else:
            answer.set_result(result)
            self._good[host] = result
            if len(self._good) > MAX_KEPT:
                del self._good[next(iter(self._good))]
        keep = KEEP_FAILURE if isinstance(result, Exception) else KEEP
        asyncio.get_running_loop().call_later(keep, self._forget, host, answer)
        self._next()

    def _forget(self, host: str, answer: "asyncio.Future[list[str]]") -> None:
        if self._answers.get(host) is answer:
            del self._answers[host]
