"""The operations of the tag `dead letters`.

Generated from the OpenAPI document by ``make docs``; do not change it by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from event_gateway.client.calls import AsyncCaller, Caller
from event_gateway.client.requests import in_path

if TYPE_CHECKING:
    from event_gateway.client.models.dead_letters import (
        DeadLetterAnswer,
        ListedDeadLetter,
        Purged,
        ReplayDeadLettersBody,
    )
    from event_gateway.client.models.shared import Page, ReplayAnswer


class DeadLettersOperations(Caller):
    """The operations of the tag `dead letters`."""

    def delete_dead_letter(self, letter_id: int) -> None:
        """Deletes one dead letter. 409 while it is being replayed, as a delivery may still
        need it."""
        self._call("DELETE", f"/v1/dead-letters/{in_path(letter_id)}")

    def list_dead_letters(
        self,
        *,
        webhook: str | None = None,
        type: str | None = None,
        reason: str | None = None,
        since: str | None = None,
        until: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[ListedDeadLetter]:
        """Dead letters, the newest first. A page may hold fewer than `limit` items and have a
        next page."""
        return cast(
            "Page[ListedDeadLetter]",
            self._call(
                "GET",
                "/v1/dead-letters",
                query={
                    "webhook": webhook,
                    "type": type,
                    "reason": reason,
                    "since": since,
                    "until": until,
                    "limit": limit,
                    "cursor": cursor,
                },
            ),
        )

    def purge_dead_letters(
        self,
        *,
        webhook: str | None = None,
        type: str | None = None,
        reason: str | None = None,
        since: str | None = None,
        until: str | None = None,
        all: bool | None = None,
        dry_run: bool | None = None,
        cursor: str | None = None,
    ) -> Purged:
        """Deletes dead letters by a filter. If `next` is not null, repeat the request with it
        as `cursor` to go on."""
        return cast(
            "Purged",
            self._call(
                "DELETE",
                "/v1/dead-letters",
                query={
                    "webhook": webhook,
                    "type": type,
                    "reason": reason,
                    "since": since,
                    "until": until,
                    "all": all,
                    "dry_run": dry_run,
                    "cursor": cursor,
                },
            ),
        )

    def replay_dead_letters(
        self, body: ReplayDeadLettersBody, *, idempotency_key: str | None = None
    ) -> ReplayAnswer:
        """Starts a replay of dead letters; its progress is at `/v1/replays`."""
        return cast(
            "ReplayAnswer",
            self._call(
                "POST",
                "/v1/dead-letters/replay",
                body,
                headers={"idempotency-key": idempotency_key},
            ),
        )

    def show_dead_letter(self, letter_id: int) -> DeadLetterAnswer:
        """One dead letter: its event, all attempts, and the webhook as it was then."""
        return cast("DeadLetterAnswer", self._call("GET", f"/v1/dead-letters/{in_path(letter_id)}"))


class AsyncDeadLettersOperations(AsyncCaller):
    """The operations of the tag `dead letters` as coroutines."""

    async def delete_dead_letter(self, letter_id: int) -> None:
        """Deletes one dead letter. 409 while it is being replayed, as a delivery may still
        need it."""
        await self._call("DELETE", f"/v1/dead-letters/{in_path(letter_id)}")

    async def list_dead_letters(
        self,
        *,
        webhook: str | None = None,
        type: str | None = None,
        reason: str | None = None,
        since: str | None = None,
        until: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[ListedDeadLetter]:
        """Dead letters, the newest first. A page may hold fewer than `limit` items and have a
        next page."""
        return cast(
            "Page[ListedDeadLetter]",
            await self._call(
                "GET",
                "/v1/dead-letters",
                query={
                    "webhook": webhook,
                    "type": type,
                    "reason": reason,
                    "since": since,
                    "until": until,
                    "limit": limit,
                    "cursor": cursor,
                },
            ),
        )

    async def purge_dead_letters(
        self,
        *,
        webhook: str | None = None,
        type: str | None = None,
        reason: str | None = None,
        since: str | None = None,
        until: str | None = None,
        all: bool | None = None,
        dry_run: bool | None = None,
        cursor: str | None = None,
    ) -> Purged:
        """Deletes dead letters by a filter. If `next` is not null, repeat the request with it
        as `cursor` to go on."""
        return cast(
            "Purged",
            await self._call(
                "DELETE",
                "/v1/dead-letters",
                query={
                    "webhook": webhook,
                    "type": type,
                    "reason": reason,
                    "since": since,
                    "until": until,
                    "all": all,
                    "dry_run": dry_run,
                    "cursor": cursor,
                },
            ),
        )

    async def replay_dead_letters(
        self, body: ReplayDeadLettersBody, *, idempotency_key: str | None = None
    ) -> ReplayAnswer:
        """Starts a replay of dead letters; its progress is at `/v1/replays`."""
        return cast(
            "ReplayAnswer",
            await self._call(
                "POST",
                "/v1/dead-letters/replay",
                body,
                headers={"idempotency-key": idempotency_key},
            ),
        )

    async def show_dead_letter(self, letter_id: int) -> DeadLetterAnswer:
        """One dead letter: its event, all attempts, and the webhook as it was then."""
        return cast(
            "DeadLetterAnswer", await self._call("GET", f"/v1/dead-letters/{in_path(letter_id)}")
        )
