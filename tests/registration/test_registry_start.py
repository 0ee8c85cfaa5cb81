"""Reading the registry at the start."""

import pytest

from event_gateway.broker import registry_bucket as module
from event_gateway.broker.connection import connect
from event_gateway.broker.peers import Peers
from event_gateway.broker.registry import Registry
from event_gateway.broker.registry_bucket import BUCKET
from event_gateway.broker.stream_list import StreamList
from event_gateway.tasks import Supervisor


async def test_a_registry_that_stops_sending_is_reported_with_its_progress(
    servers: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "START_TIMEOUT", 0.3)
    broker = await connect(servers[0])
    registry = Registry(
        broker, StreamList(broker), Peers(broker, "here", "", Supervisor()), Supervisor()
    )
    try:
        await registry.open()
        # The last revision is known, but the message with it is missing.
        await broker.js.purge_stream(f"KV_{BUCKET}")
        with pytest.raises(TimeoutError, match=r"up to revision 0 of 1, then no entry arrived for"):
            await registry.watch()
    finally:
        await registry.stop()
        await broker.close()
