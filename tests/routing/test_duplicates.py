"""An event that is published twice, under the same source and id, is delivered once."""

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import redis.asyncio

from event_gateway.cli.process.serve import Running
from support.client import Client, connected, event
from support.patience import PATIENCE
from support.peers import Peers
from support.program import LOOPBACK, Program
from support.receiver import Receiver


async def _publish(client: Client, sent: dict[str, Any], *, binary: bool = False) -> None:
    """Publishes an event as a service does that knows nothing of the gateway."""
    headers = {"Content-Type": "application/cloudevents+json"}
    body: Any = sent
    if binary:
        attributes = {f"ce-{name}": value for name, value in sent.items() if name != "data"}
        headers = attributes | {"Content-Type": attributes.pop("ce-datacontenttype")}
        body = sent["data"]
    await client.nats.jetstream().publish(sent["type"], json.dumps(body).encode(), headers=headers)


async def _duplicates(client: Client) -> int:
    text = (await client.http.get("/metrics")).text
    name = "event_gateway_events_duplicate_total "
    return round(sum(float(x.split()[1]) for x in text.splitlines() if x.startswith(name)))


async def _recognised(client: Client, count: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while await _duplicates(client) < count:
            await asyncio.sleep(0.05)


async def test_published_twice_on_nats(client: Client, receiver: Receiver) -> None:
    """In one batch and long after, in both modes, before and after HTTP, with other data."""
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"])
    await client.webhook(id="o", url=f"{receiver.url}/o", events=["user.*"], ordered=True)
    first, second = event("user.a", {"n": 1}), event("user.a", {"n": 2})
    await asyncio.gather(*(_publish(client, first) for _ in range(3)))
    await client.until("w", first["id"], "succeeded")
    await _publish(client, first, binary=True)
    await _publish(client, first | {"data": {"n": 9}})
    await client.send(second)
    await _publish(client, second)
    await client.send(first)
    await _recognised(client, 6)
    # The same id from another source is another event.
    await _publish(client, first | {"source": "elsewhere"})
    last = event("user.a")
    await client.send(last)
    for path in ("/w", "/o"):
        got = await receiver.until(4, path)
        found = [(came.json["source"], came.json["id"], came.json["data"].get("n")) for came in got]
        assert found[:2] == [("tests", first["id"], 1), ("tests", second["id"], 2)]
        assert sorted(found[2:], key=str) == [
            ("elsewhere", first["id"], 1), ("tests", last["id"], None),
        ]  # fmt: skip


async def test_a_webhook_that_was_registered_between_gets_it(
    client: Client, receiver: Receiver
) -> None:
    await client.webhook(id="old", url=f"{receiver.url}/old", events=["user.*"])
    sent = event("user.a")
    await _publish(client, sent)
    await client.until("old", sent["id"], "succeeded")
    await client.webhook(id="new", url=f"{receiver.url}/new", events=["user.*"])
    await _publish(client, sent)
    await client.until("new", sent["id"], "succeeded")
    await _publish(client, sent)
    await _recognised(client, 2)
    assert [came.path for came in receiver.requests] == ["/old", "/new"]


async def test_after_the_window_it_is_an_event_of_its_own(
    client: Client, gateway: Running, receiver: Receiver
) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"])
    sent = event("user.a")
    await _publish(client, sent)
    await client.until("w", sent["id"], "succeeded")
    async with redis.asyncio.from_url(gateway.redis_url) as store:
        stored = await store.hget(f"event:{sent['id']}", "e")
        assert isinstance(stored, bytes)
        first = stored.decode().split("\n")[3]
        stream, seq, at = first.split()
        earlier = f"{stream} {seq} {int(at) - 121_000}"
        changed = stored.decode().replace(first, earlier)
        await store.hset(f"event:{sent['id']}", "e", changed)
    await _publish(client, sent)
    await receiver.until(2, "/w")
    async with asyncio.timeout(PATIENCE):
        # The receiver has it before that is recorded in place of the first delivery.
        while (await client.until("w", sent["id"], "succeeded"))["sequence"] == int(seq):
            await asyncio.sleep(0.05)
    await _publish(client, sent)
    await _recognised(client, 1)
    assert len(receiver.requests) == 2


async def test_a_replay_delivers_it_again(client: Client, receiver: Receiver) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"])
    sent = event("user.a")
    for _ in range(2):
        await _publish(client, sent)
    await _recognised(client, 1)
    await client.until("w", sent["id"], "succeeded")
    answer = await client.http.post(f"/v1/deliveries/w/{sent['id']}/retry")
    assert answer.status_code == 202, answer.text
    await receiver.until(2, "/w")
    await client.until("w", sent["id"], "succeeded")
    answer = await client.http.post(
        "/v1/replays", json={"webhook": "w", "since": "2020-01-01T00:00:00Z"}
    )
    assert answer.status_code in (200, 201, 202), answer.text
    await receiver.until(3, "/w")


async def test_several_processes_and_a_crash(
    tmp_path: Path, servers: tuple[str, str], receiver: Receiver
) -> None:
    """One process takes the first, another the second; the first is killed before it is
    recorded: the event is delivered all the same, and nothing is delivered twice after that."""
    peers = Peers(tmp_path, servers)
    async with contextlib.AsyncExitStack() as stack:
        first, other = await peers.start(stack, LOOPBACK, LOOPBACK)
        await first.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"])
        sent = [event("user.a") for _ in range(40)]
        for _ in range(3):
            await asyncio.gather(*(_publish(first, each) for each in sent))
        for each in sent:
            await first.until("w", each["id"], "succeeded")
        async with asyncio.timeout(PATIENCE):
            while await _duplicates(first) + await _duplicates(other) < 80:
                await asyncio.sleep(0.05)
        assert sorted(came.json["id"] for came in receiver.requests) == sorted(
            each["id"] for each in sent
        )
        # Attempts that end only after the kill: their events are not recorded as delivered.
        receiver.delays["/w"] = [1.0]
        late = [event("user.a") for _ in range(8)]
        for each in late:
            await _publish(first, each)
        await receiver.until(41, "/w")
        peers.programs[0].kill()
        for each in late:
            await _publish(other, each)
        receiver.delays["/w"] = [0.0]
        for each in late:
            await other.until("w", each["id"], "succeeded")
        for program in peers.programs[1:]:
            assert await program.stop() == 0


async def test_after_a_restart(tmp_path: Path, receiver: Receiver) -> None:
    """Also one that the log gets again while the gateway is down, and after Redis restarted: the
    log is reread then, and holds the event twice."""
    program = Program(tmp_path, LOOPBACK)
    try:
        at = await program.start()
        async with connected(at["http"], at["nats"], at["key"]) as client:
            await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"])
            sent = event("user.a")
            for _ in range(2):
                await _publish(client, sent)
            await _recognised(client, 1)
            await client.until("w", sent["id"], "succeeded")
        program.kill()
        at = await program.start()
        async with connected(at["http"], at["nats"], at["key"]) as client:
            await _publish(client, sent)
            await _recognised(client, 1)
            last = event("user.a")
            await client.send(last)
            await client.until("w", last["id"], "succeeded")
        assert [came.json["id"] for came in receiver.requests] == [sent["id"], last["id"]]
        assert await program.stop() == 0
    finally:
        await program.stop()
