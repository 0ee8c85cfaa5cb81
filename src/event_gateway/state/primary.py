"""Where the primary server is, if there are several: asked before each connection, and watched."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

import structlog
from redis.exceptions import ConnectionError as RedisConnectionError

from event_gateway.beats import beat

log = structlog.get_logger(__name__)

WATCH = 1.0  # seconds between two looks
GRACE = 0.1  # seconds for the answers that are missing when there are enough

Address = tuple[str, int]
_T = TypeVar("_T")


class NoPrimary(RedisConnectionError):
    """No server is known to take writes now; the text says why, and names no secret."""


async def ask_all(
    questions: Sequence[Coroutine[Any, Any, _T]], enough: Callable[[Sequence[_T]], bool]
) -> list[_T | None]:
    """The answers to questions that are asked at the same time, in their order: a server may hang,
    so once there are ``enough`` it waits GRACE seconds at most. None: no answer until then."""
    asked = [asyncio.ensure_future(question) for question in questions]
    pending = set(asked)
    try:
        while pending and not enough([task.result() for task in asked if task.done()]):
            _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        if pending:
            _, pending = await asyncio.wait(pending, timeout=GRACE)
    finally:
        for task in pending:
            task.cancel()
    return [task.result() if task.done() else None for task in asked]


class Primary:
    """The address of the server that takes the writes.

    ``ask`` finds out who that is, and raises :class:`NoPrimary`. Callers at the same time share
    one question. ``check_role``: a server that is named must be asked whether it is the primary.
    Another server became the primary at ``moved_at`` (monotonic clock); ``address`` is that of the
    present one.
    """

    def __init__(self, ask: Callable[[], Awaitable[Address]], *, check_role: bool) -> None:
        self._ask = ask
        self.check_role = check_role
        self._asking = asyncio.Lock()
        self._answers = 0
        self._fault: NoPrimary | None = None
        self.address: Address = ("", 0)
        self._followers: list[Callable[[], Awaitable[None]]] = []
        self.moved_at = -math.inf

    def add_follower(self, follow: Callable[[], Awaitable[None]]) -> None:
        """Calls ``follow`` each time that another server has become the primary, before there is a
        connection to it: a client leaves the former one. It must not raise."""
        self._followers.append(follow)

    async def find(self) -> Address:
        """Where the primary is now. Raises NoPrimary."""
        answers = self._answers
        async with self._asking:
            if answers == self._answers:
                await self._learn()
            if self._fault is not None:
                raise NoPrimary(str(self._fault))
            return self.address

    @property
    def url(self) -> str:
        """The URL of the latest primary; empty if none was found yet."""
        host, port = self.address
        return f"redis://{f'[{host}]' if ':' in host else host}:{port}" if host else ""

    async def watch(self) -> None:
        """Looks for ever whether the primary has moved: a former one may still answer."""
        while True:
            await beat(WATCH)
            try:
                await self.find()
            except NoPrimary as error:
                log.debug("no primary is known", error=str(error))

    async def _learn(self) -> None:
        former, self._fault = self.address, None
        try:
            self.address = await self._ask()
        except NoPrimary as error:
            self._fault = error
        self._answers += 1
        if former[0] and self.address != former:
            host, port = self.address
            log.warning("another Redis server is the primary now", address=f"{host}:{port}")
            self.moved_at = time.monotonic()  # before anybody has a connection to it
            for follow in self._followers:
                await follow()
