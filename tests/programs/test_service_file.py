"""The commands of the systemd unit, with the paths of a test: start, reload, stop."""

import asyncio
import os
import shlex
import signal
from pathlib import Path

from support.command import command
from support.gateway_process import GatewayProcess
from support.patience import PATIENCE
from support.service_file import service_file


async def test_the_service_starts_reloads_and_stops(tmp_path: Path) -> None:
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
    endpoints = tmp_path / "lib" / "endpoints.json"
    with output.open("w") as file, Path(os.devnull).open() as nothing:
        process = GatewayProcess(
            start, (nothing.fileno(), file.fileno(), file.fileno()), environ=dict(os.environ),
            directory=tmp_path / "lib",
        )  # fmt: skip
    try:
        async with asyncio.timeout(PATIENCE):
            while not endpoints.exists():
                assert process.poll() is None, output.read_text()
                await asyncio.sleep(0.02)
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
