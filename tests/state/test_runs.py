"""The script that starts runs, on a real Valkey."""

from typing import Any

from event_gateway.state.connection import connect
from event_gateway.state.keys import REPLAY, REPLAY_LEASE
from event_gateway.state.ledger import Ledger
from event_gateway.state.reported_lanes import LaneReports
from event_gateway.state.runs import NewRun, Runs
from event_gateway.state.script_arguments import ReplayStep
from event_gateway.tasks import Supervisor


async def test_a_step_whose_answer_was_lost_counts_once(servers: tuple[str, str]) -> None:
    redis = await connect(servers[1])
    try:
        await redis.hset(REPLAY.key("r"), "state", "running")
        await redis.set(REPLAY_LEASE.key("r"), "me")
        ledger = Ledger(redis, 60.0, LaneReports(), Supervisor())
        runs = Runs(
            redis, ledger, 60.0,
            count_cancelled=lambda webhook_id, count: None, report_due=lambda: None,
        )  # fmt: skip

        async def step(position: int, *events: str) -> list[str]:
            new = [NewRun("w", event, "s", "LOG", 1, 1e9, 2e9) for event in events]
            made = ReplayStep(position=position, first=1, looked=5, matched=len(new) + 1,
                              left_out=1, lease=60_000, depths_of=())  # fmt: skip
            return (await runs.start(new, "replay r", "r", "me", made))[2]

        async def counted() -> list[Any]:
            names = ["looked", "matched", "queued", "skipped", "position"]
            return list(await redis.hmget(REPLAY.key("r"), names))

        assert await step(6, "a", "b") == ["queued", "queued"]
        assert await counted() == [b"5", b"3", b"2", b"1", b"6"]
        assert await step(6, "a", "b") == ["done", "done"]
        assert await counted() == [b"5", b"3", b"2", b"1", b"6"]
        assert await step(11, "a", "c") == ["done", "queued"]
        assert await counted() == [b"10", b"6", b"3", b"3", b"11"]
        assert await redis.zcard("queue:w") == 3
    finally:
        await redis.aclose()
