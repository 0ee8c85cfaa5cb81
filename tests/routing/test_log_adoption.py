"""How a process adopts a log that is not the known one."""

import contextlib

from nats.js.api import StreamConfig

from event_gateway.app.log_adoption import LogAdoption
from event_gateway.broker.connection import connect as connect_nats
from event_gateway.broker.peers import Peers
from event_gateway.broker.registry import Registry
from event_gateway.broker.stream_list import StreamList
from event_gateway.core.streams.definition import EVENTS
from event_gateway.core.streams.known_log import KnownLog
from event_gateway.state.checkpoints import Checkpoints
from event_gateway.state.connection import connect as connect_redis
from event_gateway.tasks import Supervisor


async def _copied(_stream: str, _floor: int) -> None:
    """There are no named streams."""


async def test_a_loss_is_told_also_by_who_has_seen_the_new_log_before_it_leads(
    servers: tuple[str, str],
) -> None:
    """The process that has created the log ends before it has adopted it."""
    async with contextlib.AsyncExitStack() as stack:
        broker = await connect_nats(servers[0])
        stack.push_async_callback(broker.close)
        client = await connect_redis(servers[1])
        stack.push_async_callback(client.aclose)
        registry = Registry(
            broker, StreamList(broker), Peers(broker, "here", "", Supervisor()), Supervisor()
        )
        stack.push_async_callback(registry.stop)
        await registry.open()
        await registry.watch()
        adoption = LogAdoption(
            broker, registry, Checkpoints(client, "here"), logs=[EVENTS], copy_again=_copied
        )
        former = await broker.js.add_stream(StreamConfig(EVENTS, subjects=["load.>"]))
        await registry.put_log(EVENTS, KnownLog(str(former.created)))
        for _ in range(5):
            await broker.js.publish("load.made", b"{}")
        broker.known_sequences.note(EVENTS, 5)
        await broker.js.delete_stream(EVENTS)
        first = broker.known_sequences.first_of_new(EVENTS)
        await broker.js.add_stream(StreamConfig(EVENTS, subjects=["load.>"], first_seq=first))
        for _ in range(2):  # at each of its looks
            info = await broker.js.stream_info(EVENTS)
            assert adoption.is_other(EVENTS, info)
            broker.known_sequences.note(EVENTS, info.state.last_seq)
            await broker.js.publish("load.made", b"{}")
        await adoption.adopt(EVENTS, info)
        loss = registry.logs[EVENTS].loss
        assert loss is not None
        assert loss.last_seq == 5
        assert not adoption.is_other(EVENTS, await broker.js.stream_info(EVENTS))
