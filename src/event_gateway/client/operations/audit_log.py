"""The operations of the tag `audit log`.

Generated from the OpenAPI document by ``make docs``; do not change it by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from event_gateway.client.calls import AsyncCaller, Caller

if TYPE_CHECKING:
    from event_gateway.client.models.audit_log import AuditedCall
    from event_gateway.client.models.shared import Page


class AuditLogOperations(Caller):
    """The operations of the tag `audit log`."""

    def list_audit_log(
        self,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        since: str | None = None,
        until: str | None = None,
        principal: str | None = None,
        operation: str | None = None,
        resource: str | None = None,
        outcome: str | None = None,
    ) -> Page[AuditedCall]:
        """Calls that changed something, or were refused, the newest first. A page may hold
        fewer than `limit` items and have a next page. `total` is null with filters, if
        there are several."""
        return cast(
            "Page[AuditedCall]",
            self._call(
                "GET",
                "/v1/audit-log",
                query={
                    "limit": limit,
                    "cursor": cursor,
                    "since": since,
                    "until": until,
                    "principal": principal,
                    "operation": operation,
                    "resource": resource,
                    "outcome": outcome,
                },
            ),
        )


class AsyncAuditLogOperations(AsyncCaller):
    """The operations of the tag `audit log` as coroutines."""

    async def list_audit_log(
        self,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        since: str | None = None,
        until: str | None = None,
        principal: str | None = None,
        operation: str | None = None,
        resource: str | None = None,
        outcome: str | None = None,
    ) -> Page[AuditedCall]:
        """Calls that changed something, or were refused, the newest first. A page may hold
        fewer than `limit` items and have a next page. `total` is null with filters, if
        there are several."""
        return cast(
            "Page[AuditedCall]",
            await self._call(
                "GET",
                "/v1/audit-log",
                query={
                    "limit": limit,
                    "cursor": cursor,
                    "since": since,
                    "until": until,
                    "principal": principal,
                    "operation": operation,
                    "resource": resource,
                    "outcome": outcome,
                },
            ),
        )
