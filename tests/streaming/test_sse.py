"""Named streams over Server-Sent Events."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from event_gateway.api.live import sse
from event_gateway.cli.process.serve import Running
from support.client import Client, connected, event
from support.fixtures import Start
from support.patience import PATIENCE

STREAMS = {
    "streams": {
        "work": {"subjects": ["scheduler.job.*"], "max_messages": 50},
        "audit": {"subjects": ["audit.events.*"]},
    }
}
PATH = "/v1/streams/work/sse"


@pytest.fixture
async def gateway(start: Start) -> Running:
    return await start(STREAMS)  # type: ignore[no-any-return]


async def blocks(answer: httpx.Response) -> AsyncIterator[dict[str, str]]:
    """What an answer holds, block by block; a comment is a block of its own."""
    block: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if not line:
            yield block
            block = {}
        else:
            field, _, value = line.partition(":")
            block[field] = value.strip()


async def _some(answer: httpx.Response, count: int) -> list[dict[str, str]]:
    out: list[dict[str, str]] = []
    async with asyncio.timeout(PATIENCE):
        async for block in blocks(answer):
            if block.keys() != {"retry"}:
                out.append(block)
            if len(out) == count:
                break
    return out


async def _held(client: Client, last: int) -> None:
    js = client.nats.jetstream()
    async with asyncio.timeout(PATIENCE):
        while (await js.stream_info("GATEWAY_STREAM_work")).state.last_seq < last:
            await asyncio.sleep(0.01)


async def test_events_with_their_sequences_and_on_behind_the_last_one(client: Client) -> None:
    sent = [event("scheduler.job.done", {"n": n, "text": "a\nb é"}) for n in range(6)]
    await client.send(sent[:3])
    await _held(client, 3)
    async with client.http.stream("GET", PATH, params={"from": "first"}) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        got = await _some(answer, 4)
    assert [one.get("id") for one in got] == ["1", "2", "3", None]
    assert [json.loads(one["data"])["id"] for one in got[:3]] == [one["id"] for one in sent[:3]]
    assert json.loads(got[0]["data"])["data"]["text"] == "a\nb é"
    assert got[3]["event"] == "caught_up"
    await client.send(sent[3:])
    await _held(client, 6)
    # A browser connects again with the same address, and says what it has got.
    again = {"Last-Event-ID": "3"}
    async with client.http.stream("GET", PATH, params={"from": "first"}, headers=again) as answer:
        got = await _some(answer, 3)
    assert [one["id"] for one in got] == ["4", "5", "6"]
    told = await client.told(2, "stream.unsubscribed")
    assert [(one["data"]["reason"], one["data"]["sent"]) for one in told] == [
        ("closed", 3), ("closed", 3),
    ]  # fmt: skip


async def test_comments_while_there_is_nothing(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "HEARTBEAT", 0.1)
    async with client.http.stream("GET", PATH) as answer:
        assert await _some(answer, 2) == [{"": ""}, {"": ""}]


async def test_what_is_gone_and_the_end_are_told(client: Client) -> None:
    await client.send([event("scheduler.job.done") for _ in range(80)])
    await _held(client, 80)
    async with client.http.stream("GET", PATH, params={"from": "11"}) as answer:
        got = await _some(answer, 52)
    assert got[0] == {"event": "missed", "data": '{"first":11,"last":30}'}
    assert [one["id"] for one in got[1:51]] == [str(n) for n in range(31, 81)]

    made = await client.http.post("/v1/streams", json={"name": "s", "subjects": ["user.*"]})
    assert made.status_code == 201
    async with client.http.stream("GET", "/v1/streams/s/sse") as answer:
        found = blocks(answer)
        assert (await anext(found)).keys() == {"retry"}
        assert (await client.http.delete("/v1/streams/s")).status_code == 204
        assert await anext(found) == {"event": "unsubscribed", "data": '{"code":"stream_deleted"}'}
        with pytest.raises(StopAsyncIteration):
            await anext(found)


@pytest.mark.parametrize(
    ("path", "query", "headers", "status"),
    [
        ("/v1/streams/nope/sse", {}, {}, 404),
        (PATH, {"from": "noon"}, {}, 422),
        (PATH, {}, {"Last-Event-ID": "x"}, 422),
        (PATH, {}, {"Authorization": "Bearer nonsense"}, 401),
        (PATH, {"token": "egt_x.y"}, {"Authorization": ""}, 401),
    ],
)
async def test_wrong_requests_are_answered(
    client: Client, path: str, query: dict[str, str], headers: dict[str, str], status: int
) -> None:
    answer = await client.http.get(path, params=query, headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_token_opens_its_streams_alone(client: Client) -> None:
    made = await client.http.post("/v1/tokens", json={"streams": ["work"], "principal": "page"})
    assert made.status_code == 201, made.text
    token: Any = {"token": made.json()["token"]}
    async with httpx.AsyncClient(base_url=client.http.base_url) as stranger:
        async with stranger.stream("GET", PATH, params=token) as answer:
            assert answer.status_code == 200
            await client.send(event("scheduler.job.done"))
            assert (await _some(answer, 1))[0]["id"] == "1"
        refused = await stranger.get("/v1/streams/audit/sse", params=token)
        assert refused.status_code == 403
    told = await client.told(1, "stream.subscribed")
    assert told[0]["data"]["principal"] == "page"


async def test_it_ends_when_the_gateway_does(start: Start) -> None:
    running = await start(STREAMS)
    async with (
        connected(running.http_url, running.nats_url, running.admin_key) as client,
        client.http.stream("GET", PATH) as answer,
    ):
        found = blocks(answer)
        await anext(found)
        await running.gateway.drain()
        with pytest.raises(StopAsyncIteration):
            await anext(found)
