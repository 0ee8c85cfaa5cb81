"""The operations of the tag `repair`.

Generated from the OpenAPI document by ``make docs``; do not change it by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from event_gateway.client.calls import AsyncCaller, Caller

if TYPE_CHECKING:
    from event_gateway.client.models.repair import DecideRepairBody, Reread


class RepairOperations(Caller):
    """The operations of the tag `repair`."""

    def decide_repair(self, body: DecideRepairBody) -> Reread:
        """`{"reread": true}`: delivers all events in the log again, except those past their
        deadline. `{"reread": false}`: delivers none; deliveries that were pending are lost."""
        return cast("Reread", self._call("POST", "/v1/repair", body))


class AsyncRepairOperations(AsyncCaller):
    """The operations of the tag `repair` as coroutines."""

    async def decide_repair(self, body: DecideRepairBody) -> Reread:
        """`{"reread": true}`: delivers all events in the log again, except those past their
        deadline. `{"reread": false}`: delivers none; deliveries that were pending are lost."""
        return cast("Reread", await self._call("POST", "/v1/repair", body))
