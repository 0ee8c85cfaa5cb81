"""Data of earlier versions is used; data of newer versions is refused."""

import json
import tarfile
from pathlib import Path

import pytest
import redis.asyncio

from support.client import connected, event
from support.formats import CONFIG, RULED
from support.program import Program
from support.receiver import Receiver

ARCHIVES = sorted((Path(__file__).parents[1] / "data").glob("*.tar.gz"))


@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda path: path.name)
async def test_the_data_of_an_earlier_version(
    tmp_path: Path, receiver: Receiver, archive: Path
) -> None:
    program = Program(tmp_path, CONFIG)
    with tarfile.open(archive) as tar:
        tar.extractall(program.data, filter="data")
    try:
        at = await program.start()
        assert at["key"].strip() in program.data.joinpath("admin.key").read_text()
        async with connected(at["http"], at["nats"], at["key"]) as client:
            listed = (await client.http.get("/v1/webhooks")).json()["items"]
            assert {item["id"] for item in listed} == {"dead", "taken", "waiting"}
            for item in listed:
                body = item | {"url": f"{receiver.url}/{item['id']}"}
                answer = await client.http.put(f"/v1/webhooks/{item['id']}", json=body)
                assert answer.status_code == 200, answer.text
            # Pending deliveries continue, and finished ones are not repeated.
            requests = await receiver.until(3, "/waiting")
            assert {request.json["id"] for request in requests} == {"old-0", "old-1", "old-2"}
            assert all(int(request.headers["x-event-gateway-attempt"]) > 1 for request in requests)
            record = await client.until("waiting", "old-1", "succeeded")
            assert len(record["attempts"]) > 1
            types = (await client.http.get("/v1/event-types", params={"owner": "old"})).json()
            if archive.name >= "0.1.0-dev3":
                (ruled,) = types["items"]
                assert ruled | RULED == ruled
                await client.send(event("old.ruled/v1"), status=422)
            else:
                assert types["items"] == []
            sent = event("old.new")
            await client.send(sent)
            for path in ("/taken", "/waiting", "/dead"):
                assert (await receiver.until(4 if path == "/waiting" else 1, path))[-1].json[
                    "id"
                ] == sent["id"]
            assert len(await client.stream_messages("GATEWAY_DEAD_LETTERS")) == 3
            if archive.name >= "0.1.0-dev5":
                # The sealed secret is opened: it is a key, with which its caller may publish.
                authorization = receiver.requests_to("/taken")[0].headers["authorization"]
                listed = (await client.http.get("/v1/keys")).json()["items"]
                assert "old-shop" in {item["name"] for item in listed}
                async with connected(
                    at["http"], at["nats"], authorization.removeprefix("Bearer ")
                ) as shop:
                    await shop.send(event("other.new"))
                    assert (await shop.http.get("/v1/webhooks")).status_code == 403
                async with client.websocket() as socket:
                    await socket.request(action="subscribe", stream="made", **{"from": "first"})
                    seen = [(await socket.next())["event"]["id"] for _ in range(4)]
                assert seen == ["old-0", "old-1", "old-2", sent["id"]]
            async with client.websocket() as socket:
                await socket.request(action="subscribe", stream="history", **{"from": "first"})
                seen = [(await socket.next())["event"]["id"] for _ in range(4)]
            assert seen == ["old-0", "old-1", "old-2", sent["id"]]
        assert await program.stop() == 0
    finally:
        await program.stop()
    assert "Traceback" not in program.output, program.output


async def test_newer_formats_are_refused_with_a_reason(
    tmp_path: Path, servers: tuple[str, str], receiver: Receiver
) -> None:
    nats_url, redis_url = servers
    webhook = {"url": f"{receiver.url}/w", "events": ["user.*"],
               "retry_policy": {"initial_delay": "1s"}}  # fmt: skip
    own = {"nats": {"url": nats_url}, "redis": {"url": redis_url}, "webhooks": {"w": webhook}}
    program = Program(tmp_path, CONFIG | own)
    state = redis.asyncio.from_url(redis_url)
    try:
        at = await program.start()
        async with connected(at["http"], nats_url, at["key"]) as client:
            # A message of a newer version in the log is set aside, not guessed at.
            newer = {"Eg-Format": "2", "Content-Type": "application/cloudevents+json"}
            await client.nats.publish("user.x", json.dumps(event("user.x")).encode(), headers=newer)
            # A record that a newer version has taken over is left alone.
            receiver.answers["/w"] = [500]
            sent = event("user.x")
            await client.send(sent)
            await client.until("w", sent["id"], "retrying")
            await state.hset(f"delivery:w:{sent['id']}", "v", 9)
            answer = await client.http.get(f"/v1/deliveries/w/{sent['id']}")
            assert (answer.status_code, "format 9" in answer.json()["detail"]) == (409, True)
            other = event("user.x")
            await client.send(other)
            await client.until("w", other["id"], "dead_letter")
            assert [request.json["id"] for request in receiver.requests].count(sent["id"]) == 1
            (message,) = await client.stream_messages("GATEWAY_REJECTED")
            assert "format 2" in message.headers["Eg-Detail"]
            # And so is a whole registry or ledger, before anything is written.
            assert await program.stop() == 0
            bucket = await client.nats.jetstream().key_value("GATEWAY_REGISTRY")
            await bucket.put("webhook.w2", b'{"v": 9, "webhook": {"shape": "unknown"}}')
            assert await program.start_fails() == 1
            assert "the registry's entry webhook.w2 has format 9" in program.last_line
            await bucket.purge("webhook.w2")
            await state.set("format", 9)
            assert await program.start_fails() == 1
            assert "the ledger in Redis has format 9" in program.last_line
            await state.set("format", 3)
            await program.start()
            assert await program.stop() == 0
    finally:
        await state.aclose()
        await program.stop()
    assert "Traceback" not in program.output, program.output
