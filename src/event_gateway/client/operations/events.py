"""The operations of the tag `events`.

Generated from the OpenAPI document by ``make docs``; do not change it by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from event_gateway.client.calls import AsyncCaller, Caller
from event_gateway.client.requests import in_path

if TYPE_CHECKING:
    from event_gateway.client.models.events import (
        EventAnswer,
        ListedEvent,
        ResendEventBody,
        ResentEvent,
    )
    from event_gateway.client.models.shared import Page


class EventsOperations(Caller):
    """The operations of the tag `events`."""

    def list_events(
        self,
        *,
        type: str | None = None,
        source: str | None = None,
        subject: str | None = None,
        since: str | None = None,
        until: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[ListedEvent]:
        """The events in the log, the newest first. New events do not move the pages that
        follow."""
        return cast(
            "Page[ListedEvent]",
            self._call(
                "GET",
                "/v1/events",
                query={
                    "type": type,
                    "source": source,
                    "subject": subject,
                    "since": since,
                    "until": until,
                    "limit": limit,
                    "cursor": cursor,
                },
            ),
        )

    def resend_event(
        self, event_id: str, body: ResendEventBody, *, idempotency_key: str | None = None
    ) -> ResentEvent:
        """Sends an event once more: a new run for each of `webhooks`, by default for all that
        it matches, also those that were registered later and had no delivery of it."""
        return cast(
            "ResentEvent",
            self._call(
                "POST",
                f"/v1/events/{in_path(event_id)}/resend",
                body,
                headers={"idempotency-key": idempotency_key},
            ),
        )

    def show_event(
        self,
        event_id: str,
        *,
        source: str | None = None,
        type: str | None = None,
        webhook: list[str] | None = None,
        body: bool | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> EventAnswer:
        """An event: as it came in, where in the log, whether it is routed; each webhook with
        its delivery and why that waits, or with the first condition that does not hold; the
        named streams that have it, its causes and effects, and in `unknown` what cannot be
        said."""
        return cast(
            "EventAnswer",
            self._call(
                "GET",
                f"/v1/events/{in_path(event_id)}",
                query={
                    "source": source,
                    "type": type,
                    "webhook": webhook,
                    "body": body,
                    "limit": limit,
                    "cursor": cursor,
                },
            ),
        )


class AsyncEventsOperations(AsyncCaller):
    """The operations of the tag `events` as coroutines."""

    async def list_events(
        self,
        *,
        type: str | None = None,
        source: str | None = None,
        subject: str | None = None,
        since: str | None = None,
        until: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[ListedEvent]:
        """The events in the log, the newest first. New events do not move the pages that
        follow."""
        return cast(
            "Page[ListedEvent]",
            await self._call(
                "GET",
                "/v1/events",
                query={
                    "type": type,
                    "source": source,
                    "subject": subject,
                    "since": since,
                    "until": until,
                    "limit": limit,
                    "cursor": cursor,
                },
            ),
        )

    async def resend_event(
        self, event_id: str, body: ResendEventBody, *, idempotency_key: str | None = None
    ) -> ResentEvent:
        """Sends an event once more: a new run for each of `webhooks`, by default for all that
        it matches, also those that were registered later and had no delivery of it."""
        return cast(
            "ResentEvent",
            await self._call(
                "POST",
                f"/v1/events/{in_path(event_id)}/resend",
                body,
                headers={"idempotency-key": idempotency_key},
            ),
        )

    async def show_event(
        self,
        event_id: str,
        *,
        source: str | None = None,
        type: str | None = None,
        webhook: list[str] | None = None,
        body: bool | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> EventAnswer:
        """An event: as it came in, where in the log, whether it is routed; each webhook with
        its delivery and why that waits, or with the first condition that does not hold; the
        named streams that have it, its causes and effects, and in `unknown` what cannot be
        said."""
        return cast(
            "EventAnswer",
            await self._call(
                "GET",
                f"/v1/events/{in_path(event_id)}",
                query={
                    "source": source,
                    "type": type,
                    "webhook": webhook,
                    "body": body,
                    "limit": limit,
                    "cursor": cursor,
                },
            ),
        )
