"""Checkpoints beside what other processes have written to a former server, on a real Valkey."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from redis.asyncio import Redis

from event_gateway.broker import peers as peers_module
from event_gateway.broker.connection import Broker
from event_gateway.broker.peers import Peers
from event_gateway.routing.repair import Repair
from event_gateway.state.checkpoints import Checkpoint, Checkpoints
from event_gateway.state.connection import connect
from event_gateway.tasks import Supervisor, end
from support.patience import PATIENCE

LOG = "LOG"


@pytest.fixture
async def redis(servers: tuple[str, str]) -> AsyncIterator[Redis]:
    client = await connect(servers[1])
    yield client
    await client.aclose()


@pytest.fixture
async def broker(servers: tuple[str, str]) -> AsyncIterator[Broker]:
    broker = Broker(servers[0])
    await broker.connect()
    yield broker
    await broker.close()


@pytest.fixture
async def process(redis: Redis) -> Checkpoints:
    return Checkpoints(redis, "one")


async def _marked(process: Checkpoints) -> tuple[str, int]:
    """The server, and the mark of the stream."""
    _, found = await process.exchange([LOG], {})
    return process.server, found[LOG].mark


async def _is_reread(process: Checkpoints, seq: int) -> None:
    server, mark = await _marked(process)
    assert await process.advance(LOG, seq, server, mark=mark)


async def test_a_stream_that_is_marked_while_it_is_read_is_read_again(
    redis: Redis, process: Checkpoints
) -> None:
    """As by a process that comes from a former primary later: it may have recorded there what it
    has routed since the end was asked for."""
    server, mark = await _marked(process)
    assert await process.advance(LOG, 3, server, mark=None)
    late = Checkpoints(redis, "late")
    _, found = await late.exchange([LOG], {LOG: 9})
    assert found == {LOG: Checkpoint(3, mark + 1)}
    assert not await process.advance(LOG, 5, server, mark=mark)
    _, found = await process.exchange([LOG], {LOG: 9})
    assert found == {LOG: Checkpoint(5, mark + 1)}
    assert await process.advance(LOG, 7, server, mark=mark + 1)
    _, found = await late.exchange([LOG], {LOG: 9})
    assert found == {LOG: Checkpoint(9, 0)}


async def test_processes_that_look_at_a_stream_without_a_checkpoint_do_not_mark_it_again(
    redis: Redis, process: Checkpoints
) -> None:
    server, mark = await _marked(process)
    await process.exchange([LOG], {LOG: 9})
    assert await _marked(process) == (server, mark)


@pytest.fixture
async def pair(broker: Broker) -> AsyncIterator[tuple[Peers, Peers]]:
    supervisor = Supervisor()
    peers = Peers(broker, "1", "", supervisor), Peers(broker, "2", "", supervisor)
    for each in peers:
        await each.start()
    async with asyncio.timeout(PATIENCE):
        while not all(each.others for each in peers):
            await asyncio.sleep(0.01)
    yield peers
    for each in peers:
        await each.stop()


async def test_no_checkpoint_is_written_before_every_process_has_come_to_the_server(
    process: Checkpoints, pair: tuple[Peers, Peers]
) -> None:
    """A process that has not may still acknowledge events whose records only a former primary
    has."""
    leader, other = pair
    floor = SimpleNamespace(ack_floor=SimpleNamespace(stream_seq=9))

    async def read(stream: str) -> Any:
        return floor

    repair = Repair(
        lambda: (LOG,), positions=cast(Any, SimpleNamespace(read=read)), peers=leader,
        checkpoints=process, ledger=cast(Any, None), rereading=cast(Any, None), on_loss=(),
        manual=False,
    )  # fmt: skip
    await _is_reread(process, 3)
    for server, checkpoint in (("former", 3), (process.server, 9)):
        other.set_server(server)
        async with asyncio.timeout(PATIENCE):
            while leader.others[0].server != server:
                await asyncio.sleep(0.01)
        await repair.write_checkpoints()
        assert await process.read(LOG) == checkpoint


async def test_a_process_that_stands_still_is_waited_for_until_nats_does_not_any_more(
    pair: tuple[Peers, Peers], monkeypatch: pytest.MonkeyPatch
) -> None:
    """When it goes on it acknowledges what it has read before from a former primary."""
    leader, other = pair
    other.set_server("former")
    async with asyncio.timeout(PATIENCE):
        while leader.others[0].server != "former":
            await asyncio.sleep(0.01)
    await end([other._task])
    monkeypatch.setattr(peers_module, "DEAD_AFTER", 0.1)
    async with asyncio.timeout(PATIENCE):
        while leader.others:
            await asyncio.sleep(0.01)
    assert not leader.all_see("new")
    monkeypatch.setattr(peers_module, "ACK_WAIT", 0.1)
    async with asyncio.timeout(PATIENCE):
        while not leader.all_see("new"):
            await asyncio.sleep(0.01)


def test_a_process_of_a_former_version_is_not_waited_for() -> None:
    """It does not say which server it sees."""
    peers = Peers(cast(Any, None), "1", "", Supervisor())
    assert peers.all_see("any")
