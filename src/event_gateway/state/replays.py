"""The replays that were asked for, who runs each, and how far it has come."""

import re
import time
from typing import Any, cast

import msgspec
from redis.asyncio import Redis

from event_gateway.core.webhook.replay import ENDED, Progress, Replay, ReplayState
from event_gateway.state.scripts import script

_ID = re.compile(r"r[0-9a-f]{1,20}")
MAX_REPLAYS = 1000  # that are kept, of all states
KEEP = 30 * 86400.0  # seconds for which one that has ended is known


class Replays:
    """Replays by id; ``holder`` names this process. Its methods raise what StateError names."""

    def __init__(self, client: Redis, holder: str, prefix: str = "") -> None:
        self._client = client
        self._prefix = prefix
        self.holder = holder
        self._hold = script(client, "hold.lua")
        self._move = script(client, "replay.lua")

    async def add(self, replay: Replay) -> bool:
        """Keeps a new one, which runs from now on; False where there are too many."""
        answer = await self._move(
            keys=[self._prefix],
            args=["add", replay.id, msgspec.json.encode(replay), MAX_REPLAYS],
        )
        return bool(answer)

    async def read(self, replay_id: str) -> tuple[Replay, Progress] | None:
        """One of them; None where there is none."""
        if _ID.fullmatch(replay_id) is None:
            return None
        fields = await cast(Any, self._client.hgetall(f"{self._prefix}replay:{replay_id}"))
        return _read(fields) if fields else None

    async def page(
        self, behind: str | None, limit: int
    ) -> tuple[list[tuple[Replay, Progress]], str | None]:
        """The newest ones behind an id, and the id behind which there are more."""
        members = await cast(Any, self._client.zrange(f"{self._prefix}replays", 0, -1))
        ids = sorted((one.decode() for one in members), reverse=True)
        ids = [one for one in ids if behind is None or one < behind]
        async with self._client.pipeline(transaction=False) as pipe:
            for one in ids[:limit]:
                pipe.hgetall(f"{self._prefix}replay:{one}")
            found = await pipe.execute()
        more = ids[limit - 1] if len(ids) > limit else None
        return [_read(fields) for fields in found if fields], more

    async def running(self) -> list[str]:
        """Ids of those that are to go on."""
        members = await cast(Any, self._client.smembers(f"{self._prefix}replaying"))
        return sorted(one.decode() for one in members)

    async def move(self, replay_id: str, to: ReplayState, error: str = "") -> ReplayState | None:
        """Puts it into another state, from which those that have ended do not come back.

        Gives the state that it is in now; None where there is none.
        """
        if _ID.fullmatch(replay_id) is None:
            return None
        said = await self._move(
            keys=[self._prefix],
            args=["move", replay_id, to.value, int(to in ENDED), error, round(KEEP * 1000)],
        )
        return ReplayState(said.decode()) if said else None

    async def hold(self, replay_id: str, seconds: float) -> bool:
        """Takes it for so long, or keeps it; False where another process has it."""
        key = f"{self._prefix}replay:{replay_id}:holder"
        return bool(await self._hold(keys=[key], args=[self.holder, round(seconds * 1000)]))

    async def release(self, replay_id: str) -> None:
        """Gives it up, if this process has it."""
        if await self.hold(replay_id, 1.0):
            await self._client.delete(f"{self._prefix}replay:{replay_id}:holder")


def new_id() -> str:
    """An id for a replay; later ones sort behind."""
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
