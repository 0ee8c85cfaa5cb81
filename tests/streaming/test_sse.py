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
    """The blocks of a response; a comment is a block of its own."""
    block: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if not line:
            yield block
            block = {}
        else:
            field, _, value = line.partition(":")
            block[field] = value.strip()


async def _read_blocks(answer: httpx.Response, count: int) -> list[dict[str, str]]:
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


async def test_events_have_sequences_and_a_reconnect_continues(client: Client) -> None:
    sent = [event("scheduler.job.done", {"n": n, "text": "a\nb é"}) for n in range(6)]
    await client.send(sent[:3])
    await _held(client, 3)
    async with client.http.stream("GET", PATH, params={"from": "first"}) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        result = await _read_blocks(answer, 4)
    assert [request.get("id") for request in result] == ["1", "2", "3", None]
    assert [json.loads(request["data"])["id"] for request in result[:3]] == [
        item["id"] for item in sent[:3]
    ]
    assert json.loads(result[0]["data"])["data"]["text"] == "a\nb é"
    assert result[3]["event"] == "caught_up"
    await client.send(sent[3:])
    await _held(client, 6)
    # A browser connects again with the same address, and says what it has got.
    again = {"Last-Event-ID": "3"}
    async with client.http.stream("GET", PATH, params={"from": "first"}, headers=again) as answer:
        result = await _read_blocks(answer, 3)
    assert [request["id"] for request in result] == ["4", "5", "6"]
    events = await client.lifecycle_events(2, "stream.unsubscribed")
    assert [(item["data"]["reason"], item["data"]["sent"]) for item in events] == [
        ("closed", 3), ("closed", 3),
    ]  # fmt: skip


async def test_comments_are_sent_while_there_are_no_events(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "HEARTBEAT", 0.1)
    async with client.http.stream("GET", PATH) as answer:
        assert await _read_blocks(answer, 2) == [{"": ""}, {"": ""}]


async def test_gone_events_and_the_end_are_reported(client: Client) -> None:
    await client.send([event("scheduler.job.done") for _ in range(80)])
    await _held(client, 80)
    async with client.http.stream("GET", PATH, params={"from": "11"}) as answer:
        result = await _read_blocks(answer, 52)
    assert result[0] == {"event": "missed", "data": '{"first":11,"last":30}'}
    assert [request["id"] for request in result[1:51]] == [str(n) for n in range(31, 81)]

    response = await client.http.post("/v1/streams", json={"name": "s", "subjects": ["user.*"]})
    assert response.status_code == 201
    async with client.http.stream("GET", "/v1/streams/s/sse") as answer:
        matches = blocks(answer)
        assert (await anext(matches)).keys() == {"retry"}
        assert (await client.http.delete("/v1/streams/s")).status_code == 204
        assert await anext(matches) == {
            "event": "unsubscribed",
            "data": '{"code":"stream_deleted"}',
        }
        with pytest.raises(StopAsyncIteration):
            await anext(matches)


INVALID_REQUESTS: list[tuple[str, dict[str, str], dict[str, str], int]] = [
    ("/v1/streams/nope/sse", {}, {}, 404),
    (PATH, {"from": "noon"}, {}, 422),
    (PATH, {}, {"Last-Event-ID": "x"}, 422),
    (PATH, {}, {"Authorization": "Bearer nonsense"}, 401),
    (PATH, {"token": "egt_x.y"}, {"Authorization": ""}, 401),
]


async def test_invalid_requests_are_answered(client: Client, subtests: pytest.Subtests) -> None:
    for path, query, headers, status in INVALID_REQUESTS:
        with subtests.test(path=path, query=query, headers=headers):
            answer = await client.http.get(path, params=query, headers=headers)
            assert answer.status_code == status
            assert answer.headers["content-type"] == "application/problem+json"


async def test_a_token_allows_only_its_streams(client: Client) -> None:
    response = await client.http.post("/v1/tokens", json={"streams": ["work"], "principal": "page"})
    assert response.status_code == 201, response.text
    token: Any = {"token": response.json()["token"]}
    async with httpx.AsyncClient(base_url=client.http.base_url) as stranger:
        async with stranger.stream("GET", PATH, params=token) as answer:
            assert answer.status_code == 200
            await client.send(event("scheduler.job.done"))
            assert (await _read_blocks(answer, 1))[0]["id"] == "1"
        refused = await stranger.get("/v1/streams/audit/sse", params=token)
        assert refused.status_code == 403
    events = await client.lifecycle_events(1, "stream.subscribed")
    assert events[0]["data"]["principal"] == "page"


async def test_the_response_ends_with_the_gateway(start: Start) -> None:
    running = await start(STREAMS)
    async with (
        connected(running.http_url, running.nats_url, running.admin_key) as client,
        client.http.stream("GET", PATH) as answer,
    ):
        result = blocks(answer)
        await anext(result)
        await running.gateway.drain()
        with pytest.raises(StopAsyncIteration):
            await anext(result)
