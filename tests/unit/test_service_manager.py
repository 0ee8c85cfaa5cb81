"""What systemd is told, over a socket as it makes one."""

import asyncio
import os
import socket
from pathlib import Path

import pytest

from event_gateway.cli.process.service_manager import ServiceManager
from support.patience import PATIENCE


@pytest.mark.parametrize("abstract", [False, True])
def test_ready_and_stopping_are_told(tmp_path: Path, abstract: bool) -> None:
    name = f"event-gateway-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name if abstract else name)
        service = ServiceManager({"NOTIFY_SOCKET": "@" + name if abstract else name})
        assert not service.watches
        service.ready()
        service.stopping()
        manager.settimeout(PATIENCE)
        assert [manager.recv(100) for _ in range(2)] == [b"READY=1", b"STOPPING=1"]


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
        telling = asyncio.create_task(service.keep_alive())
        async with asyncio.timeout(PATIENCE):
            for _ in range(3):
                assert await asyncio.get_running_loop().sock_recv(manager, 100) == b"WATCHDOG=1"
        telling.cancel()


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
def test_without_a_manager_the_gateway_goes_on(environ: dict[str, str]) -> None:
    service = ServiceManager(environ)
    service.ready()
    service.stopping()
    assert not service.watches
