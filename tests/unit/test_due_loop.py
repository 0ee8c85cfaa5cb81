"""How many deliveries the due loop leases at a time, and how it counts those that come."""

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from event_gateway.core.webhook.delivery import Delivery
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.delivery.due_loop import MAX_LEASED, MAX_LEASED_BYTES, DueLoop
from event_gateway.delivery.due_signal import DueSignal
from event_gateway.delivery.lane import Lane
from event_gateway.state.script_arguments import LeaseRequest

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("mean_size", "count"),
    [(0, MAX_LEASED), (1000, MAX_LEASED), (MIB, MAX_LEASED_BYTES // MIB), (100 * MIB, 1)],
)
async def test_large_events_are_leased_a_few_at_a_time(mean_size: int, count: int) -> None:
    unused = cast(Any, None)
    signal = DueSignal()
    lane = Lane(Webhook("w", "http://localhost/", ("a",)), unused)
    signal.request_deliveries(lane)
    loop = DueLoop(
        unused,
        unused,
        cast(Any, SimpleNamespace(paced_room=0, room=lambda _lane: 4096)),
        signal,
        handover=cast(Any, SimpleNamespace(mean_size=mean_size)),
        may_exist=unused,
        supervisor=unused,
    )
    assert [request.count for _, request in loop._requests()] == [count]


async def test_two_rounds_that_have_nothing_of_a_lane_end() -> None:
    unused = cast(Any, None)
    signal = DueSignal()
    names = ("free", "limited")
    lanes = [Lane(Webhook(name, "http://localhost/", ("a",)), unused) for name in names]
    may_load, dispatched = asyncio.Event(), list[str]()

    async def take(requests: Sequence[LeaseRequest]) -> list[Delivery]:
        assert {request.webhook_id for request in requests} == set(names)
        return [Delivery("free", "e", "s", "GATEWAY_EVENTS", 1, "token")]

    async def load(deliveries: Sequence[Delivery]) -> dict[str, Any]:
        await may_load.wait()
        return {}

    async def dispatch(deliveries: Sequence[Delivery], loaded: Any, *, at_once: bool) -> None:
        dispatched.extend(each.webhook_id for each in deliveries)

    loop = DueLoop(
        unused,
        cast(Any, SimpleNamespace(take=take)),
        cast(Any, SimpleNamespace(paced_room=0, room=lambda _lane: 4)),
        signal,
        handover=cast(Any, SimpleNamespace(mean_size=0, load=load, dispatch=dispatch)),
        may_exist=unused,
        supervisor=unused,
    )
    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            for lane in lanes:
                signal.request_deliveries(lane)
            await loop._lease_round(group)
        assert (len(loop._rounds), sum(loop._coming.values())) == (2, 2)
        may_load.set()
    assert dispatched == ["free", "free"]
    assert not loop._coming
