"""The least permissions in NATS, as docs/operations/permissions.md lists: enough, each is named."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from support.client import connected, event
from support.patience import PATIENCE
from support.program import LOOPBACK, Program
from support.receiver import Receiver
from support.secured_servers import nats

PAGE = Path(__file__).parents[2] / "docs" / "operations" / "permissions.md"
# Named when they are used: services subscribe to these subjects, so the start does not try them.
LATER = {"load.>", "events.>", "webhook.>", "stream.>", "gateway.>", "eg.subscribers"}
PASSWORD = "p@ss/w:rd?"


def _documented() -> tuple[list[str], list[str]]:
    block = re.search(r"```\npublish: (\[.*?\])\nsubscribe: (\[.*?\])\n```", PAGE.read_text(), re.S)
    assert block is not None
    publish, subscribe = (re.findall(r'"([^"]+)"', found) for found in block.groups())
    return ["load.>" if subject == "orders.>" else subject for subject in publish], subscribe


@contextlib.asynccontextmanager
async def _nats(
    directory: Path, publish: Sequence[str], subscribe: Sequence[str]
) -> AsyncIterator[int]:
    permissions = (
        f"{{ publish: {json.dumps(list(publish))}, subscribe: {json.dumps(list(subscribe))} }}"
    )
    admin = "{ user: admin, password: admin }"
    users = (
        f"authorization {{ users: [ {admin}, {{ user: gateway, password: {json.dumps(PASSWORD)}, "
        f"permissions: {permissions} }} ] }}\n"
    )
    async with nats(directory, users) as port:
        yield port


def _config(port: int, receiver: Receiver | None, password: str) -> dict[str, Any]:
    config: dict[str, Any] = LOOPBACK | {
        "nats": {"url": f"nats://gateway:{password}@127.0.0.1:{port}"},
        "ingest": {"subjects": ["load.>"]},
    }
    if receiver is not None:
        config["webhooks"] = {"w": {"url": f"{receiver.url}/w", "events": ["load.made"]}}
    return config


@pytest.mark.parametrize("password", [PASSWORD, "p%40ss%2Fw%3Ard%3F"])
async def test_the_documented_permissions_are_enough(
    tmp_path: Path, receiver: Receiver, password: str
) -> None:
    async with _nats(tmp_path, *_documented()) as port:
        program = Program(tmp_path, _config(port, receiver, password))
        at = await program.start()
        try:
            async with connected(
                at["http"], f"nats://admin:admin@127.0.0.1:{port}", at["key"]
            ) as client:
                sent = event("load.made")
                await client.send(sent)
                await client.until("w", sent["id"], "succeeded")
                created = await client.http.post(
                    "/v1/streams", json={"name": "s", "subjects": ["load.*"]}
                )
                assert created.status_code == 201, created.text
                async with asyncio.timeout(PATIENCE):
                    while not (await client.http.get("/v1/streams/s/messages")).json()["items"]:
                        await asyncio.sleep(0.05)
                assert (await client.http.delete("/v1/streams/s")).status_code == 204
                assert (await client.http.request("DELETE", "/v1/dead-letters")).status_code < 500
                assert (await client.http.get("/readyz")).json() == {"status": "ok", "reasons": []}
        finally:
            await program.stop()
    assert "does not allow" not in program.output


async def test_each_missing_permission_is_named(tmp_path: Path) -> None:
    """At the start, which is refused, or in the log and in /readyz."""
    publish, subscribe = _documented()
    for kind, missing in [("publish", subject) for subject in publish if subject not in LATER] + [
        ("subscribe", subject) for subject in subscribe
    ]:
        allowed = (
            [subject for subject in publish if kind != "publish" or subject != missing],
            [subject for subject in subscribe if kind != "subscribe" or subject != missing],
        )
        async with _nats(tmp_path, *allowed) as port:
            program = Program(tmp_path, _config(port, None, PASSWORD))
            before = len(program.output)
            starting = asyncio.create_task(program.start())
            named = rf'does not allow this user to {kind} to \\?"{re.escape(missing)}'
            async with asyncio.timeout(PATIENCE):
                while not re.search(named, program.output[before:]):
                    assert not starting.done() or not starting.exception(), (
                        missing,
                        program.output,
                    )
                    await asyncio.sleep(0.05)
            with contextlib.suppress(AssertionError):
                await starting
            await program.stop()
            assert "Traceback" not in program.output[before:], program.output
