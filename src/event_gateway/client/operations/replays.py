"""The operations of the tag `replays`.

Generated from the OpenAPI document by ``make docs``; do not change it by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from event_gateway.client.calls import AsyncCaller, Caller
from event_gateway.client.requests import in_path

if TYPE_CHECKING:
    from event_gateway.client.models.replays import CreateReplayBody
    from event_gateway.client.models.shared import Page, ReplayAnswer


class ReplaysOperations(Caller):
    """The operations of the tag `replays`."""

    def cancel_replay(self, replay_id: str) -> ReplayAnswer:
        """Cancels a replay. Deliveries that it has queued are attempted all the same."""
        return cast("ReplayAnswer", self._call("POST", f"/v1/replays/{in_path(replay_id)}/cancel"))

    def create_replay(
        self, body: CreateReplayBody, *, idempotency_key: str | None = None
    ) -> ReplayAnswer:
        """Starts a replay: delivers the events in the log that match the webhook as it is now."""
        return cast(
            "ReplayAnswer",
            self._call("POST", "/v1/replays", body, headers={"idempotency-key": idempotency_key}),
        )

    def list_replays(
        self, *, limit: int | None = None, cursor: str | None = None
    ) -> Page[ReplayAnswer]:
        """All replays, also those of dead letters, the newest first."""
        return cast(
            "Page[ReplayAnswer]",
            self._call("GET", "/v1/replays", query={"limit": limit, "cursor": cursor}),
        )

    def pause_replay(self, replay_id: str) -> ReplayAnswer:
        """Pauses a replay: it queues no more deliveries. Those that it has queued are
        attempted."""
        return cast("ReplayAnswer", self._call("POST", f"/v1/replays/{in_path(replay_id)}/pause"))

    def resume_replay(self, replay_id: str) -> ReplayAnswer:
        """Resumes a paused replay where it stopped."""
        return cast("ReplayAnswer", self._call("POST", f"/v1/replays/{in_path(replay_id)}/resume"))

    def show_replay(self, replay_id: str) -> ReplayAnswer:
        """A replay and its progress."""
        return cast("ReplayAnswer", self._call("GET", f"/v1/replays/{in_path(replay_id)}"))


class AsyncReplaysOperations(AsyncCaller):
    """The operations of the tag `replays` as coroutines."""

    async def cancel_replay(self, replay_id: str) -> ReplayAnswer:
        """Cancels a replay. Deliveries that it has queued are attempted all the same."""
        return cast(
            "ReplayAnswer", await self._call("POST", f"/v1/replays/{in_path(replay_id)}/cancel")
        )

    async def create_replay(
        self, body: CreateReplayBody, *, idempotency_key: str | None = None
    ) -> ReplayAnswer:
        """Starts a replay: delivers the events in the log that match the webhook as it is now."""
        return cast(
            "ReplayAnswer",
            await self._call(
                "POST", "/v1/replays", body, headers={"idempotency-key": idempotency_key}
            ),
        )

    async def list_replays(
        self, *, limit: int | None = None, cursor: str | None = None
    ) -> Page[ReplayAnswer]:
        """All replays, also those of dead letters, the newest first."""
        return cast(
            "Page[ReplayAnswer]",
            await self._call("GET", "/v1/replays", query={"limit": limit, "cursor": cursor}),
        )

    async def pause_replay(self, replay_id: str) -> ReplayAnswer:
        """Pauses a replay: it queues no more deliveries. Those that it has queued are
        attempted."""
        return cast(
            "ReplayAnswer", await self._call("POST", f"/v1/replays/{in_path(replay_id)}/pause")
        )

    async def resume_replay(self, replay_id: str) -> ReplayAnswer:
        """Resumes a paused replay where it stopped."""
        return cast(
            "ReplayAnswer", await self._call("POST", f"/v1/replays/{in_path(replay_id)}/resume")
        )

    async def show_replay(self, replay_id: str) -> ReplayAnswer:
        """A replay and its progress."""
        return cast("ReplayAnswer", await self._call("GET", f"/v1/replays/{in_path(replay_id)}"))
