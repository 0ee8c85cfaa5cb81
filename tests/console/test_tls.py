"""The console over HTTPS, with the server's certificate."""

import asyncio
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from support.certificates import IssuedFiles
from support.patience import PATIENCE
from support.program import Program


async def _served(url: str, issued: IssuedFiles) -> bytes:
    """The certificate that a new connection is shown; empty while none can be made."""
    parts = urlsplit(url)
    try:
        _, writer = await asyncio.open_connection(
            parts.hostname, parts.port, ssl=issued.client(), ssl_handshake_timeout=PATIENCE
        )
    except OSError:
        return b""
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return bytes(shown)


async def _status(http: httpx.AsyncClient, path: str) -> int:
    try:
        return (await http.get(path)).status_code
    except httpx.TransportError:
        return 0


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
            # A renewed certificate is served, and the gateway is known by it.
            former = await _served(at["console"], issued)
            issued.serve()
            async with asyncio.timeout(PATIENCE):
                while await _served(at["console"], issued) in (b"", former):
                    await asyncio.sleep(0.1)
                while (await _status(http, "/webhooks")) != 200:
                    await asyncio.sleep(0.1)
    finally:
        assert await program.stop() == 0
    assert "Traceback" not in program.output, program.output


async def test_the_console_shows_a_client_certificate(tmp_path: Path, issued: IssuedFiles) -> None:
    issued.issue("console")
    program = Program(
        tmp_path,
        {
            "secrets": {"dir": str(issued.directory)},
            "server": {
                "tls": {
                    "cert": "server.pem", "key": "server.key", "client_ca": "ca.pem",
                    "client_certificate": "required",
                }
            },
            "console": {"client_certificate": {"cert": "console.pem", "key": "console.key"}},
        },
        "--console",
    )  # fmt: skip
    at = await program.start()
    try:
        # The gateway answers nobody without a certificate; browsers need none for the console.
        async with httpx.AsyncClient(verify=issued.client(), timeout=PATIENCE) as http:
            with pytest.raises((httpx.TransportError, ssl.SSLError)):
                await http.get(f"{at['http']}/v1/overview")
        async with httpx.AsyncClient(
            base_url=at["console"], verify=issued.client(), timeout=PATIENCE, follow_redirects=True
        ) as http:
            page = await http.post(
                "/sign-in", data={"key": at["key"]}, headers={"Origin": at["console"]}
            )
            assert "There is no webhook yet." in page.text
            # A user without a key is no caller: the certificate is the console's, and not a caller.
            page = await http.post(
                "/sign-in", data={"key": "egk_wrong"}, headers={"Origin": at["console"]}
            )
            assert page.status_code == 401
    finally:
        assert await program.stop() == 0
    assert "Traceback" not in program.output, program.output
