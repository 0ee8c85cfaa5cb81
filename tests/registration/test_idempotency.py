"""Requests with an Idempotency-Key are carried out once, and get the same answer again."""

import asyncio

import msgspec
from redis.asyncio import Redis

from event_gateway.cli.process.serve import Running
from event_gateway.state.idempotent_answers import MAX_KEYS
from support.client import Client
from support.fixtures import Start

KEY = {"name": "k", "scopes": ["events:publish"]}


async def test_a_repeated_create_gets_the_answer_of_the_first(
    gateway: Running, client: Client, connect: Start
) -> None:
    http = client.http
    once = {"Idempotency-Key": '"9f0c"'}
    first = await http.post("/v1/keys", json=KEY, headers=once)
    assert first.status_code == 201
    again = await http.post("/v1/keys", json=KEY, headers={"Idempotency-Key": "9f0c"})
    assert (again.status_code, again.content) == (201, first.content)
    for name in ("location", "etag", "content-type"):
        assert again.headers[name] == first.headers[name]
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    keys = (await http.get("/v1/keys")).json()["items"]
    assert [key["name"] for key in keys].count("k") == 1

    other = await http.post("/v1/keys", json=KEY | {"name": "l"}, headers=once)
    assert (other.status_code, other.json()["type"]) == (422, "/problems/idempotency-key-reused")
    elsewhere = await http.post("/v1/streams", json=KEY, headers=once)
    assert elsewhere.json()["type"] == "/problems/idempotency-key-reused"
    # The key is the caller's own: another caller may use the same text.
    operator = KEY | {"scopes": ["admin"]}
    admin = (await http.post("/v1/keys", json=operator)).json()["key"]
    stranger = {"Authorization": f"Bearer {admin}", **once}
    theirs = await http.post("/v1/keys", json=KEY, headers=stranger)
    assert (theirs.status_code, theirs.json()["id"] != first.json()["id"]) == (201, True)

    # What was refused changed nothing, and may be corrected.
    refused = await http.post("/v1/keys", json={"name": "k"}, headers={"Idempotency-Key": "r"})
    assert refused.status_code == 422
    mended = await http.post("/v1/keys", json=KEY, headers={"Idempotency-Key": "r"})
    assert mended.status_code == 201
    for bad in ("", "é" * 3, "x" * 256):
        answer = await http.post("/v1/keys", json=KEY, headers=[(b"Idempotency-Key", bad.encode())])
        assert (answer.status_code, answer.json()["type"]) == (400, "/problems/bad-header"), bad

    # Of requests at the same time, one is carried out.
    both = await asyncio.gather(*(
        http.post("/v1/keys", json=KEY | {"name": "m"}, headers={"Idempotency-Key": "m"})
        for _ in range(4)
    ))  # fmt: skip
    running = [answer for answer in both if answer.status_code == 409]
    assert {answer.json()["type"] for answer in running} <= {"/problems/idempotent-request-runs"}
    assert len({answer.json()["id"] for answer in both if answer.status_code == 201}) == 1
    keys = (await http.get("/v1/keys?limit=1000")).json()["items"]
    assert [key["name"] for key in keys].count("m") == 1

    async with Redis.from_url(gateway.redis_url) as redis:
        names = [name async for name in redis.scan_iter("idempotent:*")]
        assert len(names) == 4
        for name in names:
            stored = await redis.get(name)
            assert isinstance(stored, bytes)
            assert b"egk_" not in stored
            assert msgspec.msgpack.decode(stored)[1] == b""  # none runs
            assert 80_000 < await redis.ttl(name) <= 86_400
        for name in [name async for name in redis.scan_iter("idempotent_keys:*")]:
            later = {f"k{n}": 10**14 for n in range(MAX_KEYS)}
            await redis.zadd(name, later)
        full = await http.post("/v1/keys", json=KEY, headers={"Idempotency-Key": "one-more"})
        assert (full.status_code, "retry-after" in full.headers) == (429, True)
        assert (await http.post("/v1/keys", json=KEY, headers=once)).content == first.content
