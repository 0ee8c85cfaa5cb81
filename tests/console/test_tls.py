"""The console over HTTPS, with the server's certificate."""

from pathlib import Path

import httpx

from support.certificates import IssuedFiles
from support.patience import PATIENCE
from support.program import Program


async def test_the_console_has_the_servers_certificate(tmp_path: Path, issued: IssuedFiles) -> None:
    program = Program(
        tmp_path,
        {
            "secrets": {"dir": str(issued.directory)},
            "server": {"tls": {"cert": "server.pem", "key": "server.key"}},
        },
        "--console",
    )
    at = await program.start()
    try:
        assert at["console"].startswith("https://127.0.0.1:")
        async with httpx.AsyncClient(
            base_url=at["console"], verify=issued.client(), timeout=PATIENCE, follow_redirects=True
        ) as http:
            headers = {"Origin": at["console"]}
            page = await http.post("/sign-in", data={"key": at["key"]}, headers=headers)
            assert "There is no webhook yet." in page.text
            cookie = page.history[0].headers["set-cookie"]
            assert cookie.startswith("__Host-")
            assert "Secure" in cookie
            assert "strict-transport-security" in page.headers
    finally:
        assert await program.stop() == 0
    assert "Traceback" not in program.output, program.output
