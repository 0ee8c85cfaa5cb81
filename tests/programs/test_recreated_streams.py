"""Streams that somebody else deletes and creates again, so that their sequences go back."""

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio
from nats.js.api import StreamConfig
from nats.js.errors import KeyNotFoundError

from support.checkpoints import until_checkpointed
from support.client import Client, connected, event
from support.looks import until_copied, until_seen
from support.patience import PATIENCE
from support.program import LOOPBACK, Program
from support.receiver import Receiver
from support.stopping import stop_process

BEFORE = 30  # events of the former log


def _config(receiver: Receiver) -> dict[str, Any]:
    return LOOPBACK | {
        "ingest": {"subjects": ["load.>"]},
        "webhooks": {
            "ordered": {"url": f"{receiver.url}/ordered", "events": ["load.*"], "ordered": True}
        },
        "streams": {"all": {"subjects": ["load.*"]}},
    }


async def _publish(client: Client, sent: dict[str, Any]) -> None:
    """Publishes an event on NATS, until the log stores it."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await client.nats.jetstream().publish(sent["type"], json.dumps(sent).encode())
            except Exception:
                await asyncio.sleep(0.05)
            else:
                return


async def _received(receiver: Receiver, path: str, ids: list[str]) -> None:
    async with asyncio.timeout(PATIENCE):
        while set(ids) - {each.json["id"] for each in receiver.requests_to(path)}:
            await asyncio.sleep(0.05)


async def _ok(client: Client) -> None:
    async with asyncio.timeout(PATIENCE):
        while (await client.http.get("/readyz")).json()["status"] != "ok":
            await asyncio.sleep(0.05)


async def _create_again(client: Client, stream: str) -> None:
    js = client.nats.jetstream()
    config = (await js.stream_info(stream)).config
    await js.delete_stream(stream)
    await js.add_stream(StreamConfig(name=stream, subjects=config.subjects, sources=config.sources))


async def _stream_holds(client: Client, ids: list[str]) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            page = (await client.http.get("/v1/streams/all/messages?limit=1000")).json()
            if not set(ids) - {item["event"]["id"] for item in page["items"]}:
                return
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("stopped", [False, True])
async def test_an_events_log_that_counts_from_one_again(
    tmp_path: Path, receiver: Receiver, stopped: bool
) -> None:
    """No event in it is skipped for what was known of the former one: not by webhooks, ordered ones
    and named streams, and not if its source and id were recorded there."""
    program = Program(tmp_path, _config(receiver))
    at = await program.start()
    try:
        async with connected(at["http"], at["nats"], at["key"]) as client:
            before = [event("load.made") for _ in range(BEFORE)]
            for sent in before:
                await _publish(client, sent)
            await client.webhook(id="w", url=f"{receiver.url}/w", events=["load.*"])
            waiting = event("load.made")
            receiver.answers["/dead"] = [500]
            await client.webhook(
                id="dead", url=f"{receiver.url}/dead", events=["load.*"],
                retry_policy={"initial_delay": "1h"},
            )  # fmt: skip
            await _publish(client, waiting)
            await _received(receiver, "/dead", [waiting["id"]])
            await _received(receiver, "/ordered", [waiting["id"]])
            # All that the gateway keeps of the log is at its end.
            await until_seen(client, BEFORE + 1)
            end = await until_checkpointed(at["redis"], client.nats)
            await until_copied(client, "ordered", end)
            after = [waiting, *(event("load.made") for _ in range(3))]
            if stopped:
                stop_process(program.pid)  # its servers go on
            await _create_again(client, "GATEWAY_EVENTS")
            receiver.requests.clear()
            receiver.answers.clear()
            if stopped:
                for sent in after:
                    await _publish(client, sent)
                program.kill()
        if stopped:
            at = await program.start()
        async with connected(at["http"], at["nats"], at["key"]) as client:
            if not stopped:
                for sent in after:
                    await _publish(client, sent)
            ids = [sent["id"] for sent in after]
            for path in ("/w", "/ordered", "/dead"):
                await _received(receiver, path, ids)
            await _stream_holds(client, ids)
            await _ok(client)
            info = await client.nats.jetstream().stream_info("GATEWAY_EVENTS")
            assert info.state.last_seq < BEFORE
            assert info.config.max_age == 7 * 86400  # the gateway's own settings
    finally:
        await program.stop()
    # The line that the health is degraded, where that lasted for a while, has other words.
    lines = [line for line in program.output.splitlines() if "of a stream have gone back" in line]
    assert len(lines) == 1, lines
    assert "Traceback" not in program.output, program.output


async def test_a_log_that_is_created_again_while_redis_takes_nothing(
    tmp_path: Path, receiver: Receiver
) -> None:
    """It is adopted when Redis is back; a named stream has each event once, however often the
    gateway has tried, and a stream that was just registered is not taken for one of before."""
    program = Program(tmp_path, _config(receiver))
    at = await program.start()
    try:
        async with connected(at["http"], at["nats"], at["key"]) as client:
            js = client.nats.jetstream()
            registry = await js.key_value("GATEWAY_REGISTRY")
            await client.http.post("/v1/streams", json={"name": "new", "subjects": ["other.*"]})
            created = (await js.stream_info("GATEWAY_STREAM_new")).created
            async with asyncio.timeout(PATIENCE):
                while True:
                    with contextlib.suppress(KeyNotFoundError):
                        entry = await registry.get("log.GATEWAY_STREAM_new")
                        break
                    await asyncio.sleep(0.05)
            assert json.loads(entry.value or b"")["log"]["created"] == str(created)

            before = [event("load.made") for _ in range(BEFORE)]
            for sent in before:
                await _publish(client, sent)
            await _received(receiver, "/ordered", [sent["id"] for sent in before])
            await _stream_holds(client, [sent["id"] for sent in before])
            admin: Any = redis.asyncio.from_url(at["redis"])
            await admin.config_set("maxmemory", "1")
            await _create_again(client, "GATEWAY_EVENTS")
            after = [event("load.made") for _ in range(3)]
            for sent in after:
                await _publish(client, sent)
            async with asyncio.timeout(PATIENCE):
                while "gone back" not in (await client.http.get("/readyz")).text:
                    await asyncio.sleep(0.05)
            # Time is what counts: nothing tells of the further attempts, one a second. On a busy
            # machine there are fewer, and the test asks for less.
            await asyncio.sleep(2.5)
            await admin.config_set("maxmemory", "0")
            await admin.aclose()
            ids = [sent["id"] for sent in after]
            await _received(receiver, "/ordered", ids)
            await _stream_holds(client, ids)
            await _ok(client)
            page = (await client.http.get("/v1/streams/all/messages?limit=1000")).json()
            held = [item["event"]["id"] for item in page["items"]]
            assert {event_id: held.count(event_id) for event_id in ids} == dict.fromkeys(ids, 1)
    finally:
        await program.stop()
    assert "Traceback" not in program.output, program.output
    assert program.output.count("of a stream have gone back") == 1
