"""What the generated operations need of a client: the method that sends a request."""

from collections.abc import Mapping
from typing import Any


class Caller:
    """Sends a request and returns the content of its answer."""

    def _call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str | None] | None = None,
    ) -> Any:
        raise NotImplementedError


class AsyncCaller:
    """The same as a coroutine."""

    async def _call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str | None] | None = None,
    ) -> Any:
        raise NotImplementedError
