"""What systemd is told, over a socket as it makes one."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from event_gateway.cli.process import service_manager
from event_gateway.cli.process.service_manager import ServiceManager
from event_gateway.tasks import end
from support.patience import PATIENCE


@contextlib.asynccontextmanager
async def _telling(service: ServiceManager) -> AsyncIterator[asyncio.Task[None]]:
    """Keeps systemd told meanwhile."""
    task = asyncio.create_task(service.keep_told())
    try:
        yield task
    finally:
        await end([task])


async def _told(manager: socket.socket) -> bytes:
    async with asyncio.timeout(PATIENCE):
        return await asyncio.get_running_loop().sock_recv(manager, 100)


@pytest.mark.parametrize("abstract", [False, True])
async def test_ready_and_stopping_are_told(tmp_path: Path, abstract: bool) -> None:
    name = f"event-gateway-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name if abstract else name)
        service = ServiceManager({"NOTIFY_SOCKET": "@" + name if abstract else name})
        assert service.is_there
        assert not service.watches
        manager.setblocking(False)
        async with _telling(service):
            assert await _told(manager) == b"EXTEND_TIMEOUT_USEC=90000000"
            service.serving()
            assert await _told(manager) == b"READY=1"
            service.stopping()
            assert await _told(manager) == b"STOPPING=1"


async def test_a_socket_without_room_is_told_later(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as another,
    ):
        manager.bind(path)
        for each in (manager, another):
            each.setblocking(False)
        waiting = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                another.sendto(b"other", path)
                waiting += 1
        service = ServiceManager({"NOTIFY_SOCKET": path})
        service.serving()
        async with _telling(service):
            await asyncio.sleep(0)  # it has tried once
            told = [await _told(manager) for _ in range(waiting + 1)]
        assert told == [b"other"] * waiting + [b"READY=1"]


async def test_the_watchdog_is_told_again_and_again(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.setblocking(False)
        pid = str(os.getpid())
        service = ServiceManager(
            {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "20000", "WATCHDOG_PID": pid}
        )
        assert service.watches
        service.serving()
        async with _telling(service):
            told = [await _told(manager) for _ in range(4)]
        assert told == [b"READY=1"] + 3 * [b"WATCHDOG=1"]


async def test_a_start_asks_for_time_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_manager, "STARTING", 0.03)
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.setblocking(False)
        service = ServiceManager({"NOTIFY_SOCKET": path})
        async with _telling(service):
            for _ in range(3):
                assert (await _told(manager)).startswith(b"EXTEND_TIMEOUT_USEC=")
            service.serving()
            while (told := await _told(manager)) != b"READY=1":
                assert told.startswith(b"EXTEND_TIMEOUT_USEC=")


@pytest.mark.parametrize(
    "environ",
    [
        pytest.param({}, id="no manager"),
        pytest.param({"NOTIFY_SOCKET": "/nonexistent/notify"}, id="a socket that is gone"),
        pytest.param({"WATCHDOG_USEC": "20000"}, id="a watchdog without a socket"),
        pytest.param(
            {"NOTIFY_SOCKET": "/nonexistent/notify", "WATCHDOG_USEC": "20000", "WATCHDOG_PID": "1"},
            id="the watchdog of another process",
        ),
    ],
)
async def test_without_a_manager_the_gateway_goes_on(environ: dict[str, str]) -> None:
    service = ServiceManager(environ)
    async with _telling(service) as telling:
        await asyncio.sleep(0)
        service.stopping()
        assert not telling.done()
    assert not service.watches
