"""Backups of a gateway that works, and what goes on after they are restored."""

import asyncio
import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio

from event_gateway.state.keys import DUE, QUEUE
from support.checkpoints import until_checkpointed
from support.client import Client, connected, event
from support.command import command
from support.patience import PATIENCE
from support.program import LOOPBACK, Program, running
from support.receiver import Receiver

# Receivers that fail are tried again and again, whatever the circuit breaker would say.
STUBBORN = {
    "retry_policy": {"max_attempts": 100, "initial_delay": "3s", "max_delay": "3s"},
    "circuit_breaker": {"failure_threshold": 10000},
}
STREAM = {"streams": {"work": {"subjects": ["user.*"], "retention": "1d"}}}


class Traffic:
    """Events that are published one after the other, over HTTP and NATS, until it is stopped."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._stopped = False
        self.accepted: list[str] = []

    async def run(self) -> None:
        js = self._client.nats.jetstream()
        while not self._stopped:
            built = [event("user.a") for _ in range(8)]
            await self._client.send(built[:4])
            for each in built[4:]:
                await js.publish("user.a", json.dumps(each).encode())
            self.accepted += [each["id"] for each in built]

    def stop(self) -> None:
        self._stopped = True


def _ids(receiver: Receiver, path: str, status: int = 200) -> list[str]:
    return [
        request.json["id"] for request in receiver.requests_to(path) if request.status == status
    ]


@pytest.mark.parametrize("target", ["copy", "copy.tar"])
async def test_a_restored_gateway_goes_on_where_the_backup_was_made(
    tmp_path: Path, receiver: Receiver, target: str
) -> None:
    """The backup is made while events come in and deliveries fail. Every event in it reaches every
    webhook: before the original gateway is killed, or from the restored one."""
    receiver.answers["/down"] = [500]
    program = Program(tmp_path, LOOPBACK | STREAM)
    at = await program.start()
    async with connected(at["http"], at["nats"], at["key"]) as client:
        for path, more in (("up", {}), ("down", {}), ("ordered", {"ordered": True})):
            await client.webhook(
                id=path, url=f"{receiver.url}/{path}", events=["user.*"], **(STUBBORN | more)
            )
        secret = await client.http.put("/v1/secrets/token", json={"value": "of the receiver"})
        assert secret.status_code == 201, secret.text
        early = [event("user.a") for _ in range(200)]
        await client.send(early)
        for path in ("/up", "/ordered"):
            await receiver.until(len(early), path)
        await until_checkpointed(at["redis"], client.nats)

        traffic = Traffic(client)
        sending = asyncio.create_task(traffic.run())
        async with asyncio.timeout(PATIENCE):
            while len(traffic.accepted) < 80:
                await asyncio.sleep(0.01)
        made = await command("backup", str(tmp_path / target), "--data-dir", str(program.data))
        assert made.status == 0, made.err
        assert "keep that sealing key elsewhere" in made.out
        before = len(traffic.accepted)
        async with asyncio.timeout(PATIENCE):
            while len(traffic.accepted) < before + 40:
                await asyncio.sleep(0.01)
        traffic.stop()
        await sending
    program.kill()

    (tmp_path / "other").mkdir()
    other = Program(tmp_path / "other", LOOPBACK | STREAM)
    words = [str(tmp_path / target), "--data-dir", str(other.data)]
    restored = await command("restore", *words)
    assert restored.status == 0, restored.err
    assert "sealing key" in restored.out
    shutil.copy(program.data / "sealing.key", other.data / "sealing.key")
    # Not before: the receiver may have had a request of the killed gateway still to answer.
    delivered = {path: set(_ids(receiver, path)) for path in ("/up", "/down", "/ordered")}
    assert not delivered["/down"]
    receiver.requests.clear()
    receiver.answers["/down"] = [200]

    async with running(other) as client:
        messages = await client.stream_messages("GATEWAY_EVENTS")
        log = [json.loads(message.data)["id"] for message in messages]
        # All that was accepted before the backup began is in it, in order, and nothing twice.
        assert log[: len(early)] == [each["id"] for each in early]
        assert len(set(log)) == len(log) > len(early) + 80
        later = event("user.a")
        await client.send(later)
        for path, known in delivered.items():
            async with asyncio.timeout(PATIENCE):
                while missing := {*log, later["id"]} - known - set(_ids(receiver, path)):
                    await asyncio.sleep(0.05)
                    assert other.runs, (path, missing, other.output)
        # What was finished long before the backup is not delivered again.
        again = set(_ids(receiver, "/up")) & {each["id"] for each in early}
        assert not again, (len(again), other.output)
        order = [log.index(id_) for id_ in _ids(receiver, "/ordered") if id_ in log]
        assert order == sorted(order)
        async with client.websocket() as socket:
            request = {"action": "subscribe", "stream": "work", "from": "first"}
            assert (await socket.request(**request))["type"] == "subscribed"
            seen: list[str] = []
            while len(seen) < len(log) + 1:
                frame = await socket.next()
                if frame["type"] == "event":
                    seen.append(frame["event"]["id"])
            assert seen == [*log, later["id"]], other.output
        named = (await client.http.get("/v1/secrets")).json()["items"]
        assert [each["name"] for each in named] == ["token"]
        assert named[0].get("problem") is None, named


async def test_a_backup_of_a_gateway_that_is_not_running(
    tmp_path: Path, receiver: Receiver
) -> None:
    """The command starts the embedded servers, and stops them again."""
    receiver.answers["/w"] = [500]
    program = Program(tmp_path, LOOPBACK)
    async with running(program) as client:
        waiting = {"retry_policy": {"max_attempts": 9, "initial_delay": "1h"}}
        await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], **waiting)
        sent = event("user.a")
        await client.send(sent)
        await client.until("w", sent["id"], "retrying")
    target = tmp_path / "copy"
    made = await command("backup", str(target), "--data-dir", str(program.data), "--json")
    assert made.status == 0, made.err
    assert made.json["keys"]["delivery"] == 2  # with its second reading
    assert made.json["streams"]["GATEWAY_EVENTS"] == {"messages": 1, "last_seq": 1}
    assert not list(program.data.glob("*.pid"))
    assert {path.stat().st_mode & 0o077 for path in (target, *target.glob("*.json"))} == {0}

    again = await command("restore", str(target), "--data-dir", str(program.data))
    again.assert_refused(1, "NATS has streams of a gateway already")
    other = tmp_path / "other"
    other.mkdir()
    restored = await command("restore", str(target), "--data-dir", str(other / "data"), "--json")
    assert restored.status == 0, restored.err
    assert restored.json["missing_sealing_keys"] == []
    async with running(Program(other, LOOPBACK)) as client:
        found = await client.delivery("w", sent["id"])
        assert (found["status"], len(found["attempts"])) == ("retrying", 1)
        retried = await client.http.post(f"/v1/deliveries/w/{sent['id']}/retry")
        assert retried.status_code in (200, 202), retried.text
        await receiver.until(2, "/w")


async def test_what_is_no_backup_is_refused(tmp_path: Path, receiver: Receiver) -> None:
    """It is refused before a server is started; a damaged one before anything is written."""
    program = Program(tmp_path, LOOPBACK)
    target = tmp_path / "copy"
    async with running(program) as client:
        await client.send(event("user.a"))
        made = await command("backup", str(target), "--data-dir", str(program.data))
        assert made.status == 0, made.err
        taken = await command("backup", str(target), "--data-dir", str(program.data))
        taken.assert_refused(1, "exists already")
        busy = await command("restore", str(target), "--data-dir", str(program.data))
        busy.assert_refused(1, "is in use by another gateway")
    damaged, without, newer = (tmp_path / name for name in ("damaged", "without", "newer"))
    shutil.copytree(target, damaged)
    part = next((damaged / "streams" / "GATEWAY_EVENTS").iterdir())
    kept = part.read_bytes()
    part.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
    without.mkdir()
    newer.mkdir()
    (newer / "manifest.json").write_text('{"v": 99}')
    new = tmp_path / "new" / "data"
    for source, text in (
        (without, "is not a complete backup"),
        (newer, "has format 99"),
        (tmp_path / "gone", "there is no backup"),
    ):
        refused = await command("restore", str(source), "--data-dir", str(new))
        refused.assert_refused(1, text)
        assert not new.exists()
    refused = await command("restore", str(damaged), "--data-dir", str(new))
    refused.assert_refused(1, "GATEWAY_EVENTS/000001 is damaged")
    restored = await command("restore", str(target), "--data-dir", str(new))
    assert restored.status == 0, restored.err
    absent = await command("backup", str(tmp_path / "x"), "--data-dir", str(tmp_path / "nowhere"))
    absent.assert_refused(1, "there is no data directory")


async def test_servers_of_ones_own(
    tmp_path: Path, receiver: Receiver, servers: tuple[str, str]
) -> None:
    """With configured servers none is started, and what they hold already is noticed."""
    nats_url, redis_url = servers
    own: dict[str, Any] = {"nats": {"url": nats_url}, "redis": {"url": redis_url}}
    program = Program(tmp_path, LOOPBACK | own)
    config = str(tmp_path / "gateway.yaml")
    target = str(tmp_path / "copy.tar")
    async with running(program) as client:
        await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"])
        sent = [event("user.a") for _ in range(300)]
        await client.send(sent)
        await receiver.until(len(sent), "/w")
        made = await command("backup", target, "-c", config, directory=tmp_path)
        assert made.status == 0, made.err
        assert (await command("restore", target, "-c", config)).err.startswith("NATS has streams")
        await client.nats.jetstream().delete_stream("GATEWAY_EVENTS")
    state = redis.asyncio.from_url(redis_url)
    js_names = ("GATEWAY_EVENTS", "GATEWAY_LIFECYCLE", "GATEWAY_DEAD_LETTERS", "GATEWAY_REJECTED",
                "KV_GATEWAY_REGISTRY", "KV_GATEWAY_STATUS", "GATEWAY_AUDIT")  # fmt: skip
    async with connected("http://127.0.0.1:9", nats_url, "") as bare:
        js = bare.nats.jetstream()
        for name in js_names:
            with contextlib.suppress(Exception):
                await js.delete_stream(name)
        refused = await command("restore", target, "-c", config)
        refused.assert_refused(1, "Redis has keys of a gateway already")
        await state.flushdb()
        restored = await command("restore", target, "-c", config)
        assert restored.status == 0, restored.err
        assert not await state.exists(DUE.key(), QUEUE.key("w"))
        info = await js.stream_info("GATEWAY_EVENTS")
        assert (info.state.messages, info.state.last_seq) == (len(sent), len(sent))
    await state.aclose()
