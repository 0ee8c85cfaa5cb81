"""The operations of the tag `rejected`.

Generated from the OpenAPI document by ``make docs``; do not change it by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from event_gateway.client.calls import AsyncCaller, Caller
from event_gateway.client.requests import in_path

if TYPE_CHECKING:
    from event_gateway.client.models.rejected import RejectedAnswer, Taken
    from event_gateway.client.models.shared import Page


class RejectedOperations(Caller):
    """The operations of the tag `rejected`."""

    def list_rejected(
        self, *, limit: int | None = None, cursor: str | None = None, search: str | None = None
    ) -> Page[RejectedAnswer]:
        """Rejected input, the newest first, with its original bytes."""
        return cast(
            "Page[RejectedAnswer]",
            self._call(
                "GET", "/v1/rejected", query={"limit": limit, "cursor": cursor, "search": search}
            ),
        )

    def retry_rejected(self, seq: int) -> Taken:
        """Takes the input in again. If it is still not a valid event: 422 with the reason, and
        the input stays here."""
        return cast("Taken", self._call("POST", f"/v1/rejected/{in_path(seq)}/retry"))

    def show_rejected(self, seq: int) -> RejectedAnswer:
        """Rejected input by its sequence."""
        return cast("RejectedAnswer", self._call("GET", f"/v1/rejected/{in_path(seq)}"))


class AsyncRejectedOperations(AsyncCaller):
    """The operations of the tag `rejected` as coroutines."""

    async def list_rejected(
        self, *, limit: int | None = None, cursor: str | None = None, search: str | None = None
    ) -> Page[RejectedAnswer]:
        """Rejected input, the newest first, with its original bytes."""
        return cast(
            "Page[RejectedAnswer]",
            await self._call(
                "GET", "/v1/rejected", query={"limit": limit, "cursor": cursor, "search": search}
            ),
        )

    async def retry_rejected(self, seq: int) -> Taken:
        """Takes the input in again. If it is still not a valid event: 422 with the reason, and
        the input stays here."""
        return cast("Taken", await self._call("POST", f"/v1/rejected/{in_path(seq)}/retry"))

    async def show_rejected(self, seq: int) -> RejectedAnswer:
        """Rejected input by its sequence."""
        return cast("RejectedAnswer", await self._call("GET", f"/v1/rejected/{in_path(seq)}"))
