"""``event-gateway console``: a console beside a gateway that runs elsewhere."""

import re
from pathlib import Path

import httpx

from event_gateway.cli.process.serve import Running
from support.command import start_command
from support.patience import PATIENCE


async def test_a_console_beside_a_gateway(gateway: Running, tmp_path: Path) -> None:
    running = await start_command(
        "console", "--port", "0", "--name", "Acme",
        "--url", gateway.http_url, "--key", gateway.admin_key, XDG_CONFIG_HOME=str(tmp_path),
    )  # fmt: skip
    out = ""
    try:
        while (match := re.search(r"sign in once +(http://\S+)", out)) is None:
            line = await running.line()
            assert line, out
            out += line
        assert gateway.admin_key not in out
        async with httpx.AsyncClient(timeout=PATIENCE, follow_redirects=True) as http:
            page = await http.get(match[1])
        assert "Overview" in page.text
        assert "Acme" in page.text
        assert (tmp_path / "event-gateway" / "console" / "session.key").exists()
    finally:
        running.process.terminate()
    assert (await running.ended()).status == 0
