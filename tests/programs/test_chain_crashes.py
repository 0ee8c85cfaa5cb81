"""A chain has neither a gap nor a record twice, whichever process dies while it writes."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from event_gateway.core.access.sealing import new_key
from event_gateway.core.compliance.export import MessageLine, decode_line
from event_gateway.core.compliance.verification import ChainVerification
from support.client import Client, event
from support.exports import KEY
from support.patience import PATIENCE
from support.peers import Peers

CONFIG: dict[str, Any] = {
    "streams": {"audit": {"subjects": ["audit.events.*"], "compliance": True}},
    "compliance": {"chain_every": "100ms", "anchor_every": "1s"},
}


async def _covered(client: Client) -> int:
    answer = await client.http.get("/v1/streams/audit/chain")
    return int(answer.json()["chained_to"]) if answer.status_code == 200 else 0


async def _until_covers(client: Client, seq: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while await _covered(client) < seq:
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def _publishing(client: Client) -> AsyncIterator[list[int]]:
    """Publishes events until the end of the block; the list has how many."""
    count = [0]

    async def publish() -> None:
        while True:
            sent = event("audit.events.made", {"n": count[0]})
            await client.nats.publish("audit.events.made", json.dumps(sent).encode())
            count[0] += 1
            await asyncio.sleep(0.002)

    task = asyncio.create_task(publish())
    try:
        yield count
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await client.nats.flush()


@pytest.mark.parametrize("sealed_by", [None, "source"])
async def test_processes_are_killed_while_they_chain(
    tmp_path: Path, peers: Peers, sealed_by: str | None
) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "anchor_key").write_text(KEY)
    (secrets / "sealing_key").write_text(new_key())
    config: dict[str, Any] = CONFIG | {"secrets": {"dir": str(secrets)}}
    if sealed_by is not None:  # then the gateway copies the log itself
        config["streams"] = {"audit": CONFIG["streams"]["audit"] | {"sealed_by": sealed_by}}
    async with contextlib.AsyncExitStack() as stack:
        clients = await peers.start(stack, config, config, config)
        last = clients[2]
        async with _publishing(last) as count:
            await _until_covers(last, 50)
            for program in peers.programs[:2]:  # one of the three leads, and then another
                program.kill()
                await program.ended()
                await _until_covers(last, count[0])
            (again,) = await peers.start(stack, config)
            peers.programs[2].kill()
            await peers.programs[2].ended()
            await _until_covers(again, count[0])
        js = last.nats.jetstream()
        async with asyncio.timeout(PATIENCE):
            while (await js.stream_info("GATEWAY_STREAM_audit")).state.messages < count[0]:
                await asyncio.sleep(0.05)
        await _until_covers(again, count[0])
        lines = (await again.http.get("/v1/streams/audit/export")).content.splitlines()
    check = ChainVerification(now=time.time())
    for line in lines:
        check.add(line)
    report = check.finish()
    assert report["problems"] == []
    assert report["messages"] == report["chained_to"] == count[0]
    records = [each for line in lines if (each := msgspec.to_builtins(decode_line(line)))["type"]
               == "record"]  # fmt: skip
    messages = [each for line in lines if isinstance(each := decode_line(line), MessageLine)]
    if sealed_by is not None:
        assert not any('"n"' in each.data for each in messages)
    ids = [json.loads(each.data)["id"] for each in messages]
    assert len(set(ids)) == len(ids) == count[0]
    assert sum(record["last"] - record["first"] + 1 for record in records) == count[0]
