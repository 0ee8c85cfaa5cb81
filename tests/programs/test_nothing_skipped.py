"""Events that the gateway must not take for ones it knows, with the real program."""

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

from support.checkpoints import until_checkpointed
from support.client import Client, connected, event
from support.patience import PATIENCE
from support.program import LOOPBACK, Program, running
from support.receiver import Receiver

CONFIG = LOOPBACK | {"ingest": {"subjects": ["load.>"]}}


async def _publish(client: Client, sent: dict[str, Any]) -> None:
    await client.nats.jetstream().publish(sent["type"], json.dumps(sent).encode())


async def _received(receiver: Receiver, path: str, count: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while len(receiver.requests_to(path)) < count:
            await asyncio.sleep(0.05)


async def test_a_webhook_registered_again_gets_what_is_published_again(
    tmp_path: Path, receiver: Receiver
) -> None:
    """The records of the deleted webhook with the same id do not count."""
    async with running(Program(tmp_path, CONFIG)) as client:
        await client.webhook(id="w", url=f"{receiver.url}/first", events=["load.*"])
        sent = event("load.made")
        await _publish(client, sent)
        await client.until("w", sent["id"], "succeeded")
        await client.http.delete("/v1/webhooks/w")
        second = {"id": "w", "url": f"{receiver.url}/second", "events": ["load.*"]}
        async with asyncio.timeout(PATIENCE):
            while (await client.http.post("/v1/webhooks", json=second)).status_code != 201:
                await asyncio.sleep(0.05)
        await _publish(client, sent)
        await _received(receiver, "/second", 1)


async def test_an_id_that_looks_like_the_key_of_another_event(
    tmp_path: Path, receiver: Receiver
) -> None:
    async with running(Program(tmp_path, CONFIG)) as client:
        await client.webhook(id="w", url=f"{receiver.url}/w", events=["load.*"])
        suffix = hashlib.sha256(b"s2").hexdigest()[:16]
        await _publish(client, event("load.made", id="a", source="s1"))
        await _publish(client, event("load.made", id=f"a~{suffix}", source="s3"))
        await _received(receiver, "/w", 2)
        await _publish(client, event("load.made", id="a", source="s2"))
        await _received(receiver, "/w", 3)


async def test_a_log_deleted_while_the_gateway_is_down_begins_behind_registrations(
    tmp_path: Path, receiver: Receiver
) -> None:
    """Also where no webhook matched an event of the deleted log."""
    program = Program(tmp_path, CONFIG)
    at = await program.start()
    try:
        async with connected(at["http"], at["nats"], at["key"]) as client:
            for _ in range(20):
                await client.send(event("load.made"))
            await client.webhook(id="w", url=f"{receiver.url}/w", events=["load.*"])
            await until_checkpointed(at["redis"], client.nats)
            await client.nats.jetstream().delete_stream("GATEWAY_EVENTS")
            program.kill()
        at = await program.start()
        async with connected(at["http"], at["nats"], at["key"]) as client:
            await client.send(event("load.made"))
            await _received(receiver, "/w", 1)
    finally:
        await program.stop()


async def test_the_copies_of_positions_are_deleted(tmp_path: Path, receiver: Receiver) -> None:
    """An ordered webhook that starts afterwards creates their bucket again."""
    async with running(Program(tmp_path, CONFIG)) as client:
        definition = {"events": ["load.*"], "ordered": True}
        await client.webhook(id="first", url=f"{receiver.url}/first", **definition)
        await client.send(event("load.made"))
        await _received(receiver, "/first", 1)
        await client.nats.jetstream().delete_stream("KV_GATEWAY_POSITIONS")
        await client.webhook(id="second", url=f"{receiver.url}/second", **definition)
        await client.send(event("load.made"))
        await _received(receiver, "/second", 1)
