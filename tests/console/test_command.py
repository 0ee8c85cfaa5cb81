"""``event-gateway console``: a console beside a gateway that runs elsewhere."""

import asyncio
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx

from event_gateway.cli.process.serve import Running
from event_gateway.embedded.process import killed_with_parent
from support.patience import PATIENCE


async def test_a_console_beside_a_gateway(gateway: Running, tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "event_gateway", "console", "--port", "0", "--name", "Acme",
        "--url", gateway.http_url, "--key", gateway.admin_key,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=killed_with_parent,
        env={"XDG_CONFIG_HOME": str(tmp_path), "PATH": "/usr/bin"},
    )  # fmt: skip
    assert process.stdout is not None
    out = ""
    try:
        async with asyncio.timeout(PATIENCE):
            while (match := re.search(r"sign in once +(http://\S+)", out)) is None:
                line = await process.stdout.readline()
                assert line, out
                out += line.decode()
        assert gateway.admin_key not in out
        async with httpx.AsyncClient(timeout=PATIENCE, follow_redirects=True) as http:
            page = await http.get(match[1])
        assert "Overview" in page.text
        assert "Acme" in page.text
        assert (tmp_path / "event-gateway" / "console" / "session.key").exists()
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), PATIENCE) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
