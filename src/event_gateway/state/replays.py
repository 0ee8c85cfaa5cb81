"""Replays: their definitions, their progress, and which process runs each."""

import re
import time
from typing import Any, cast

import msgspec
from redis.asyncio import Redis

from event_gateway.core.webhook.replay import ENDED, Progress, Replay, ReplayState
from event_gateway.state.keys import REPLAY, REPLAY_LEASE, REPLAYS
from event_gateway.state.leases import Leases
from event_gateway.state.scripts import script

_ID = re.compile(r"r[0-9a-f]{1,20}")
MAX_REPLAYS = 1000  # stored replays, of all states


class Replays:
    """Replays by id. ``holder`` names this process. Methods raise the exceptions in StateError."""

    def __init__(self, client: Redis, holder: str) -> None:
        self._client = client
        self.holder = holder
        self._leases = Leases(client, holder)
        self._add = script(client, "replays/add.lua")
        self._running = script(client, "replays/running.lua")
        self._change_state = script(client, "replays/change_state.lua")

    async def add(self, replay: Replay) -> bool:
        """Adds a replay in state running; False if MAX_REPLAYS have not ended."""
        return bool(await self._add(replay.id, msgspec.json.encode(replay), MAX_REPLAYS))

    async def read(self, replay_id: str) -> tuple[Replay, Progress] | None:
        """A replay and its progress; None if there is no replay with this id."""
        if _ID.fullmatch(replay_id) is None:
            return None
        fields = await cast(Any, self._client.hgetall(REPLAY.key(replay_id)))
        return _read(fields) if fields else None

    async def page(
        self, after: str | None, limit: int
    ) -> tuple[list[tuple[Replay, Progress]], str | None, int]:
        """The newest replays after an id, the id after which the next page begins, and how many
        replays there are."""
        members = await cast(Any, self._client.zrange(REPLAYS.key(), 0, -1))
        ids = sorted((member.decode() for member in members), reverse=True)
        total = len(ids)
        ids = [replay_id for replay_id in ids if after is None or replay_id < after]
        async with self._client.pipeline(transaction=False) as pipe:
            for replay_id in ids[:limit]:
                pipe.hgetall(REPLAY.key(replay_id))
            stored = await pipe.execute()
        more = ids[limit - 1] if len(ids) > limit else None
        return [_read(fields) for fields in stored if fields], more, total

    async def running(self) -> list[str]:
        """The ids of the replays in state running."""
        members = await self._running()
        return sorted(member.decode() for member in members)

    async def change_state(
        self, replay_id: str, to: ReplayState, error: str = ""
    ) -> ReplayState | None:
        """Changes the state of a replay, unless it has ended.

        Returns the state after the call; None if there is no replay with this id.
        """
        if _ID.fullmatch(replay_id) is None:
            return None
        state = await self._change_state(replay_id, to.value, int(to in ENDED), error)
        return ReplayState(state.decode()) if state else None

    async def lease(self, replay_id: str, seconds: float) -> bool:
        """Takes or renews a replay's lease; False if another process has it."""
        return await self._leases.take(REPLAY_LEASE.key(replay_id), seconds)

    async def release(self, replay_id: str) -> None:
        """Releases a replay's lease, if this process has it."""
        await self._leases.release(REPLAY_LEASE.key(replay_id))


def new_id() -> str:
    """A new id for a replay. Ids sort by their time of creation."""
    return f"r{time.time_ns() // 1000:x}"


def _read(fields: dict[bytes, bytes]) -> tuple[Replay, Progress]:
    def number(name: bytes) -> int:
        return int(fields.get(name) or 0)

    ended = number(b"ended_at")
    return msgspec.json.decode(fields[b"replay"], type=Replay), Progress(
        state=ReplayState(fields[b"state"].decode()),
        position=number(b"position"),
        first=number(b"first"),
        looked=number(b"looked"),
        matched=number(b"matched"),
        queued=number(b"queued"),
        skipped=number(b"skipped"),
        updated_at=number(b"updated_at") / 1000,
        ended_at=ended / 1000 if ended else None,
        error=fields.get(b"error", b"").decode() or None,
    )
