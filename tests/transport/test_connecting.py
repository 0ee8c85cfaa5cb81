"""Sockets are connected without a task: each has one result, at its deadline at the latest."""

import asyncio
import os
import socket
from collections.abc import Iterator

import pytest

from event_gateway.embedded.servers import usable_port
from event_gateway.transport.connecting import Connecting
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
