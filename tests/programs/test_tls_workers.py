"""``serve --workers`` over TLS, as a program: commands, reloads, renewed files, the end."""

import asyncio
import ssl
from pathlib import Path
from typing import Any

import httpx
import yaml

from support.certificates import IssuedFiles
from support.command import command
from support.patience import PATIENCE
from support.program import Program


async def test_workers_speak_tls(tmp_path: Path, issued: IssuedFiles) -> None:
    config: dict[str, Any] = {
        "secrets": {"dir": str(issued.directory)},
        "server": {"tls": {"cert": "server.pem", "key": "server.key"}},
    }
    program = Program(tmp_path, config, "--workers", "2", "--host", "127.0.0.1")
    at = await program.start()
    try:
        assert at["http"].startswith("https://127.0.0.1:")
        place = {"EVENT_GATEWAY_URL": at["http"], "EVENT_GATEWAY_KEY": at["key"]}
        # The command in the folder of the data directory expects the gateway's own certificate;
        # others need the authority.
        local, named, none = await asyncio.gather(
            command("webhooks", "list", "--json", directory=tmp_path),
            command("webhooks", "list", "--json", "--ca", str(issued.ca), **place),
            command("webhooks", "list", **place),
        )
        assert [local.json, named.json] == [[], []]
        none.assert_refused(1, "certificate")

        # A reload with files that cannot be used changes nothing.
        wrong = yaml.safe_load(yaml.safe_dump(config))
        wrong["server"]["tls"]["key"] = "alice.key"
        output = await program.reload(wrong, "not reloaded")
        assert "server.tls.key: alice.key: the private key does not belong" in output
        wrong["server"]["tls"] = None
        # Until then a second process may still tell of the first file.
        await program.reload(wrong, "server.tls: cannot change without a restart")
        # Another pair of files in the configuration, in both processes.
        issued.serve()
        (issued.directory / "server.pem").rename(issued.directory / "next.pem")
        (issued.directory / "server.key").rename(issued.directory / "next.key")
        config["server"]["tls"] = {"cert": "next.pem", "key": "next.key"}
        await program.reload(config, "configuration reloaded")
        expected = ssl.PEM_cert_to_DER_cert((issued.directory / "next.pem").read_text())
        async with asyncio.timeout(PATIENCE):
            for _ in range(8):
                while await _certificate(at["http"], issued.client()) != expected:
                    await asyncio.sleep(0.05)
        # The end: a request that is under way is answered.
        async with httpx.AsyncClient(verify=issued.client(), timeout=PATIENCE) as http:
            assert (await http.get(f"{at['http']}/healthz")).status_code == 200
            assert await program.stop() == 0
    finally:
        await program.stop()
    assert "Traceback" not in program.output
    assert "PRIVATE KEY" not in program.output


async def _certificate(url: str, context: ssl.SSLContext) -> bytes | None:
    host, _, port = url.removeprefix("https://").partition(":")
    _, writer = await asyncio.open_connection(host, int(port), ssl=context)
    tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
    writer.close()
    return tls.getpeercert(binary_form=True)
