"""Checkpoints beside what other processes have written to a former server, on a real Valkey."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from redis.asyncio import Redis

from event_gateway.broker import agreement as agreement_module
from event_gateway.broker.connection import Broker
from event_gateway.broker.peers import Peers
from event_gateway.routing.repair import Repair
from event_gateway.state.checkpoints import Checkpoint, Checkpoints
from event_gateway.tasks import Supervisor, end
from support.patience import PATIENCE

LOG = "LOG"

Pair = tuple[Peers, Peers]


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
    another = found[LOG].mark
    assert found == {LOG: Checkpoint(3, another)}
    assert another > mark > 0
    assert not await process.advance(LOG, 5, server, mark=mark)
    _, found = await process.exchange([LOG], {LOG: 9})
    assert found == {LOG: Checkpoint(5, another)}
    assert await process.advance(LOG, 7, server, mark=another)
    _, found = await late.exchange([LOG], {LOG: 9})
    assert found == {LOG: Checkpoint(9, 0)}
    _, found = await late.exchange([LOG], {}, mark=True)
    assert found[LOG].mark > another, "a mark that was there before could be taken for it"


async def test_processes_that_look_at_a_stream_without_a_checkpoint_do_not_mark_it_again(
    redis: Redis, process: Checkpoints
) -> None:
    server, mark = await _marked(process)
    await process.exchange([LOG], {LOG: 9})
    assert await _marked(process) == (server, mark)


@pytest.fixture
async def pair(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pair]:
    """A process that leads, and another one; they hear each other."""
    monkeypatch.setattr(agreement_module, "LISTENING", 0.0)
    supervisor = Supervisor()
    peers = Peers(broker, "1", "", supervisor), Peers(broker, "2", "", supervisor)
    for each in peers:
        await each.start()
        each.set_server("former")
    await _until(lambda: all([peer.server for peer in each.others] == ["former"] for each in peers))
    yield peers
    for each in peers:
        await each.stop()


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


def _repair(process: Checkpoints, leader: Peers, floor: int) -> Repair:
    """Of a process whose router has acknowledged the events up to the sequence ``floor``."""
    state = SimpleNamespace(ack_floor=SimpleNamespace(stream_seq=floor))

    async def read(stream: str) -> Any:
        return state

    nothing = cast(Any, None)
    return Repair(
        lambda: (LOG,), positions=cast(Any, SimpleNamespace(read=read)), peers=leader,
        checkpoints=process, ledger=nothing, rereading=nothing, on_loss=(), manual=True,
    )  # fmt: skip


async def test_no_checkpoint_is_written_before_every_process_has_come_to_the_server(
    process: Checkpoints, pair: Pair
) -> None:
    """A process that has not may still acknowledge events whose records only a former primary
    has."""
    leader, other = pair
    repair = _repair(process, leader, 9)
    await _is_reread(process, 3)
    leader.set_server(process.server)
    await repair.write_checkpoints()
    assert await process.read(LOG) == 3
    other.set_server(process.server)
    await _until(leader.agreement.is_reached)
    await repair.write_checkpoints()
    assert await process.read(LOG) == 9


async def _ends(leader: Peers, other: Peers, monkeypatch: pytest.MonkeyPatch) -> None:
    await other.stop()


async def _stands_still(leader: Peers, other: Peers, monkeypatch: pytest.MonkeyPatch) -> None:
    """For longer than NATS waits for its acknowledgements."""
    await end([other._task])
    assert not leader.agreement.is_reached()
    monkeypatch.setattr(agreement_module, "ACK_WAIT", 0.1)


@pytest.mark.parametrize("leave", [_ends, _stands_still])
async def test_what_a_process_has_acknowledged_that_never_comes_to_the_server_is_read_again(
    process: Checkpoints,
    pair: Pair,
    leave: Callable[[Peers, Peers, pytest.MonkeyPatch], Awaitable[None]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    leader, other = pair
    repair = _repair(process, leader, 9)
    await _is_reread(process, 3)
    leader.set_server(process.server)
    await leave(leader, other, monkeypatch)
    await _until(lambda: leader.agreement.is_reached() and leader.agreement.someone_left)
    await repair.write_checkpoints()
    assert await process.read(LOG) == 3
    repair._rereading[LOG] = cast(Any, None)  # it would begin at once
    await repair._look()
    _, mark = await _marked(process)
    assert mark
    assert await process.advance(LOG, 4, process.server, mark=mark)
    await repair._look()
    assert await process.read(LOG) == 9


async def test_no_checkpoint_is_written_before_the_others_could_be_heard(
    process: Checkpoints, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a pause of this process, in which it heard nobody."""
    leader, _ = pair
    repair = _repair(process, leader, 9)
    await _is_reread(process, 3)
    for each in pair:
        each.set_server(process.server)
    await _until(leader.agreement.is_reached)
    monkeypatch.setattr(agreement_module, "LISTENING", 10 * PATIENCE)
    await repair.write_checkpoints()
    assert await process.read(LOG) == 3
    assert repair._acknowledged == {LOG: 9}, "it does not know whether anything was routed"


async def test_a_process_of_a_former_version_is_not_waited_for(broker: Broker, pair: Pair) -> None:
    """It does not say which server it uses."""
    leader, other = pair
    await other.stop()
    await broker.nc.publish("eg.process.old", b'{"process": "old", "host": "h", "pid": 7}')
    await _until(lambda: [each.process for each in leader.others] == ["old"])
    assert leader.agreement.is_reached()


async def test_a_process_that_does_not_come_is_named_after_a_while(
    process: Checkpoints, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    leader, other = pair
    repair = _repair(process, leader, 9)
    leader.set_server("new")
    assert not leader.agreement.is_reached()
    assert repair.reasons == []
    monkeypatch.setattr(agreement_module, "LONG", 0.0)
    (reason,) = repair.reasons
    assert reason.text == f"{other.own.place} uses another Redis server, no checkpoint is written"
