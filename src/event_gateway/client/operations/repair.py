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

    def confirm_loss(self) -> Reread:
        """Confirms that somebody knows that NATS has lost the log: ends the reason `log_lost`
        for which the health is degraded, and changes nothing else."""
        return cast("Reread", self._call("POST", "/v1/repair/loss"))

    def decide_repair(self, body: DecideRepairBody) -> Reread:
        """`{"reread": true}`: delivers all events in the log again, except those past their
        deadline. `{"reread": false}`: delivers none; deliveries that were pending are lost."""
        return cast("Reread", self._call("POST", "/v1/repair", body))


class AsyncRepairOperations(AsyncCaller):
    """The operations of the tag `repair` as coroutines."""

    async def confirm_loss(self) -> Reread:
        """Confirms that somebody knows that NATS has lost the log: ends the reason `log_lost`
        for which the health is degraded, and changes nothing else."""
        return cast("Reread", await self._call("POST", "/v1/repair/loss"))

    async def decide_repair(self, body: DecideRepairBody) -> Reread:
        """`{"reread": true}`: delivers all events in the log again, except those past their
        deadline. `{"reread": false}`: delivers none; deliveries that were pending are lost."""
        return cast("Reread", await self._call("POST", "/v1/repair", body))
