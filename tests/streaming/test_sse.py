"""Named streams over Server-Sent Events."""

import contextlib
import json
import re
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from event_gateway.api.http import limits
from event_gateway.api.live import connections, sse_response
from event_gateway.streaming import live_subscriptions
from support.client import STRUCTURED, Client, connected, event
from support.event_stream import EventStream, Parser
from support.fixtures import Start
from support.own_streams import OwnStream, own_stream
from support.patience import PATIENCE

STREAMS = {
    "streams": {
        "work": {"subjects": ["scheduler.job.*"], "max_messages": 50},
        "audit": {"subjects": ["audit.events.*"]},
    }
}
PATH = "/v1/streams/work/sse"

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def configuration() -> dict[str, Any]:
    return STREAMS


@pytest.fixture
async def own(client: Client) -> OwnStream:
    return await own_stream(client, max_messages=50)


@contextlib.asynccontextmanager
async def opened(
    stream: OwnStream, last: str | None = None, **query: str
) -> AsyncIterator[EventStream]:
    """An open stream of an EventSource, with the id that it has received last."""
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
    path, http = f"{stream.path}/sse", stream.client.http
    async with http.stream("GET", path, params=query, headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        yield EventStream(answer, Parser(last or ""))


async def test_events_have_sequences_and_a_reconnect_continues(
    client: Client, own: OwnStream
) -> None:
    sent = [event(own.type, {"n": n, "text": "a\nb é"}) for n in range(6)]
    await client.send(sent[:3])
    await own.held(3)
    async with opened(own, **{"from": "first"}) as stream:
        result = await stream.take(4)
        assert stream.parser.retry == 2000
    assert [message.id for message in result] == ["1", "2", "3", "3"]
    assert [json.loads(message.data)["id"] for message in result[:3]] == [
        item["id"] for item in sent[:3]
    ]
    assert json.loads(result[0].data)["data"]["text"] == "a\nb é"
    assert result[3].event == "caught_up"
    await client.send(sent[3:])
    await own.held(6)
    # A browser connects again with the same address, and says what it has got.
    async with opened(own, "3", **{"from": "first"}) as stream:
        result = await stream.take(3)
    assert [message.id for message in result] == ["4", "5", "6"]
    events = await client.lifecycle_events(2, "stream.unsubscribed", about=[own.subject])
    assert [(item["data"]["reason"], item["data"]["sent"]) for item in events] == [
        ("closed", 3), ("closed", 3),
    ]  # fmt: skip


LINES = {
    "lf": b'{\n  "n": 1,\n\n  "text": "x"\n}',
    "crlf": b'{\r\n  "n": 1,\r\n\r\n  "text": "x"\r\n}\r\n',
    "cr": b'{\r"n":\r\r1,"text":"x"\r}',
    "mixed": b'\n\r{\n\r"n":1,\r\n\n"text":\n"x"}\r\r\n',
    # A line of its own that looks like a field, a comment or nothing.
    "tempting": b'{"n":1,"text":\n"x"\n,"id: 7":\n"event: y"\n,"data":\n":"\n}',
    "other breaks": '{"n":1,\n"text":"x","u":"\u2028\u2029\u0085\ufeff"}'.encode(),
}


@pytest.mark.parametrize("mode", ["structured", "binary", "nats"])
async def test_data_with_line_breaks_arrives_whole(
    client: Client, own: OwnStream, mode: str
) -> None:
    """Every publisher that indents sends such data."""
    for name, data in LINES.items():
        headers = {
            "ce-specversion": "1.0", "ce-id": f"{mode}-{name}", "ce-source": "tests",
            "ce-type": own.type, "content-type": "application/json",
        }  # fmt: skip
        if mode == "nats":
            await client.nats.publish(own.type, data, headers=headers)
            continue
        content = data
        if mode == "structured":
            headers = STRUCTURED
            content = (
                b'{"specversion":"1.0",\r\n"id":"%b","source":"tests",\n"type":"%b","data":%b}'
                % (f"{mode}-{name}".encode(), own.type.encode(), data)
            )
        answer = await client.http.post("/v1/events", content=content, headers=headers)
        assert answer.status_code == 202, answer.text
    await own.held(len(LINES))  # the next one comes another way than from NATS
    text = event(own.type, "a\r\nb\rc\nd\u2028\0", datacontenttype="text/plain")
    await client.send(text)
    await own.held(len(LINES) + 1)
    async with opened(own, **{"from": "first"}) as stream:
        result = await stream.take(len(LINES) + 1)
    assert [message.id for message in result] == [str(n + 1) for n in range(len(LINES) + 1)]
    for message, (name, data) in zip(result, LINES.items(), strict=False):
        decoded = json.loads(message.data)
        decoded["data"].pop("enrichment", None)
        assert (decoded["id"], decoded["data"]) == (f"{mode}-{name}", json.loads(data))
    assert json.loads(result[-1].data)["data"] == text["data"]


async def test_a_client_resumes_where_its_connection_began(client: Client, own: OwnStream) -> None:
    """It may be lost before the first event."""
    await client.send([event(own.type) for _ in range(2)])
    await own.held(2)
    async with opened(own) as stream:
        await stream.until_id("2")
        last = stream.parser.last_event_id
    await client.send(event(own.type))
    await own.held(3)
    async with opened(own, last) as stream:
        assert (await stream.next()).id == "3"
    # In the URL it counts as in the header, the header rules, and an empty one is none.
    for headers, query, first in (
        ({}, {"lastEventId": "1"}, "2"),
        ({"Last-Event-ID": "2"}, {"lastEventId": "1"}, "3"),
        ({"Last-Event-ID": ""}, {"lastEventId": "1"}, "2"),
        ({"Last-Event-ID": ""}, {"lastEventId": "", "from": "first"}, "1"),
    ):
        async with client.http.stream(
            "GET", f"{own.path}/sse", headers=headers, params=query
        ) as answer:
            assert (await EventStream(answer).next()).id == first, (headers, query)
    since = datetime.now(UTC).isoformat()
    await client.send(event(own.type))
    async with opened(own, **{"from": since}) as stream:
        await stream.until_id("3")  # not the first of the stream
        assert (await stream.next()).id == "4"


async def test_events_that_a_filter_leaves_out_move_the_position(
    client: Client, own: OwnStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_subscriptions, "POSITION_INTERVAL", 0.1)
    only = {"expression": "event.data.n == 7"}
    async with opened(own, **only) as stream:
        await client.send([event(own.type, {"n": n}) for n in range(3)])
        await stream.until_id("3")
    async with opened(own, "0", **only) as stream:
        await stream.until_id("3")
        assert stream.parser.blocks == 3, "one for the start, one that it has caught up"
    await client.send([event(own.type, {"n": n}) for n in range(80)])  # 50 are kept
    await own.held(83)
    async with opened(own, "3", **only) as stream:
        missed, _ = await stream.take(2)
    assert (missed.event, json.loads(missed.data)) == ("missed", {"first": 4, "last": 33})
    async with opened(own, "33", **only) as stream:
        assert (await stream.next()).event == "caught_up"


async def test_a_position_of_another_stream_is_told(client: Client, own: OwnStream) -> None:
    await client.send([event(own.type) for _ in range(3)])
    await own.held(3)
    async with opened(own, "9") as stream:
        messages = await stream.take(5)
        told = {"first": 1, "last": 0, "code": "stream_recreated"}
        assert (messages[0].event, json.loads(messages[0].data)) == ("missed", told)
        assert [message.id for message in messages[1:4]] == ["1", "2", "3"]
        assert messages[4].event == "caught_up"
    async with opened(own, "3") as stream:  # at the end: nothing to tell
        await client.send(event(own.type))
        assert (await stream.next()).id == "4"


async def test_comments_are_sent_while_there_are_no_events(
    client: Client, own: OwnStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse_response, "HEARTBEAT", 0.1)
    async with opened(own) as stream:
        await stream.comment()
        await stream.comment()


async def test_gone_events_and_the_end_are_reported(client: Client, own: OwnStream) -> None:
    await client.send([event(own.type) for _ in range(80)])
    await own.held(80)
    async with opened(own, **{"from": "11"}) as stream:
        result = await stream.take(52)
    assert (result[0].event, result[0].data) == ("missed", '{"first":11,"last":30}')
    assert [message.id for message in result[1:51]] == [str(n) for n in range(31, 81)]

    other = await own_stream(client)
    async with opened(other) as stream:
        await stream.until_id("0")
        assert (await client.http.delete(other.path)).status_code == 204
        assert [(message.event, message.data) for message in await stream.rest()] == [
            ("unsubscribed", '{"code":"stream_deleted"}')
        ]
        last = stream.parser.last_event_id
    # What an operator has ended is not begun again by a browser.
    again = await client.http.get(f"{other.path}/sse", headers={"Last-Event-ID": last})
    assert (again.status_code, again.content) == (204, b"")
    assert (await client.http.get(f"{other.path}/sse")).status_code == 404
    async with opened(own) as stream:
        await stream.until_id("80")
        asked = {"stream": own.name}
        listed = (await client.http.get("/v1/subscriptions", params=asked)).json()["items"]
        assert (await client.http.delete(f"/v1/subscriptions/{listed[0]['id']}")).is_success
        assert (await stream.rest())[-1].event == "unsubscribed"
        last = stream.parser.last_event_id
    again = await client.http.get(f"{own.path}/sse", headers={"Last-Event-ID": last})
    assert again.status_code == 204
    both = [own.subject, other.subject]
    ended = await client.lifecycle_events(3, "stream.unsubscribed", about=both)
    assert [item["data"]["reason"] for item in ended] == [
        "closed", "stream deleted", "closed by operator",
    ]  # fmt: skip


INVALID_REQUESTS: list[tuple[str, Any, dict[str, str], int]] = [
    ("/v1/streams/nope/sse", {}, {}, 404),
    (PATH, {"from": "noon"}, {}, 422),
    (PATH, {"form": "first"}, {}, 422),
    (PATH, {"stream": "audit"}, {}, 422),
    (PATH, [("from", "1"), ("from", "2")], {}, 422),
    (PATH, {}, {"Last-Event-ID": "x"}, 422),
    (PATH, {}, {"Authorization": "Bearer nonsense"}, 401),
    (PATH, {"token": "egt_x.y"}, {"Authorization": ""}, 401),
]


async def test_invalid_requests_are_answered(client: Client, subtests: pytest.Subtests) -> None:
    for path, query, headers, status in INVALID_REQUESTS:
        for accept in ("*/*", "text/event-stream"):  # a browser is right to give up, too
            with subtests.test(path=path, query=query, headers=headers, accept=accept):
                sent = {"Accept": accept} | headers
                answer = await client.http.get(path, params=query, headers=sent)
                assert answer.status_code == status
                assert answer.headers["content-type"] == "application/problem+json"


async def test_a_token_allows_only_its_streams(client: Client, own: OwnStream) -> None:
    response = await client.http.post(
        "/v1/tokens", json={"streams": [own.name], "principal": "page"}
    )
    assert response.status_code == 201, response.text
    token: Any = {"token": response.json()["token"]}
    async with httpx.AsyncClient(base_url=client.http.base_url, timeout=PATIENCE) as stranger:
        async with stranger.stream("GET", f"{own.path}/sse", params=token) as answer:
            assert answer.status_code == 200
            await client.send(event(own.type))
            assert (await EventStream(answer).next()).id == "1"
        refused = await stranger.get("/v1/streams/audit/sse", params=token)
        assert refused.status_code == 403
    events = await client.lifecycle_events(1, "stream.subscribed", about=[own.subject])
    assert events[0]["data"]["principal"] == "page"


async def test_the_response_ends_with_the_gateway(start: Start) -> None:
    running = await start(STREAMS)
    only = {"expression": "event.data.n == 7"}
    async with (
        connected(running.http_url, running.nats_url, running.admin_key) as client,
        opened(work := OwnStream(client, "work", "scheduler.job.done"), **only) as stream,
        opened(work) as other,
    ):
        await client.send(event("scheduler.job.done"))
        assert (await other.next()).id == "1"
        await running.gateway.drain()
        assert await stream.rest() == []
        assert stream.parser.last_event_id == "1", "an event that was left out"
        # A browser comes again after this answer, and would not after 503.
        async with opened(work, "1", **only) as stream:
            assert await stream.rest() == []
            assert (stream.parser.retry, stream.parser.last_event_id) == (2000, "1")
            assert stream.parser.comments == [" the gateway restarts"]
        assert (await client.http.get(PATH)).status_code == 503


async def test_a_browser_comes_again_when_its_key_has_too_many_connections(start: Start) -> None:
    running = await start(STREAMS | {"server": {"subscribers": {"max_connections": 1}}})
    async with (
        connected(running.http_url, running.nats_url, running.admin_key) as client,
        opened(work := OwnStream(client, "work", "scheduler.job.done")) as stream,
    ):
        await stream.until_id("0")
        assert (await client.http.get(PATH)).status_code == 429
        async with opened(work) as refused:
            assert await refused.rest() == []
            assert refused.parser.retry == 10_000


async def test_head_begins_no_subscription(client: Client) -> None:
    answer = await client.http.head(PATH)
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (
        200, "text/event-stream; charset=utf-8", b"",
    )  # fmt: skip
    assert "content-length" not in answer.headers
    for path, status in (
        ("/v1/streams/nope/sse", 404), ("/v1/streams", 200), ("/v1/streams/work", 200),
        ("/v1/streams/work/messages", 200), ("/v1/subscriptions", 200), ("/healthz", 200),
        ("/v1/ws", 426), ("/v1/events/nope", 404), ("/openapi.json", 200),
    ):  # fmt: skip
        got = await client.http.get(path)
        head = await client.http.head(path)
        assert (head.status_code, got.status_code, head.content) == (status, status, b""), path
        for name in ("content-type", "content-length", "upgrade"):
            assert head.headers.get(name) == got.headers.get(name), (path, name)
    assert not [item for item in client.lifecycle if item["type"] == "stream.subscribed"]


async def test_unknown_parameters_are_refused_with_a_suggestion(client: Client) -> None:
    for path, parameter, suggested in (
        ("/v1/streams", "lmit", "limit"), ("/v1/streams/work/messages", "from", "from_seq"),
        ("/v1/streams/work/sse", "form", "from"), ("/v1/streams/work/sse", "last_event_id", None),
        ("/v1/subscriptions", "steam", "stream"), ("/v1/streams/work", "x" * 5000, None),
    ):  # fmt: skip
        answer = await client.http.get(path, params={parameter: "1"})
        assert answer.status_code == 422, path
        detail = answer.json()["detail"]
        assert "parameter" in detail
        assert len(detail) < 300
        if suggested is not None:
            assert f"did you mean {suggested}?" in detail


@pytest.mark.alone  # it looks at figures of the whole gateway
async def test_clients_that_read_nothing_are_closed(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of Server-Sent Events as one of a WebSocket, and events are buffered for neither."""
    monkeypatch.setattr(limits, "LIVE_WRITE_TIMEOUT", 0.5)
    monkeypatch.setattr(connections, "CHECK_INTERVAL", 0.1)
    host, port = client.http.base_url.host, client.http.base_url.port
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.connect((host, port))
        raw.sendall(f"GET {PATH} HTTP/1.1\r\nHost: x\r\nX-API-Key: {client.key}\r\n\r\n".encode())
        async with client.websocket(receive_buffer=4096) as websocket:
            await websocket.request(action="subscribe", stream="work")
            websocket.connection.transport.pause_reading()
            await client.lifecycle_events(2, "stream.subscribed")
            large = "x" * 50_000
            # The socket is not closed before its subscriber has fallen behind.
            while not await _fallen_behind(client):
                await client.send([event("scheduler.job.done", large) for _ in range(10)])
            monkeypatch.setattr(connections, "STALLED_AFTER", 0.5)
            while len(await _unsubscribed(client)) < 2:
                await client.send([event("scheduler.job.done", large) for _ in range(10)])
    assert [item["data"]["reason"] for item in await _unsubscribed(client)] == ["too slow"] * 2
    metrics = (await client.http.get("/metrics")).text
    assert 'event_gateway_http_connections_timed_out_total{waiting_for="response"} 1.0' in metrics


async def _fallen_behind(client: Client) -> int:
    """How many subscribers have fallen behind the live feed."""
    metrics = (await client.http.get("/metrics")).text
    count = re.search(r"^event_gateway_stream_slow_consumers_total (\d+)", metrics, re.MULTILINE)
    assert count
    return int(count[1])


async def _unsubscribed(client: Client) -> list[dict[str, Any]]:
    return [item for item in client.lifecycle if item["type"] == "stream.unsubscribed"]
