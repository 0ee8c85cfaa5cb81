"""Subscribers that select some of the events of a stream."""

import json
from typing import Any

import pytest

from event_gateway.cli.process.serve import Running
from support.client import Client, event
from support.fixtures import Start
from support.looks import until_stored

STREAMS = {"streams": {"work": {"subjects": ["scheduler.job.*", "user.*"]}}}


@pytest.fixture
async def gateway(start: Start) -> Running:
    return await start(STREAMS)  # type: ignore[no-any-return]


LARGE = [{"field": "data.n", "operator": "gte", "value": 7}]
REQUESTED: list[tuple[dict[str, Any], list[int]]] = [
    ({"filters": LARGE}, [7, 8, 9]),
    ({"filters": [{"any": [*LARGE, {"field": "data.n", "operator": "equals", "value": 0}]}]},
     [0, 7, 8, 9]),
    ({"expression": "event.data.n % 2 == 0"}, [0, 2, 4, 6, 8]),
    ({"expression": "event.data.n % 2 == 0", "filters": LARGE}, [8]),
    ({"cloudevents_filters": [{"exact": {"type": "user.a"}}]}, [1, 3, 5, 7, 9]),
    ({"sources": ["elsewhere"]}, []),
    ({"namespaces": ["n3"]}, [3]),
    ({"expression": "event.data.nothing > 1"}, []),
    ({"cloudevents_filters": [{"sql": "type LIKE 'user._' AND LENGTH(id) > 0"}]}, [1, 3, 5, 7, 9]),
    ({"cloudevents_filters": [{"sql": "nothing > 1"}]}, []),
]  # fmt: skip


async def test_filters_and_expressions_live_and_from_the_log(client: Client) -> None:
    sent = [
        event("user.a" if n % 2 else "scheduler.job.done", {"n": n, "namespace": f"n{n}"})
        for n in range(10)
    ]
    async with client.websocket() as live, client.websocket() as late:
        by_id = {
            (await live.request(action="subscribe", stream="work", **requested))[
                "subscription"
            ]: expected
            for requested, expected in REQUESTED
        }
        listening = await live.request(action="subscribe", subjects=["user.*"], filters=LARGE)
        by_id[listening["subscription"]] = [7, 9]
        await client.send(sent)
        result: dict[str, list[int]] = {name: [] for name in by_id}
        for _ in range(sum(map(len, by_id.values()))):
            frame = await live.next()
            result[frame["subscription"]].append(frame["event"]["data"]["n"])
        assert result == by_id
        assert await live.silent()
        for requested, expected in REQUESTED:
            request = {"action": "subscribe", "stream": "work", "from": "first"} | requested
            mine = (await late.request(**request))["subscription"]
            seen = []
            while (frame := await late.next())["type"] == "event":
                seen.append((frame["seq"], frame["event"]["data"]["n"]))
            assert frame["type"] == "caught_up"
            assert frame["seq"] == 10
            assert seen == [(n + 1, n) for n in expected], requested
            await late.request(action="unsubscribe", subscription=mine)
    events = await client.lifecycle_events(1, "stream.unsubscribed")
    assert events[0]["data"]["sent"] == 3


async def test_selections_over_server_sent_events(client: Client) -> None:
    await client.send([event("user.a", {"n": n}) for n in range(10)])
    await until_stored(client, "work", 10)
    query = {"from": "first", "filters": json.dumps(LARGE), "expression": "event.data.n != 8"}
    seen = []
    async with client.http.stream("GET", "/v1/streams/work/sse", params=query) as answer:
        async for line in answer.aiter_lines():
            if line.startswith("id: "):
                seen.append(int(line[4:]))
            if line.startswith("event: caught_up"):
                break
    assert seen == [0, 8, 10]  # the first is where it begins
    for wrong in ({"filters": "[{"}, {"filters": '[{"field": "x"}]'}, {"expression": "1 +"}):
        answer = await client.http.get("/v1/streams/work/sse", params=wrong)
        assert answer.status_code == 422, wrong


INVALID_SELECTIONS: list[tuple[dict[str, Any], str]] = [
    ({"filters": [{"field": "data.n", "operator": "is", "value": 1}]}, "filters"),
    ({"filters": {}}, "filters"),
    ({"filters": [{"field": "data.n", "operator": "gt", "valeu": 1}]}, "did you mean value"),
    ({"expression": "event.data.n >"}, "expression"),
    ({"cloudevents_filters": [{"nope": {}}]}, "cloudevents_filters"),
    ({"filters": LARGE * 51}, "at most 50"),
]


async def test_an_invalid_selection_is_refused(client: Client, subtests: pytest.Subtests) -> None:
    for conditions, message in INVALID_SELECTIONS:
        with subtests.test(conditions=conditions, message=message):
            async with client.websocket() as socket:
                answer = await socket.request(action="subscribe", stream="work", **conditions)
                assert (answer["code"], message in answer["detail"]) == ("invalid", True), answer
