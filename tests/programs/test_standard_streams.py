"""``serve`` runs and ends as usual where nobody can read its standard output and error."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from support.gateway_process import GatewayProcess
from support.patience import PATIENCE

# As in a new process that was started with these streams closed: Python has None for them.
CLOSED = """
import os, sys
from event_gateway.cli import main
open_closed_streams = main.open_closed_streams
def close():
    for number in (0, 1, 2):
        os.close(number)
    sys.stdin = sys.stdout = sys.stderr = None
    open_closed_streams()
main.open_closed_streams = close
"""


def _unread() -> int:
    """A pipe that nobody reads any more."""
    reading, writing = os.pipe()
    os.close(reading)
    return writing


@pytest.mark.parametrize("output", ["closed", "full", "unread"])
@pytest.mark.parametrize("workers", ["1", "2"])
async def test_the_gateway_serves_without_an_output(
    tmp_path: Path, output: str, workers: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text(CLOSED if output == "closed" else "")
    stream = _unread() if output == "unread" else os.open("/dev/full", os.O_WRONLY)
    words = ["serve", "--port", "0", "--data-dir", str(tmp_path), "--no-console",
             "--workers", workers, "--log-level", "debug"]  # fmt: skip
    process = GatewayProcess(
        words, (stream, stream, stream), environ=os.environ | {"PYTHONPATH": str(tmp_path)}
    )
    os.close(stream)
    file = tmp_path / "endpoints.json"
    async with asyncio.timeout(PATIENCE):
        while not file.exists():
            assert process.poll() is None, process.returncode
            await asyncio.sleep(0.02)
    endpoints = json.loads(file.read_text())
    async with httpx.AsyncClient(base_url=endpoints["http"]) as http:
        assert (await http.get("/healthz")).status_code == 200
    if output == "closed":  # their numbers are not those of sockets and files
        places = {os.readlink(f"/proc/{endpoints['pid']}/fd/{number}") for number in (0, 1, 2)}
        assert places == {os.devnull}
    process.terminate()
    assert await asyncio.to_thread(process.wait, PATIENCE) == 0


def test_a_command_runs_with_all_its_streams_closed() -> None:
    """In a real new process."""
    command = f'exec "{sys.executable}" -m event_gateway --version <&- >&- 2>&-'
    assert subprocess.run(["/bin/sh", "-c", command], check=False).returncode == 0
