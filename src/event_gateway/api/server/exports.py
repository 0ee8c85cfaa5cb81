"""Answers that are read for as long as their client likes: how many there are at a time."""

from collections import Counter
from collections.abc import AsyncIterator, Callable

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from event_gateway.api.server.problems import Problem
from event_gateway.core.access.principal import Principal

MAX_OF_A_CALLER = 3
MAX_AT_ONCE = 12  # in a process: each is some milliseconds of its one thread at a time
RETRY_AFTER = "10"  # seconds


class Exports:
    """The exports of a process that are under way, by their callers. ``limit_reached`` counts that
    a limit refused something, by its name."""

    def __init__(self, limit_reached: Callable[[str], None]) -> None:
        self._limit_reached = limit_reached
        self._under_way: Counter[str] = Counter()

    def begin(self, caller: Principal) -> Callable[[], None]:
        """Counts an export of a caller until what is returned is called. Raises Problem 429."""
        holder = caller.holder
        for many, most, whose in (
            (self._under_way[holder], MAX_OF_A_CALLER, "of this key"),
            (self._under_way.total(), MAX_AT_ONCE, "of this process"),
        ):
            if many >= most:
                self._limit_reached("exports")
                detail = f"{many} exports {whose} are under way: try again when one has ended"
                raise Problem(429, detail, {"Retry-After": RETRY_AFTER})
        self._under_way[holder] += 1

        def ended() -> None:
            self._under_way[holder] -= 1
            if not self._under_way[holder]:
                del self._under_way[holder]

        return ended


class Export(StreamingResponse):
    """An export. ``ended`` is called when the client has it, or it broke off."""

    def __init__(
        self, content: AsyncIterator[bytes], media_type: str, ended: Callable[[], None]
    ) -> None:
        super().__init__(content, media_type=media_type)
        self._ended = ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request (ASGI)."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._ended()
