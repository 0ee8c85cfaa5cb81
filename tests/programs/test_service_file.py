"""The commands of the systemd unit, with the paths of a test: start, reload, stop."""

import asyncio
import functools
import os
import shlex
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.command import command
from support.gateway_process import GatewayProcess
from support.patience import PATIENCE
from support.service_file import service_file


@pytest.fixture
def systemd() -> Iterator[socket.socket]:
    """What systemd listens on; not bound yet."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        yield made


async def test_the_service_starts_reloads_and_stops(tmp_path: Path, systemd: socket.socket) -> None:
    values = service_file()
    (tmp_path / "lib").mkdir(mode=0o700)
    (tmp_path / "gateway.yaml").write_text("server: {port: 0}\nconsole: {enabled: false}\n")
    before, start = (
        shlex.split(
            values[name][0]
            .replace("/etc/event-gateway", str(tmp_path))
            .replace("/var/lib/event-gateway", str(tmp_path / "lib"))
        )[1:]
        for name in ("ExecStartPre", "ExecStart")
    )
    checked = await command(*before)
    assert checked.status == 0, checked.err
    output = tmp_path / "output"
    assert values["Type"] == ["notify"]
    systemd.bind(f"\0{tmp_path}")
    systemd.setblocking(False)
    told = functools.partial(asyncio.get_running_loop().sock_recv, systemd, 100)
    environ = os.environ | {"NOTIFY_SOCKET": f"@{tmp_path}", "WATCHDOG_USEC": "60000000"}
    with output.open("w") as file, Path(os.devnull).open() as nothing:
        process = GatewayProcess(
            start, (nothing.fileno(), file.fileno(), file.fileno()), environ=environ,
            directory=tmp_path / "lib",
        )  # fmt: skip
    try:
        async with asyncio.timeout(PATIENCE):
            assert await told() == b"EXTEND_TIMEOUT_USEC=90000000"
            assert values["TimeoutStartSec"] == ["90s"]
            while (state := await told()) != b"READY=1":
                assert state.startswith(b"EXTEND_TIMEOUT_USEC=")
            assert (tmp_path / "lib" / "endpoints.json").exists()
            assert await told() == b"WATCHDOG=1"
            # The service's user owns what it needs, and writes nothing elsewhere.
            made = {path.name for path in tmp_path.iterdir()}
            assert made == {"gateway.yaml", "lib", "output"}
            assert values["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
            process.send_signal(signal.SIGHUP)
            while "configuration reloaded" not in output.read_text():
                await asyncio.sleep(0.02)
    finally:
        process.terminate()
    assert await asyncio.to_thread(process.wait, PATIENCE) == 0
    assert await told() == b"STOPPING=1"
