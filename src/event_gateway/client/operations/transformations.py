"""The operations of the tag `transformations`.

Generated from the OpenAPI document by ``make docs``; do not change it by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from event_gateway.client.calls import AsyncCaller, Caller

if TYPE_CHECKING:
    from event_gateway.client.models.shared import PreviewedRequest
    from event_gateway.client.models.transformations import PreviewTransformationBody


class TransformationsOperations(Caller):
    """The operations of the tag `transformations`."""

    def preview_transformation(self, body: PreviewTransformationBody) -> PreviewedRequest:
        """The request that the gateway would send for an event. Nothing is sent or stored."""
        return cast("PreviewedRequest", self._call("POST", "/v1/transformations/preview", body))


class AsyncTransformationsOperations(AsyncCaller):
    """The operations of the tag `transformations` as coroutines."""

    async def preview_transformation(self, body: PreviewTransformationBody) -> PreviewedRequest:
        """The request that the gateway would send for an event. Nothing is sent or stored."""
        return cast(
            "PreviewedRequest", await self._call("POST", "/v1/transformations/preview", body)
        )
