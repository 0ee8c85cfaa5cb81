"""Requests with an Idempotency-Key are carried out once, and get the same answer again."""

import asyncio
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from event_gateway.cli.process.serve import Running
from event_gateway.state import idempotent_answers
from event_gateway.state.idempotent_answers import (
    MAX_KEYS,
    Begun,
    IdempotentAnswers,
    StillRunning,
    StoredAnswer,
)
from support.client import Client
from support.fixtures import Start
from support.patience import PATIENCE

pytestmark = pytest.mark.shared

KEY = {"name": "k", "scopes": ["events:publish"]}


@pytest.mark.alone
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


@pytest.mark.alone
async def test_a_request_keeps_its_own_marker_and_no_other(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Redis.from_url(gateway.redis_url) as redis:
        first, other = (IdempotentAnswers(redis, b"k" * 32) for _ in range(2))
        answer = StoredAnswer(201, [], b"of the first")
        begun = await first.begin("me", "slow", b"r")
        assert isinstance(begun, Begun)
        (name,) = [name async for name in redis.scan_iter("idempotent:*")]

        # While it runs its marker is renewed, so that no second request begins.
        monkeypatch.setattr(idempotent_answers, "RENEW", 0.01)
        await redis.pexpire(name, 5000)
        async with first.running(begun), asyncio.timeout(PATIENCE):
            while await redis.pttl(name) <= 5000:
                await asyncio.sleep(0.05)
            with pytest.raises(StillRunning):
                await other.begin("me", "slow", b"r")

        # A process that was stopped for so long that another request has begun leaves it alone.
        await redis.delete(name)
        second = await other.begin("me", "slow", b"r")
        assert isinstance(second, Begun)
        marker = await redis.get(name)
        assert not await first.finish(begun, answer)
        await first.forget(begun)
        assert await redis.get(name) == marker
        assert await other.finish(second, StoredAnswer(201, [], b"of the second"))
        assert not await first.finish(begun, answer)
        again = await first.begin("me", "slow", b"r")
        assert isinstance(again, StoredAnswer)
        assert again.body == b"of the second"

        # Where nobody has begun meanwhile, the answer counts.
        third = await first.begin("me", "late", b"r")
        assert isinstance(third, Begun)
        await redis.delete(*[each async for each in redis.scan_iter("idempotent:*")])
        assert await first.finish(third, answer)
        assert await other.begin("me", "late", b"r") == answer


async def test_an_answer_is_stored_whatever_becomes_of_the_renewal(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotent_answers, "RENEW", 0.01)
    async with Redis.from_url(gateway.redis_url) as redis:
        answers = IdempotentAnswers(redis, b"k" * 32)
        begun = await answers.begin("me", "faulty", b"r")
        assert isinstance(begun, Begun)
        write, tried = answers._write, asyncio.Event()

        async def faulty(*_arguments: object) -> bool:
            tried.set()
            raise ValueError("no marker")

        monkeypatch.setattr(answers, "_write", faulty)
        async with answers.running(begun), asyncio.timeout(PATIENCE):
            await tried.wait()
        monkeypatch.setattr(answers, "_write", write)
        stored = StoredAnswer(201, [], b"of the first")
        assert await answers.finish(begun, stored)
        assert await answers.begin("me", "faulty", b"r") == stored


async def test_a_renewal_that_is_under_way_is_waited_for(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotent_answers, "RENEW", 0.01)
    async with Redis.from_url(gateway.redis_url) as redis:
        answers = IdempotentAnswers(redis, b"k" * 32)
        begun = await answers.begin("me", "refused", b"r")
        assert isinstance(begun, Begun)
        write, begins, may_go_on = answers._write, asyncio.Event(), asyncio.Event()

        async def slow(*arguments: Any) -> bool:
            begins.set()
            await may_go_on.wait()  # as a write that Redis gets late
            return await write(*arguments)

        monkeypatch.setattr(answers, "_write", slow)

        async def run() -> None:
            async with answers.running(begun), asyncio.timeout(PATIENCE):
                await begins.wait()

        running = asyncio.create_task(run())
        await begins.wait()
        for _ in range(10):
            await asyncio.sleep(0)
        assert not running.done()
        may_go_on.set()
        await running
        monkeypatch.setattr(answers, "_write", write)
        await answers.forget(begun)
        again = await answers.begin("me", "refused", b"r")
        assert isinstance(again, Begun), "the key is free"
