"""One call whose answer goes to all callers that ask for the same thing at the same time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class SharedCall(Generic[T]):
    """Calls ``ask`` for the first caller; those who call meanwhile get the same answer or error."""

    def __init__(self, ask: Callable[[], Awaitable[T]]) -> None:
        self._ask = ask
        # The call under way: its answer, its error, or None where its caller was cancelled.
        self._under_way: asyncio.Future[tuple[T] | Exception | None] | None = None

    async def __call__(self) -> T:
        """The answer. Raises what ``ask`` raises."""
        while self._under_way is not None:
            outcome = await asyncio.shield(self._under_way)
            if isinstance(outcome, Exception):
                raise outcome
            if outcome is not None:
                return outcome[0]
        under_way = self._under_way = asyncio.get_running_loop().create_future()
        outcome = None
        try:
            answer = await self._ask()
            outcome = (answer,)
            return answer
        except Exception as error:
            outcome = error
            raise
        finally:
            self._under_way = None
            under_way.set_result(outcome)
