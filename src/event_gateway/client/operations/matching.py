"""The operations of the tag `matching`.

Generated from the OpenAPI document by ``make docs``; do not change it by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from event_gateway.client.calls import AsyncCaller, Caller

if TYPE_CHECKING:
    from event_gateway.client.models.matching import (
        EvaluateExpressionBody,
        EventToMatch,
        ExpressionValue,
        Matches,
    )
    from event_gateway.client.models.shared import CloudEvent


class MatchingOperations(Caller):
    """The operations of the tag `matching`."""

    def evaluate_expression(self, body: EvaluateExpressionBody) -> ExpressionValue:
        """An expression's value for an event: `{"dialect": "cesql", "expression": …, "event":
        {…}}`."""
        return cast("ExpressionValue", self._call("POST", "/v1/expressions/evaluate", body))

    def match_webhooks(
        self,
        body: EventToMatch | CloudEvent,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        webhook: list[str] | None = None,
    ) -> Matches:
        """Which webhooks an event would reach; for each other webhook the first condition that
        fails."""
        return cast(
            "Matches",
            self._call(
                "POST",
                "/v1/webhooks/match",
                body,
                query={"limit": limit, "cursor": cursor, "webhook": webhook},
            ),
        )


class AsyncMatchingOperations(AsyncCaller):
    """The operations of the tag `matching` as coroutines."""

    async def evaluate_expression(self, body: EvaluateExpressionBody) -> ExpressionValue:
        """An expression's value for an event: `{"dialect": "cesql", "expression": …, "event":
        {…}}`."""
        return cast("ExpressionValue", await self._call("POST", "/v1/expressions/evaluate", body))

    async def match_webhooks(
        self,
        body: EventToMatch | CloudEvent,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        webhook: list[str] | None = None,
    ) -> Matches:
        """Which webhooks an event would reach; for each other webhook the first condition that
        fails."""
        return cast(
            "Matches",
            await self._call(
                "POST",
                "/v1/webhooks/match",
                body,
                query={"limit": limit, "cursor": cursor, "webhook": webhook},
            ),
        )
