"""The operations of the tag `deliveries`.

Generated from the OpenAPI document by ``make docs``; do not change it by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from event_gateway.client.calls import AsyncCaller, Caller
from event_gateway.client.requests import in_path

if TYPE_CHECKING:
    from event_gateway.client.models.deliveries import (
        BulkDeliveries,
        ChangeDeliveriesBody,
        DeliveryAnswer,
        DeliveryStatus,
        ListedDelivery,
    )
    from event_gateway.client.models.shared import Page


class DeliveriesOperations(Caller):
    """The operations of the tag `deliveries`."""

    def cancel_delivery(
        self, webhook_id: str, event_id: str, *, source: str | None = None
    ) -> DeliveryAnswer:
        """Cancels a pending delivery. 409 if an attempt is in progress or the delivery has
        ended."""
        return cast(
            "DeliveryAnswer",
            self._call(
                "POST",
                f"/v1/deliveries/{in_path(webhook_id)}/{in_path(event_id)}/cancel",
                query={"source": source},
            ),
        )

    def change_deliveries(
        self, body: ChangeDeliveriesBody, *, idempotency_key: str | None = None
    ) -> BulkDeliveries:
        """Retries or cancels deliveries of a webhook, by `status` (`pending` and `retrying` if
        none is given), `since` and `until`, as the list of deliveries has them."""
        return cast(
            "BulkDeliveries",
            self._call(
                "POST", "/v1/deliveries/bulk", body, headers={"idempotency-key": idempotency_key}
            ),
        )

    def list_all_deliveries(
        self,
        *,
        webhook: list[str] | None = None,
        type: str | None = None,
        status: DeliveryStatus | None = None,
        since: str | None = None,
        until: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[ListedDelivery]:
        """The deliveries to all webhooks, or some: of each the last 1,000 that changed,
        merged, the latest first; after them the others that wait, in the order in which
        they are attempted."""
        return cast(
            "Page[ListedDelivery]",
            self._call(
                "GET",
                "/v1/deliveries",
                query={
                    "webhook": webhook,
                    "type": type,
                    "status": status,
                    "since": since,
                    "until": until,
                    "limit": limit,
                    "cursor": cursor,
                },
            ),
        )

    def list_deliveries(
        self,
        webhook_id: str,
        *,
        status: DeliveryStatus | None = None,
        since: str | None = None,
        until: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[ListedDelivery]:
        """The last 1,000 deliveries of a webhook that changed, the latest first; after them
        the others that wait, in the order in which they are attempted."""
        return cast(
            "Page[ListedDelivery]",
            self._call(
                "GET",
                f"/v1/webhooks/{in_path(webhook_id)}/deliveries",
                query={
                    "status": status,
                    "since": since,
                    "until": until,
                    "limit": limit,
                    "cursor": cursor,
                },
            ),
        )

    def retry_delivery(
        self,
        webhook_id: str,
        event_id: str,
        *,
        source: str | None = None,
        idempotency_key: str | None = None,
    ) -> DeliveryAnswer:
        """Attempts a pending delivery at once; starts a new run of one that has ended."""
        return cast(
            "DeliveryAnswer",
            self._call(
                "POST",
                f"/v1/deliveries/{in_path(webhook_id)}/{in_path(event_id)}/retry",
                query={"source": source},
                headers={"idempotency-key": idempotency_key},
            ),
        )

    def show_delivery(
        self, webhook_id: str, event_id: str, *, source: str | None = None
    ) -> DeliveryAnswer:
        """A delivery's status, its attempts and the time of the next one."""
        return cast(
            "DeliveryAnswer",
            self._call(
                "GET",
                f"/v1/deliveries/{in_path(webhook_id)}/{in_path(event_id)}",
                query={"source": source},
            ),
        )


class AsyncDeliveriesOperations(AsyncCaller):
    """The operations of the tag `deliveries` as coroutines."""

    async def cancel_delivery(
        self, webhook_id: str, event_id: str, *, source: str | None = None
    ) -> DeliveryAnswer:
        """Cancels a pending delivery. 409 if an attempt is in progress or the delivery has
        ended."""
        return cast(
            "DeliveryAnswer",
            await self._call(
                "POST",
                f"/v1/deliveries/{in_path(webhook_id)}/{in_path(event_id)}/cancel",
                query={"source": source},
            ),
        )

    async def change_deliveries(
        self, body: ChangeDeliveriesBody, *, idempotency_key: str | None = None
    ) -> BulkDeliveries:
        """Retries or cancels deliveries of a webhook, by `status` (`pending` and `retrying` if
        none is given), `since` and `until`, as the list of deliveries has them."""
        return cast(
            "BulkDeliveries",
            await self._call(
                "POST", "/v1/deliveries/bulk", body, headers={"idempotency-key": idempotency_key}
            ),
        )

    async def list_all_deliveries(
        self,
        *,
        webhook: list[str] | None = None,
        type: str | None = None,
        status: DeliveryStatus | None = None,
        since: str | None = None,
        until: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[ListedDelivery]:
        """The deliveries to all webhooks, or some: of each the last 1,000 that changed,
        merged, the latest first; after them the others that wait, in the order in which
        they are attempted."""
        return cast(
            "Page[ListedDelivery]",
            await self._call(
                "GET",
                "/v1/deliveries",
                query={
                    "webhook": webhook,
                    "type": type,
                    "status": status,
                    "since": since,
                    "until": until,
                    "limit": limit,
                    "cursor": cursor,
                },
            ),
        )

    async def list_deliveries(
        self,
        webhook_id: str,
        *,
        status: DeliveryStatus | None = None,
        since: str | None = None,
        until: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[ListedDelivery]:
        """The last 1,000 deliveries of a webhook that changed, the latest first; after them
        the others that wait, in the order in which they are attempted."""
        return cast(
            "Page[ListedDelivery]",
            await self._call(
                "GET",
                f"/v1/webhooks/{in_path(webhook_id)}/deliveries",
                query={
                    "status": status,
                    "since": since,
                    "until": until,
                    "limit": limit,
                    "cursor": cursor,
                },
            ),
        )

    async def retry_delivery(
        self,
        webhook_id: str,
        event_id: str,
        *,
        source: str | None = None,
        idempotency_key: str | None = None,
    ) -> DeliveryAnswer:
        """Attempts a pending delivery at once; starts a new run of one that has ended."""
        return cast(
            "DeliveryAnswer",
            await self._call(
                "POST",
                f"/v1/deliveries/{in_path(webhook_id)}/{in_path(event_id)}/retry",
                query={"source": source},
                headers={"idempotency-key": idempotency_key},
            ),
        )

    async def show_delivery(
        self, webhook_id: str, event_id: str, *, source: str | None = None
    ) -> DeliveryAnswer:
        """A delivery's status, its attempts and the time of the next one."""
        return cast(
            "DeliveryAnswer",
            await self._call(
                "GET",
                f"/v1/deliveries/{in_path(webhook_id)}/{in_path(event_id)}",
                query={"source": source},
            ),
        )
