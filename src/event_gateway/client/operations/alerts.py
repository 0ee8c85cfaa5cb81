"""The operations of the tag `alerts`.

Generated from the OpenAPI document by ``make docs``; do not change it by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

from event_gateway.client.calls import AsyncCaller, Caller
from event_gateway.client.requests import in_path

if TYPE_CHECKING:
    from event_gateway.client.models.alerts import (
        AlertAnswer,
        CreateSilenceBody,
        EpisodeAnswer,
        SilenceAnswer,
    )
    from event_gateway.client.models.shared import Page


class AlertsOperations(Caller):
    """The operations of the tag `alerts`."""

    def create_silence(
        self, body: CreateSilenceBody, *, idempotency_key: str | None = None
    ) -> SilenceAnswer:
        """Silences alerts for a while: they are listed, and not announced nor part of the
        health."""
        return cast(
            "SilenceAnswer",
            self._call(
                "POST", "/v1/alerts/silences", body, headers={"idempotency-key": idempotency_key}
            ),
        )

    def delete_silence(self, silence_id: str) -> None:
        """Ends a silence. Alerts that fire still are announced now."""
        self._call("DELETE", f"/v1/alerts/silences/{in_path(silence_id)}")

    def list_alerts(
        self,
        *,
        state: Literal["pending", "firing", "resolved"] | None = None,
        webhook: str | None = None,
        name: Literal["high_error_rate", "delivery_lag", "webhook_down", "circuit_breaker_open"]
        | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[AlertAnswer]:
        """The alerts: those that fire first, then those that are pending, then those that were
        resolved within the last 7 days; of each the newest first."""
        return cast(
            "Page[AlertAnswer]",
            self._call(
                "GET",
                "/v1/alerts",
                query={
                    "state": state,
                    "webhook": webhook,
                    "name": name,
                    "limit": limit,
                    "cursor": cursor,
                },
            ),
        )

    def list_episodes(
        self,
        *,
        webhook: str | None = None,
        name: Literal["high_error_rate", "delivery_lag", "webhook_down", "circuit_breaker_open"]
        | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[EpisodeAnswer]:
        """Each time that an alert has fired within the last 7 days, at most the last 21 of
        each alert; the latest first."""
        return cast(
            "Page[EpisodeAnswer]",
            self._call(
                "GET",
                "/v1/alerts/history",
                query={"webhook": webhook, "name": name, "limit": limit, "cursor": cursor},
            ),
        )

    def list_silences(
        self, *, limit: int | None = None, cursor: str | None = None
    ) -> Page[SilenceAnswer]:
        """The silences that have not ended, the newest first."""
        return cast(
            "Page[SilenceAnswer]",
            self._call("GET", "/v1/alerts/silences", query={"limit": limit, "cursor": cursor}),
        )

    def show_silence(self, silence_id: str) -> SilenceAnswer:
        """A silence that has not ended."""
        return cast(
            "SilenceAnswer", self._call("GET", f"/v1/alerts/silences/{in_path(silence_id)}")
        )


class AsyncAlertsOperations(AsyncCaller):
    """The operations of the tag `alerts` as coroutines."""

    async def create_silence(
        self, body: CreateSilenceBody, *, idempotency_key: str | None = None
    ) -> SilenceAnswer:
        """Silences alerts for a while: they are listed, and not announced nor part of the
        health."""
        return cast(
            "SilenceAnswer",
            await self._call(
                "POST", "/v1/alerts/silences", body, headers={"idempotency-key": idempotency_key}
            ),
        )

    async def delete_silence(self, silence_id: str) -> None:
        """Ends a silence. Alerts that fire still are announced now."""
        await self._call("DELETE", f"/v1/alerts/silences/{in_path(silence_id)}")

    async def list_alerts(
        self,
        *,
        state: Literal["pending", "firing", "resolved"] | None = None,
        webhook: str | None = None,
        name: Literal["high_error_rate", "delivery_lag", "webhook_down", "circuit_breaker_open"]
        | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[AlertAnswer]:
        """The alerts: those that fire first, then those that are pending, then those that were
        resolved within the last 7 days; of each the newest first."""
        return cast(
            "Page[AlertAnswer]",
            await self._call(
                "GET",
                "/v1/alerts",
                query={
                    "state": state,
                    "webhook": webhook,
                    "name": name,
                    "limit": limit,
                    "cursor": cursor,
                },
            ),
        )

    async def list_episodes(
        self,
        *,
        webhook: str | None = None,
        name: Literal["high_error_rate", "delivery_lag", "webhook_down", "circuit_breaker_open"]
        | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[EpisodeAnswer]:
        """Each time that an alert has fired within the last 7 days, at most the last 21 of
        each alert; the latest first."""
        return cast(
            "Page[EpisodeAnswer]",
            await self._call(
                "GET",
                "/v1/alerts/history",
                query={"webhook": webhook, "name": name, "limit": limit, "cursor": cursor},
            ),
        )

    async def list_silences(
        self, *, limit: int | None = None, cursor: str | None = None
    ) -> Page[SilenceAnswer]:
        """The silences that have not ended, the newest first."""
        return cast(
            "Page[SilenceAnswer]",
            await self._call(
                "GET", "/v1/alerts/silences", query={"limit": limit, "cursor": cursor}
            ),
        )

    async def show_silence(self, silence_id: str) -> SilenceAnswer:
        """A silence that has not ended."""
        return cast(
            "SilenceAnswer", await self._call("GET", f"/v1/alerts/silences/{in_path(silence_id)}")
        )
