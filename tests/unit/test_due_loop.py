"""How many deliveries the due loop leases at a time."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from event_gateway.core.webhook.webhook import Webhook
from event_gateway.delivery.due_loop import MAX_LEASED, MAX_LEASED_BYTES, DueLoop
from event_gateway.delivery.due_signal import DueSignal
from event_gateway.delivery.lane import Lane

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
