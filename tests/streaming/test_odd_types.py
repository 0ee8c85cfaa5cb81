"""Types that NATS subjects cannot hold reach webhooks, named streams and subscriptions alike."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from event_gateway.cli.process.serve import Running
from support.bus import connect_bus
from support.client import Client, event
from support.fixtures import Start
from support.receiver import Receiver

LONG = f"shop.{'日本語' * 20}.created"
# By type: a pattern that names it as exactly as a pattern can.
PATTERNS = {
    "größe.änderung.x": "größe.änderung.x",
    "日本.created": "日本.*",
    "shop.order placed.v1": "shop.order placed.v1",
    "shop.50%.off": "shop.50%.off",
    "store..empty": "store.*.empty",
    "store.trailing.": "store.trailing.*",
    "mall.*.any": "mall.*.any",
    "mall.>": "mall.*",
    LONG: LONG,
    f"long.{'q' * 300}.end": "long.*.end",
    "many." + ".".join("abcdefgh" * 8): "many.a.b.c.>",
}


@pytest.fixture
async def gateway(start: Start) -> Running:
    return await start({})  # type: ignore[no-any-return]


async def test_every_way_out_takes_odd_types(client: Client, receiver: Receiver) -> None:
    for at, pattern in enumerate(PATTERNS.values()):
        made = await client.http.post("/v1/streams", json={"name": f"s{at}", "subjects": [pattern]})
        assert made.status_code == 201, made.text
        await client.webhook(id=f"w{at}", url=f"{receiver.url}/w{at}", events=[pattern])
    await client.webhook(id="lead", url=f"{receiver.url}/lead", events=["*.lead"])
    made = await client.http.post("/v1/streams", json={"name": "lead", "subjects": ["%.lead"]})
    assert made.status_code == 201, made.text
    sent = [event(event_type, {"n": at}) for at, event_type in enumerate([*PATTERNS, ".lead"])]
    names = [*(str(at) for at in range(len(PATTERNS))), "lead"]
    async with client.websocket() as live:
        by_id = {}
        for name, pattern in zip(names, [*PATTERNS.values(), "%.lead"], strict=True):
            frame = await live.request(action="subscribe", subjects=[pattern])
            by_id[frame["subscription"]] = name
        await client.send(sent)
        for published in sent:
            frame = await live.next()
            assert frame["event"]["id"] == published["id"], frame
            assert frame["event"]["type"] == published["type"]
            assert names[frame["event"]["data"]["n"]] == by_id[frame["subscription"]]
        assert await live.silent()
    for name, published in zip(names, sent, strict=True):
        path = name if name == "lead" else f"w{name}"
        [request] = await receiver.until(1, f"/{path}")
        assert request.json["type"] == published["type"]
        stream = name if name == "lead" else f"s{name}"
        assert [each["id"] for each in await stored(client, stream, 1)] == [published["id"]]


async def stored(client: Client, stream: str, count: int) -> list[dict[str, Any]]:
    """The first events of a stream, once it has so many."""
    async with client.websocket() as live:
        await live.request(action="subscribe", stream=stream, **{"from": "first"})
        frames = [frame async for frame in _events(live, count)]
    return [frame["event"] for frame in frames]


async def _events(live: Any, count: int) -> AsyncIterator[dict[str, Any]]:
    while count:
        frame = await live.next()
        if frame["type"] == "event":
            count -= 1
            yield frame


async def test_what_services_publish_on_such_subjects(
    gateway: Running, client: Client, receiver: Receiver
) -> None:
    """Raw UTF-8, as NATS allows it, or encoded as the gateway does; plain JSON gets the type."""
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["größe.*"])
    made = await client.http.post("/v1/streams", json={"name": "s", "subjects": ["größe.*"]})
    assert made.status_code == 201, made.text
    connection = await connect_bus(gateway.nats_url)
    jetstream = connection.jetstream()
    for subject in ("größe.x", "gr%C3%B6%C3%9Fe.x", "events.gr%C3%B6%C3%9Fe.x"):
        await jetstream.publish(subject, b'{"a":1}')
    await connection.close()
    requests = await receiver.until(3, "/w")
    assert [request.json["type"] for request in requests] == ["größe.x"] * 3
    assert [each["type"] for each in await stored(client, "s", 3)] == ["größe.x"] * 3
