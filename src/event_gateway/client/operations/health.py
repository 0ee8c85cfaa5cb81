"""The operations of the tag `health`.

Generated from the OpenAPI document by ``make docs``; do not change it by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from event_gateway.client.calls import AsyncCaller, Caller

if TYPE_CHECKING:
    from event_gateway.client.models.health import Alive, GatewayHealth, OverviewAnswer, Readiness


class HealthOperations(Caller):
    """The operations of the tag `health`."""

    def show_health(self) -> GatewayHealth:
        """The health of the gateway over all its processes, for people."""
        return cast("GatewayHealth", self._call("GET", "/v1/health"))

    def show_liveness(self) -> Alive:
        """Answers as long as the process runs."""
        return cast("Alive", self._call("GET", "/healthz"))

    def show_metrics(self) -> str:
        """The metrics of all processes of this gateway's `serve`, for Prometheus: in
        OpenMetrics, with exemplars, where `Accept` prefers `application/openmetrics-text`."""
        return cast("str", self._call("GET", "/metrics"))

    def show_overview(self) -> OverviewAnswer:
        """What the gateway has registered, and its waiting deliveries, over all processes."""
        return cast("OverviewAnswer", self._call("GET", "/v1/overview"))

    def show_readiness(self) -> Readiness:
        """Whether the process can do its work: 503 only without NATS or while draining."""
        return cast("Readiness", self._call("GET", "/readyz"))


class AsyncHealthOperations(AsyncCaller):
    """The operations of the tag `health` as coroutines."""

    async def show_health(self) -> GatewayHealth:
        """The health of the gateway over all its processes, for people."""
        return cast("GatewayHealth", await self._call("GET", "/v1/health"))

    async def show_liveness(self) -> Alive:
        """Answers as long as the process runs."""
        return cast("Alive", await self._call("GET", "/healthz"))

    async def show_metrics(self) -> str:
        """The metrics of all processes of this gateway's `serve`, for Prometheus: in
        OpenMetrics, with exemplars, where `Accept` prefers `application/openmetrics-text`."""
        return cast("str", await self._call("GET", "/metrics"))

    async def show_overview(self) -> OverviewAnswer:
        """What the gateway has registered, and its waiting deliveries, over all processes."""
        return cast("OverviewAnswer", await self._call("GET", "/v1/overview"))

    async def show_readiness(self) -> Readiness:
        """Whether the process can do its work: 503 only without NATS or while draining."""
        return cast("Readiness", await self._call("GET", "/readyz"))
