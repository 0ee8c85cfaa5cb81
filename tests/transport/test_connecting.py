"""Sockets are connected without a task: each has one result, at its deadline at the latest."""

import asyncio
import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from event_gateway.embedded.servers import usable_port
from event_gateway.transport.connecting import LATE_PER_TURN, Connecting
from support.patience import PATIENCE

Result = socket.socket | OSError


@pytest.fixture
def full() -> Iterator[int]:
    """The port of a server that takes no other connection: who connects waits."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        address = server.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(address)
        yield address[1]
        for each in waiting:
            each.close()


async def _result(connecting: Connecting, port: int, seconds: float = PATIENCE) -> Result:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[Result] = loop.create_future()
    connecting.connect("127.0.0.1", port, loop.time() + seconds, ended.set_result)
    assert not ended.done(), "it is called later"
    return await ended


async def test_a_server_that_listens() -> None:
    connecting = Connecting()
    with socket.create_server(("127.0.0.1", 0)) as server:
        result = await _result(connecting, server.getsockname()[1])
        assert isinstance(result, socket.socket)
        assert result.getpeername() == server.getsockname()
        result.close()
    assert not len(connecting)


async def test_a_port_that_refuses() -> None:
    connecting = Connecting()
    assert isinstance(await _result(connecting, usable_port()), ConnectionRefusedError)
    assert not len(connecting)


async def test_a_server_that_does_not_answer_in_time(full: int) -> None:
    connecting = Connecting()
    assert isinstance(await _result(connecting, full, 0.05), TimeoutError)
    assert not len(connecting)


async def test_each_ends_at_its_own_deadline(full: int) -> None:
    loop, connecting = asyncio.get_running_loop(), Connecting()
    ended: dict[float, float] = {}

    def connect(seconds: float) -> None:
        at = loop.time() + seconds
        connecting.connect("127.0.0.1", full, at, lambda _: ended.update({at: loop.time()}))

    # The second one is due before the first, and the last one is not due at all.
    for seconds in (0.3, 0.05, 0.4, PATIENCE):
        connect(seconds)
    async with asyncio.timeout(PATIENCE):
        while len(connecting) > 1 or len(ended) < 3:
            await asyncio.sleep(0.01)
    assert list(ended) == sorted(ended)
    assert all(at <= when for at, when in ended.items()), "none ends too early"
    connecting.close()


async def test_many_that_are_late_at_the_same_time_all_end(full: int) -> None:
    connecting, results = Connecting(), list[Result]()
    deadline = asyncio.get_running_loop().time() + 0.05
    for _ in range(LATE_PER_TURN * 2 + 1):
        connecting.connect("127.0.0.1", full, deadline, results.append)
    async with asyncio.timeout(PATIENCE):
        while len(results) < LATE_PER_TURN * 2 + 1:
            await asyncio.sleep(0.01)
    assert all(isinstance(result, TimeoutError) for result in results)
    assert not len(connecting)


async def test_attempts_that_are_refused_share_a_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, connecting, port = asyncio.get_running_loop(), Connecting(), usable_port()
    deadline, timers = loop.time() + PATIENCE, list[float]()
    call_at = loop.call_at

    def counted(at: float, *arguments: Any) -> asyncio.TimerHandle:
        timers.append(at)
        return call_at(at, *arguments)

    monkeypatch.setattr(loop, "call_at", counted)
    for _ in range(10):
        ended: asyncio.Future[Result] = loop.create_future()
        connecting.connect("127.0.0.1", port, deadline, ended.set_result)
        assert isinstance(await ended, ConnectionRefusedError)
    connecting.close()
    # None at all where this machine refuses at once.
    assert timers in ([], [deadline])


async def test_after_closing_another_one_has_its_deadline(full: int) -> None:
    connecting = Connecting()
    loop = asyncio.get_running_loop()
    connecting.connect("127.0.0.1", full, loop.time() + 0.05, lambda _: None)
    connecting.close()
    async with asyncio.timeout(PATIENCE):
        assert isinstance(await _result(connecting, full, 0.1), TimeoutError)


async def test_closing_calls_nobody_and_leaves_no_socket(full: int) -> None:
    connecting, results = Connecting(), list[Result]()
    deadline = asyncio.get_running_loop().time() + 0.05
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        connecting.connect("127.0.0.1", full, deadline, results.append)
    assert len(connecting) == 5
    connecting.close()
    assert not len(connecting)
    assert len(os.listdir("/proc/self/fd")) <= before
    await asyncio.sleep(0.1)  # beyond the deadline
    assert not results
