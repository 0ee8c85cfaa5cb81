"""Repair of a stream whose router ends meanwhile."""

from types import SimpleNamespace
from typing import Any, cast

from event_gateway.routing.repair import Repair
from event_gateway.routing.rereading import Rereading


async def test_a_stream_that_is_not_routed_any_more_is_not_reread() -> None:
    """As when the last webhook for lifecycle events is deleted while the log is about to be
    reread."""
    nothing = cast(Any, None)

    async def lease(stream: str, seconds: float) -> bool:
        repair._known.clear()
        return True

    async def release(stream: str) -> None:
        released.append(stream)

    async def consumer_info(stream: str, consumer: str) -> Any:
        floor = SimpleNamespace(stream_seq=7)
        return SimpleNamespace(delivered=floor, ack_floor=floor)

    released: list[str] = []
    checkpoints = cast(Any, SimpleNamespace(server="s", lease=lease, release=release))
    rereading = Rereading(
        cast(Any, SimpleNamespace(js=SimpleNamespace(consumer_info=consumer_info))), checkpoints,
        nothing, nothing, decoder=nothing, deadlines=nothing, event_index=nothing,
    )  # fmt: skip
    repair = Repair(
        lambda: (), positions=nothing, peers=nothing, checkpoints=checkpoints, ledger=nothing,
        rereading=rereading, on_loss=(), manual=False,
    )  # fmt: skip
    await repair._reread("GATEWAY_LIFECYCLE", skip=False, decided=False)
    assert released == ["GATEWAY_LIFECYCLE"]
    assert not repair._known
