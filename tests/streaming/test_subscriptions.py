"""Streams and subscribers as operators see them, and tokens for browsers."""

import asyncio
import contextlib
import json
from typing import Any

import pytest
import redis.asyncio
import websockets

from event_gateway.cli.process.serve import Running
from event_gateway.streaming import live_subscriptions
from support.client import Client, Socket, event
from support.own_streams import OwnStream, own_stream
from support.patience import PATIENCE
from support.peers import Peers

STREAMS = {
    "streams": {
        "work": {"subjects": ["scheduler.job.*"]},
        "audit": {"subjects": ["audit.events.*"]},
    }
}

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def configuration() -> dict[str, Any]:
    return STREAMS


@pytest.fixture
async def own(client: Client) -> OwnStream:
    return await own_stream(client)


@contextlib.asynccontextmanager
async def stranger(client: Client, query: str, *subprotocols: str) -> Any:
    """A WebSocket client without a key."""
    url = str(client.http.base_url).replace("http", "ws", 1).rstrip("/") + f"/v1/ws?{query}"
    async with websockets.connect(url, subprotocols=list(subprotocols) or None) as connection:  # type: ignore[arg-type]
        yield Socket(connection)


async def ended_with(socket: Socket) -> tuple[int | None, str | None]:
    """The code and reason with which the gateway closes a socket."""
    with contextlib.suppress(websockets.ConnectionClosed):
        while True:
            await socket.next()
    return socket.connection.close_code, socket.connection.close_reason


async def token(client: Client, **body: Any) -> str:
    """Requests a token from the gateway."""
    answer = await client.http.post("/v1/tokens", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["token"])


async def test_the_events_of_a_stream_in_pages(client: Client, own: OwnStream) -> None:
    sent = [event(own.type, {"n": n}) for n in range(5)]
    await client.send(sent[:2])
    await client.nats.jetstream().publish(f"scheduler.{own.name}.x", b"no event")
    await client.send(sent[2:])
    async with asyncio.timeout(PATIENCE):
        while True:
            shown = (await client.http.get(own.path)).json()
            if shown["state"]["messages"] == 6:
                break
    assert 0 < shown["rate"] <= 0.6
    asked: dict[str, Any] = {"rates": True, "search": own.name}
    (listed,) = (await client.http.get("/v1/streams", params=asked)).json()["items"]
    assert 0 < listed["rate"] <= 0.6
    assert "rate" not in (await client.http.get("/v1/streams")).json()["items"][0]
    path = f"{own.path}/messages"
    result: list[Any] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = (await client.http.get(path, params=query)).json()
        result += page["items"]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert [(request["seq"], request["event"]["id"]) for request in result] == list(
        zip((1, 2, 4, 5, 6), [item["id"] for item in sent], strict=True)
    )
    assert result[0]["time"].startswith("20")
    assert result[0]["event"]["data"]["enrichment"]
    later = (await client.http.get(path, params={"from_seq": 5})).json()
    assert [item["seq"] for item in later["items"]] == [5, 6]
    assert "missed" not in later
    # A client that polls from the next sequence on gets nothing; from one behind it, the reason.
    for from_seq, missed in ((7, None), (8, {"first": 1, "last": 0, "code": "stream_recreated"})):
        page = (await client.http.get(path, params={"from_seq": from_seq})).json()
        assert (page["items"], page.get("missed")) == ([], missed)
    for query, status in (({"limit": 0}, 422), ({"cursor": "x"}, 400), ({"from_seq": -1}, 422)):
        assert (await client.http.get(path, params=query)).status_code == status
    assert (await client.http.get("/v1/streams/nope/messages")).status_code == 404


async def test_subscribers_and_their_positions(
    peers: Peers, stack: contextlib.AsyncExitStack
) -> None:
    single, other = await peers.start(stack, STREAMS, STREAMS)
    async with single.websocket() as first, other.websocket() as second:
        answer = await first.request(action="subscribe", stream="work", **{"from": {"seq": 1}})
        ended = await second.request(action="subscribe", stream="work")
        listening = await second.request(action="subscribe", subjects=["audit.events.*"])
        await single.send([event("scheduler.job.done"), event("audit.events.a")])
        for socket, count in ((first, 1), (second, 2)):
            assert [(await socket.next())["type"] for _ in range(count)] == ["event"] * count
        # Every process knows all subscriptions.
        for client in (single, other):
            shown = (await client.http.get("/v1/streams/work")).json()
            assert (shown["subscribers"]["count"], shown["subscribers"]["complete"]) == (2, True)
            of = {item["id"]: item for item in shown["subscribers"]["items"]}
            assert of[answer["subscription"]] | {"since": "", "process": ""} == {
                "id": answer["subscription"], "stream": "work", "subjects": [],
                "principal": "admin", "method": "api_key", "key": "admin",
                "since": "", "from": {"seq": 1}, "durable": None, "position": 1, "lag": 0,
                "lagging": False, "sent": 1, "process": "",
            }  # fmt: skip
            assert len({item["process"] for item in of.values()}) == 2
            names: list[str] = []
            query: dict[str, Any] = {"limit": 1}
            while True:
                page = (await client.http.get("/v1/subscriptions", params=query)).json()
                names += [item["id"] for item in page["items"]]
                if page["next"] is None:
                    break
                query["cursor"] = page["next"]
            expected = [x["subscription"] for x in (answer, ended, listening)]
            assert names == sorted(expected)
        only = (await single.http.get("/v1/subscriptions", params={"stream": "work"})).json()
        assert len(only["items"]) == 2
        # It is ended in the process that serves it.
        path = f"/v1/subscriptions/{ended['subscription']}"
        assert (await single.http.delete(path)).status_code == 204
        frame = await second.next()
        assert (frame["type"], frame["subscription"], frame["code"]) == (
            "unsubscribed", ended["subscription"], "closed_by_operator",
        )  # fmt: skip
        assert (await single.http.delete(path)).status_code == 404
        gone = await single.lifecycle_events(1, "stream.unsubscribed")
        assert gone[0]["data"]["reason"] == "closed by operator"
        await single.send([event("scheduler.job.done"), event("audit.events.b")])
        assert (await second.next())["event"]["type"] == "audit.events.b"


async def test_subjects_without_a_stream(client: Client, gateway: Running) -> None:
    async with client.websocket() as socket:
        answer = await socket.request(
            action="subscribe", ref=1, subjects=["audit.events.*", "user.>", "events.foo.*"]
        )
        assert (answer["type"], answer["stream"], answer["ref"]) == ("subscribed", None, 1)
        log = await client.nats.jetstream().stream_info("GATEWAY_EVENTS")
        await client.send([event("audit.x.no"), event("audit.events.a"), event("foo.b")])
        await client.nats.publish("user.a.b", json.dumps({"a": 1}).encode())
        frames = [await socket.next() for _ in range(3)]
        assert [frame["event"]["type"] for frame in frames] == [
            "audit.events.a",
            "foo.b",
            "user.a.b",
        ]
        last = log.state.last_seq
        assert [frame["seq"] for frame in frames] == [last + 2, last + 3, last + 4]
        assert frames[0]["stream"] is None
        assert await socket.silent()
        for request, code in (
            ({"subjects": ["foo.*"]}, "not_captured"),
            ({"subjects": ["a..b"]}, "invalid"),
            ({"subjects": []}, "invalid"),
            ({"subjects": "user.*"}, "invalid"),
            ({"subjects": ["user.*"], "stream": "work"}, "invalid"),
            ({"subjects": ["user.*"], "from": "first"}, "invalid"),
            ({"subjects": ["user.*"], "durable": "x"}, "invalid"),
            ({"subjects": ["user.*", "stream.>"]}, "invalid"),
            ({"stream": "work", "form": "new"}, "invalid"),
        ):  # fmt: skip
            assert (await socket.request(action="subscribe", **request))["code"] == code, request
        # Lifecycle events are in a stream of their own.
        assert (await socket.request(action="subscribe", subjects=["stream.>"]))["seq"] > 0
    state = redis.asyncio.from_url(gateway.redis_url, decode_responses=True)
    async with asyncio.timeout(PATIENCE):
        while [key async for key in state.scan_iter("subscription:*")]:
            await asyncio.sleep(0.02)
    await state.aclose()


async def test_tokens_allow_their_streams_until_they_expire(client: Client) -> None:
    result = await token(client, streams=["work"], subjects=["audit.>"], expires_in="1m")
    async with stranger(client, f"token={result}") as socket:
        assert (await socket.request(action="subscribe", stream="work"))["type"] == "subscribed"
        listening = await socket.request(action="subscribe", subjects=["audit.events.*"])
        assert listening["type"] == "subscribed"
        for request in ({"stream": "audit"}, {"stream": "nope"}, {"subjects": ["user.*"]}):
            answer = await socket.request(action="subscribe", **request)
            assert answer["code"] == "forbidden", request
        await client.send([event("scheduler.job.done"), event("audit.events.a")])
        assert {(await socket.next())["stream"] for _ in range(2)} == {"work", None}
    soon = await token(client, streams=["work"], expires_in="1s")
    async with asyncio.timeout(PATIENCE):
        while True:
            async with stranger(client, f"token={soon}") as socket:
                with contextlib.suppress(websockets.ConnectionClosed):
                    await socket.request(action="ping")
                    await asyncio.sleep(0.1)
                    continue
                assert socket.connection.close_code == 4401
                # An open connection is closed, too, and with another reason.
                if socket.connection.close_reason == "the token has expired":
                    break
    head, mac = result.split(".")
    for wrong in (f"{head}.{mac[:-4]}AAAA", f"{head[:-4]}AAAA.{mac}", "egt_", "x", f"{head}.é"):
        async with stranger(client, f"token={wrong}") as socket:
            assert (await ended_with(socket))[0] == 4401
    # A token opens nothing else.
    answer = await client.http.get("/v1/streams", headers={"Authorization": f"Bearer {result}"})
    assert answer.status_code == 401


INVALID_TOKEN_REQUESTS: list[tuple[dict[str, Any], str]] = [
    ({}, "streams"),
    ({"streams": ["nope"]}, "streams.0"),
    ({"subjects": ["a..b"]}, "subjects.0"),
    ({"streams": ["work"], "expires_in": "2h"}, "expires_in"),
    ({"streams": ["work"], "principal": "a b"}, "principal"),
    ({"streams": ["work"], "principal": "admin"}, "principal"),
    ({"streams": ["work"], "stream": "x"}, "stream"),
]


async def test_invalid_token_requests_are_refused(
    client: Client, subtests: pytest.Subtests
) -> None:
    for body, key in INVALID_TOKEN_REQUESTS:
        with subtests.test(body=body, key=key):
            answer = await client.http.post("/v1/tokens", json=body)
            assert answer.status_code == 422, answer.text
            assert answer.json()["errors"][0]["key"] == key


async def test_bare_cloudevents(client: Client, own: OwnStream) -> None:
    built = await token(client, streams=[own.name])
    first = event(own.type)
    await client.send(first)
    await asyncio.sleep(0.3)
    async with stranger(
        client, f"token={built}&stream={own.name}&from=first", "x.y", "cloudevents.json"
    ) as socket:
        assert socket.connection.subprotocol == "cloudevents.json"
        second = event(own.type)
        await client.send(second)
        result = [await socket.next(), await socket.next()]
        assert [request["id"] for request in result] == [first["id"], second["id"]]
        assert {"specversion", "source", "data"} <= result[0].keys()
        await socket.connection.send("{}")
        assert (await ended_with(socket))[0] == 1008
    for query, code in (
        (f"token={built}&stream=audit", 4403),
        (f"token={built}", 1008),
        (f"token={built}&stream={own.name}&from=noon", 1008),
        (f"token={built}&stream={own.name}&form=first", 1008),
        (f"token={built}&stream={own.name}&stream={own.name}", 1008),
        (f"stream={own.name}", 4401),
    ):
        async with stranger(client, query, "cloudevents.json") as socket:
            assert (await ended_with(socket))[0] == code, query
    async with stranger(
        client, f"token={await token(client, subjects=['user.>'])}&subjects=user.a,user.b",
        "cloudevents.json",
    ) as socket:  # fmt: skip
        frame = asyncio.create_task(socket.next())
        while not frame.done():  # nothing tells when it is subscribed
            await client.send([event("user.c"), event("user.b")])
            await asyncio.wait([frame], timeout=0.2)
        assert (await frame)["type"] == "user.b"


async def test_a_url_that_says_what_does_not_count_is_refused(client: Client) -> None:
    built = await token(client, streams=["work"])
    for query, reason in (
        (f"tokne={built}&token={built}", "did you mean token?"),
        (f"token={built}&stream=work", "only the subprotocol cloudevents.json"),
    ):
        async with stranger(client, query) as socket:
            code, told = await ended_with(socket)
            assert (code, reason in str(told)) == (1008, True), told
    for path in ("/v1/ws", f"/v1/ws?token={built}"):
        answer = await client.http.get(path, headers={"Authorization": ""})
        assert (answer.status_code, answer.headers["upgrade"]) == (426, "websocket")
        assert "proxy" in answer.json()["detail"]


async def test_positions_of_a_websocket(
    client: Client, own: OwnStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_subscriptions, "POSITION_INTERVAL", 0.05)
    work: dict[str, Any] = {"action": "subscribe", "stream": own.name}
    async with client.websocket() as socket:
        await socket.request(**work, expression="event.data.n == 7")
        await client.send([event(own.type, {"n": n}) for n in range(3)])
        frame = await socket.next()
        while frame["seq"] < 3:
            frame = await socket.next()
        assert frame | {"subscription": ""} == {
            "type": "position", "subscription": "", "stream": own.name, "seq": 3,
        }  # fmt: skip
        assert await socket.silent(0.5), "told once"
        # A position behind the end is of another stream: all that there is comes, and is told.
        answer = await socket.request(**work, **{"from": {"seq": 500}})
        assert answer["seq"] == 0
        told = await socket.next()
        assert told | {"subscription": ""} == {
            "type": "missed", "subscription": "", "stream": own.name, "first": 1, "last": 0,
            "code": "stream_recreated",
        }  # fmt: skip
        assert [(await socket.next())["seq"] for _ in range(3)] == [1, 2, 3]
        assert (await socket.next())["type"] == "caught_up"
        later = await socket.request(**work, **{"from": {"time": "2126-01-01T00:00:00Z"}})
        assert later["seq"] == 3


async def test_bare_cloudevents_end_if_events_are_gone(client: Client) -> None:
    short = await own_stream(client, max_messages=5)
    await client.send([event(short.type) for _ in range(20)])
    await short.held(20)
    opened = await token(client, streams=[short.name])
    query = f"token={opened}&stream={short.name}"
    async with stranger(client, f"{query}&from=3", "cloudevents.json") as socket:
        assert await ended_with(socket) == (4408, "missed 3-15")
    # The same URL would be wrong again: the client shall not connect with it any more.
    async with stranger(client, f"{query}&from=99", "cloudevents.json") as socket:
        assert await ended_with(socket) == (1008, "stream_recreated")


async def test_idle_sockets_are_pinged(client: Client) -> None:
    from event_gateway.api.live import connections

    class Idle:
        """A socket with the fields and methods that the ping loop uses."""

        def __init__(self, **seen: Any) -> None:
            self.writable, self.received_at, self.moved, self.pinged = True, 0.0, 0.0, 0.0
            self.did: list[Any] = []
            self.__dict__.update(seen)

        def ping(self) -> None:
            self.did.append("ping")

        def close(self, code: int, reason: str) -> None:
            self.did.append(code)

    for now, seen, did in (
        (20.0, {}, []), (26.0, {}, ["ping"]), (40.0, {"pinged": 26.0}, []),
        (91.0, {"pinged": 80.0}, [4408]), (91.0, {"received_at": 70.0}, []),
        (200.0, {"writable": False}, []), (301.0, {"writable": False}, [4408]),
    ):  # fmt: skip
        idle: Any = Idle(**seen)
        connections.check(idle, now)
        assert idle.did == did, (now, seen)
    # And the real one answers.
    async with client.websocket() as socket:
        await socket.request(action="ping")
        async with asyncio.timeout(PATIENCE):
            await (await socket.connection.ping())
