"""Sources of the file follow a reload, in all processes of a program."""

import asyncio
import hmac
from pathlib import Path
from typing import Any

import httpx

from support.client import connected
from support.command import command
from support.patience import PATIENCE
from support.program import LOOPBACK, Program

BODY = b'{"n":1}'


def _config(tmp_path: Path, **sources: Any) -> dict[str, Any]:
    return LOOPBACK | {"secrets": {"dir": str(tmp_path / "secrets")}, "sources": sources}


def _headers(secret: str, delivery: str) -> dict[str, str]:
    signature = hmac.new(secret.encode(), BODY, "sha256").hexdigest()
    return {"X-GitHub-Event": "push", "X-GitHub-Delivery": delivery,
            "X-Hub-Signature-256": f"sha256={signature}"}  # fmt: skip


async def test_sources_follow_the_file(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    # Two values, one a line: the time of a rotation.
    (tmp_path / "secrets/gh").write_text("new\nold\n")
    gh = {"type": "github", "secret_name": "gh"}
    gone = {"type": "slack", "secret_name": "sl"}
    program = Program(tmp_path, _config(tmp_path, gh=gh, gone=gone), "--workers", "2")
    at = await program.start()
    try:
        async with (
            connected(at["http"], at["nats"], at["key"]) as client,
            httpx.AsyncClient(base_url=at["http"], timeout=PATIENCE) as sender,
        ):
            for number, secret in enumerate(("new", "old")):
                answer = await sender.post(
                    "/v1/sources/gh", content=BODY, headers=_headers(secret, f"d{number}")
                )
                assert answer.status_code == 200, answer.text
            changed = gh | {"event": {"type": "code.{x-github-event}"}}
            added = {"type": "stripe", "secret_name": "st"}
            program.configure(_config(tmp_path, gh=changed, added=added))
            place = ("--url", at["http"], "--key", at["key"])
            planned = await command("reload", "--dry-run", *place)
            assert planned.out.splitlines() == [
                "+ source added", "~ source gh",
                '    event: {} -> {"type": "code.{x-github-event}"}', "- source gone",
                "would reload: 1 to create, 1 to change, 1 to delete",
            ], planned.out + planned.err  # fmt: skip
            await program.reload(_config(tmp_path, gh=changed, added=added), "reloaded")
            names: list[str] = []
            async with asyncio.timeout(PATIENCE):  # until the process of each connection has it
                while names != ["added", "gh"]:
                    listed = (await client.http.get("/v1/sources")).json()["items"]
                    names = [item["name"] for item in listed]
                while (await sender.post("/v1/sources/gone", content=BODY)).status_code != 404:
                    await asyncio.sleep(0.05)
            answer = await sender.post(
                "/v1/sources/gh", content=BODY, headers=_headers("new", "d9")
            )
            assert answer.status_code == 200
            shown = (await client.http.get("/v1/events/d9")).json()
            assert (shown["event"]["type"], shown["origin"]) == ("code.push", "gh")
            # A file that cannot be used changes nothing.
            wrong = _config(tmp_path, gh=gh | {"type": "githb"})
            output = await program.reload(wrong, "the former one stays")
            assert "sources.gh.type" in output
            assert (await client.http.get("/v1/sources")).json()["total"] == 2
        assert await program.stop() == 0
    finally:
        await program.stop()
    assert "Traceback" not in program.output, program.output
