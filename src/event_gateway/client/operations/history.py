"""The operations of the tag `history`.

Generated from the OpenAPI document by ``make docs``; do not change it by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from event_gateway.client.calls import AsyncCaller, Caller
from event_gateway.client.requests import in_path

if TYPE_CHECKING:
    from event_gateway.client.models.history import GatewayHistory, Sparklines, WebhookHistory


class HistoryOperations(Caller):
    """The operations of the tag `history`."""

    def list_webhook_histories(
        self,
        *,
        id: list[str] | None = None,
        since: str | None = None,
        until: str | None = None,
        step: str | None = None,
    ) -> Sparklines:
        """Small charts of up to 100 webhooks; of a day in 48 steps, if the caller does not say
        more."""
        return cast(
            "Sparklines",
            self._call(
                "GET",
                "/v1/history/webhooks",
                query={"id": id, "since": since, "until": until, "step": step},
            ),
        )

    def show_history(
        self, *, since: str | None = None, until: str | None = None, step: str | None = None
    ) -> GatewayHistory:
        """What the gateway counted, in steps of time, over all processes."""
        return cast(
            "GatewayHistory",
            self._call("GET", "/v1/history", query={"since": since, "until": until, "step": step}),
        )

    def show_webhook_history(
        self,
        webhook_id: str,
        *,
        since: str | None = None,
        until: str | None = None,
        step: str | None = None,
    ) -> WebhookHistory:
        """What a webhook counted in the last 24 hours, in steps of 5 minutes or more."""
        return cast(
            "WebhookHistory",
            self._call(
                "GET",
                f"/v1/webhooks/{in_path(webhook_id)}/history",
                query={"since": since, "until": until, "step": step},
            ),
        )


class AsyncHistoryOperations(AsyncCaller):
    """The operations of the tag `history` as coroutines."""

    async def list_webhook_histories(
        self,
        *,
        id: list[str] | None = None,
        since: str | None = None,
        until: str | None = None,
        step: str | None = None,
    ) -> Sparklines:
        """Small charts of up to 100 webhooks; of a day in 48 steps, if the caller does not say
        more."""
        return cast(
            "Sparklines",
            await self._call(
                "GET",
                "/v1/history/webhooks",
                query={"id": id, "since": since, "until": until, "step": step},
            ),
        )

    async def show_history(
        self, *, since: str | None = None, until: str | None = None, step: str | None = None
    ) -> GatewayHistory:
        """What the gateway counted, in steps of time, over all processes."""
        return cast(
            "GatewayHistory",
            await self._call(
                "GET", "/v1/history", query={"since": since, "until": until, "step": step}
            ),
        )

    async def show_webhook_history(
        self,
        webhook_id: str,
        *,
        since: str | None = None,
        until: str | None = None,
        step: str | None = None,
    ) -> WebhookHistory:
        """What a webhook counted in the last 24 hours, in steps of 5 minutes or more."""
        return cast(
            "WebhookHistory",
            await self._call(
                "GET",
                f"/v1/webhooks/{in_path(webhook_id)}/history",
                query={"since": since, "until": until, "step": step},
            ),
        )
