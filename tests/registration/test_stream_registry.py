"""Named streams created, changed and deleted over the API."""

import asyncio
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nats.js.errors import NotFoundError

from event_gateway.broker.named_streams import MARGIN, ensure_named
from event_gateway.cli.process.serve import Running
from event_gateway.core.streams.definition import Hold, StreamDefinition
from event_gateway.registration import applied_streams
from support.client import Client, connected, event
from support.fixtures import Start
from support.patience import PATIENCE
from support.peers import Peers
from support.program import LOOPBACK, Program

pytestmark = pytest.mark.shared


async def _create(client: Client, name: str, *subjects: str, **more: Any) -> dict[str, Any]:
    answer = await client.http.post("/v1/streams", json={"name": name, "subjects": subjects} | more)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def _state(client: Client, name: str) -> dict[str, Any]:
    return dict((await client.http.get(f"/v1/streams/{name}")).json()["state"])


async def _ids(client: Client, name: str, count: int) -> list[str]:
    """Waits for a number of events in a stream, and returns their ids."""
    async with asyncio.timeout(PATIENCE):
        while (await _state(client, name))["messages"] < count:
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.2)  # for events that should not arrive
    return [
        json.loads(message.data)["id"]
        for message in await client.stream_messages(f"GATEWAY_STREAM_{name}")
    ]


async def test_a_stream_is_created_changed_and_deleted(client: Client) -> None:
    earlier = event("fresh.a")
    await client.send(earlier)
    response = await client.http.post(
        "/v1/streams",
        json={"name": "s", "subjects": ["fresh.*"], "retention": "2h", "max_messages": 10},
    )
    assert (response.status_code, response.headers["location"]) == (201, "/v1/streams/s")
    shown = response.json()
    assert shown.pop("warnings") == []
    assert shown | {"created_at": ""} == {
        "name": "s", "subjects": ["fresh.*"], "retention": "2h", "max_messages": 10,
        "max_bytes": None, "compliance": False, "compression": "s2", "replicas": None,
        "holds": [], "sealed_by": None, "managed_by": "api", "created_at": "",
    }  # fmt: skip
    # It starts with the events of the log, and its own subject is captured from NATS.
    await client.nats.publish("fresh.b", json.dumps(event("fresh.b")).encode())
    assert (await _ids(client, "s", 2))[0] == earlier["id"]
    state = await _state(client, "s")
    assert (state["messages"], state["first_seq"], state["last_seq"]) == (2, 1, 2)
    assert state["bytes"] > 100
    assert state["first_time"].startswith("20")
    listed = (await client.http.get("/v1/streams")).json()
    assert listed == {"items": [shown | {"state": state}], "next": None, "total": 1,
                      "total_is_estimate": False}  # fmt: skip

    async with client.websocket() as socket, client.websocket() as other:
        await _create(client, "t", "other.*")
        ends = await socket.request(action="subscribe", stream="s")
        await other.request(action="subscribe", stream="t")
        assert (await client.http.delete("/v1/streams/s")).status_code == 204
        frame = await socket.next()
        assert frame | {"detail": ""} == {
            "type": "unsubscribed", "ref": None, "subscription": ends["subscription"],
            "code": "stream_deleted", "detail": "",
        }  # fmt: skip
        answer = await socket.request(action="subscribe", stream="s")
        assert answer["code"] == "unknown_stream"
        await client.send(event("other.a"))
        assert (await other.next())["type"] == "event"
    assert (await client.http.get("/v1/streams/s")).status_code == 404
    assert (await client.http.delete("/v1/streams/s")).status_code == 404
    named = [item.config.name for item in await client.nats.jetstream().streams_info()]
    assert "GATEWAY_STREAM_s" not in named
    both = await client.lifecycle_events(2, "stream.created", "stream.deleted", about=["stream/s"])
    assert [item["type"] for item in both] == ["stream.created", "stream.deleted"]
    assert both[0]["data"] == {
        "stream": "s", "subjects": ["fresh.*"], "retention": "2h", "max_messages": 10,
    }  # fmt: skip
    gone = await client.lifecycle_events(1, "stream.unsubscribed", about=["stream/s"])
    assert gone[0]["data"]["reason"] == "stream deleted"

    # The name is free again.
    await _create(client, "s", "other.*")
    assert len(await _ids(client, "s", 1)) == 1


async def test_pages(client: Client) -> None:
    for n in range(5):
        await _create(client, f"s{n}", "user.*")
    names: list[str] = []
    cursor: dict[str, str] = {}
    for _ in range(3):
        page = (await client.http.get("/v1/streams", params={"limit": "2"} | cursor)).json()
        names += [item["name"] for item in page["items"]]
        cursor = {"cursor": page["next"]}
    assert names == [f"s{n}" for n in range(5)]
    assert page["next"] is None
    wrong = await client.http.get("/v1/streams", params={"cursor": "x"})
    assert wrong.status_code == 400


WRONG_DEFINITIONS: list[tuple[dict[str, Any], str, str]] = [
    ({"subjects": ["a.b"]}, "name", "is missing"),
    ({"name": "s"}, "subjects", "is missing"),
    ({"name": "s", "subjects": []}, "subjects", "at least one"),
    ({"name": "s", "subjects": "a.b"}, "subjects", "must be a list"),
    ({"name": "s", "subjects": ["a..b"]}, "subjects", "empty token"),
    ({"name": "s", "subjects": ["*.b"]}, "subjects", "begins with a wildcard"),
    ({"name": "s", "subjects": [">"]}, "subjects", "begins with a wildcard"),
    ({"name": "s", "subjects": ["a.*", "a.b"]}, "subjects", "overlap"),
    ({"name": "s", "subjects": ["events.a.b", "a.>"]}, "subjects", "overlap"),
    ({"name": "s", "subjects": ["a.b", "webhook.>"]}, "subjects", "of their own"),
    ({"name": "s", "subjects": [f"a{n}.b" for n in range(65)]}, "subjects", "at most 64"),
    ({"name": "a/b", "subjects": ["a.b"]}, "name", "not of the form"),
    ({"name": "s", "subjects": ["a.b"], "retention": 5}, "retention", "no unit"),
    ({"name": "s", "subjects": ["a.b"], "retention": "0s"}, "retention", "at least 1s"),
    ({"name": "s", "subjects": ["a.b"], "max_messages": 0}, "max_messages", "at least 1"),
    ({"name": "s", "subjects": ["a.b"], "max_messages": 2**63}, "max_messages", "at most"),
    ({"name": "s", "subjects": ["a.b"], "max_bytes": "many"}, "max_bytes", "not a size"),
    ({"name": "s", "subjects": ["a.b"], "compression": "zip"}, "compression", "s2"),
    ({"name": "s", "subjects": ["a.b"], "replicas": 6}, "replicas", "5"),
    ({"name": "s", "subjects": ["a.b"], "retentoin": "1d"}, "retentoin", "did you mean"),
]


async def test_a_wrong_definition_is_refused(client: Client, subtests: pytest.Subtests) -> None:
    for body, key, message in WRONG_DEFINITIONS:
        with subtests.test(body=body, key=key, message=message):
            answer = await client.http.post("/v1/streams", json=body)
            assert answer.status_code == 422, answer.text
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["errors"][0]["key"] == key
            assert message in answer.json()["errors"][0]["detail"]
            assert (await client.http.get("/v1/streams")).json()["items"] == []


async def test_a_stream_that_nats_refuses_leaves_nothing_behind(client: Client) -> None:
    answer = await client.http.post(
        "/v1/streams", json={"name": "refused", "subjects": ["a.{{x}}"]}
    )
    assert answer.status_code == 422, answer.text
    assert "NATS refuses the stream" in answer.json()["detail"]
    assert (await client.http.get("/v1/streams")).json()["items"] == []
    await _create(client, "refused", "a.*")
    again = await client.http.post("/v1/streams", json={"name": "refused", "subjects": ["a.*"]})
    assert (again.status_code, again.json()["detail"]) == (409, "the stream refused exists already")


async def test_changed_limits_drop_events_only_on_request(client: Client) -> None:
    await _create(client, "limited", "limited.*", retention="1d", max_messages=100)
    await client.send([event("limited.a") for _ in range(10)])
    await _ids(client, "limited", 10)

    async def patch(body: Any, **query: str) -> Any:
        return await client.http.patch("/v1/streams/limited", json=body, params=query)

    changed = await patch({"max_messages": 20, "retention": None})
    assert changed.status_code == 200, changed.text
    assert (changed.json()["max_messages"], changed.json()["retention"]) == (20, None)
    config = (await client.nats.jetstream().stream_info("GATEWAY_STREAM_limited")).config
    assert (config.max_msgs, config.max_age) == (20, 0)
    events = await client.lifecycle_events(1, "stream.updated", about=["stream/limited"])
    assert events[0]["data"]["max_messages"] == 20

    await asyncio.sleep(1.1)
    for body, text in (
        ({"max_messages": 5}, "max_messages 5 is less than the 10"),
        ({"max_bytes": 100}, "max_bytes 100 is less than the "),
        ({"retention": "1s"}, "more than 1s"),
        ({"subjects": ["stream.>"]}, "cannot change between events"),
    ):
        refused = await patch(body)
        assert refused.status_code == 409, refused.text
        assert text in refused.json()["detail"]
    assert (await _state(client, "limited"))["messages"] == 10
    assert (await patch({"max_messages": 5}, force="true")).status_code == 200
    assert (await _state(client, "limited"))["messages"] == 5
    bodies: list[tuple[Any, int]] = [
        ({"name": "t"}, 422), ({"subjects": None}, 422), ({"max_messages": "x"}, 422), ([], 422),
    ]  # fmt: skip
    for body, status in bodies:
        assert (await patch(body)).status_code == status
    assert (await client.http.patch("/v1/streams/nope", json={})).status_code == 404


@pytest.mark.alone  # its stream cannot be deleted
async def test_compliance_streams_keep_their_records(client: Client) -> None:
    await _create(client, "s", "audit.*", compliance=True, retention="1y")
    for body, text in (
        ({"compliance": False}, "cannot be turned off"),
        ({"retention": "300d"}, "retention cannot be lowered"),
        ({"max_messages": 10**9}, "max_messages cannot be lowered"),
    ):
        refused = await client.http.patch("/v1/streams/s", json=body, params={"force": "true"})
        assert (refused.status_code, text in refused.json()["detail"]) == (409, True), refused.text
    longer = await client.http.patch("/v1/streams/s", json={"retention": "2y"})
    assert longer.json()["retention"] == "2y"
    refused = await client.http.delete("/v1/streams/s")
    assert (refused.status_code, "never deleted" in refused.json()["detail"]) == (409, True)


async def test_new_subjects_continue_where_the_previous_ended(client: Client) -> None:
    """Otherwise JetStream would copy all events from the beginning again."""
    await _create(client, "moved", "user.*")
    sent: list[str] = []
    enough = asyncio.Event()

    async def publish() -> None:
        while not enough.is_set():
            published = event("user.a")
            sent.append(published["id"])
            await client.send(published)

    async def some_more() -> None:
        required = len(sent) + 30
        while len(sent) < required:
            await asyncio.sleep(0.01)

    async with client.websocket() as socket:
        await socket.request(action="subscribe", stream="moved")
        publishing = asyncio.create_task(publish())
        try:
            for subjects in (["user.*", "audit.x"], ["user.*"], ["user.*", "audit.*", "x.*"]):
                await some_more()
                answer = await client.http.patch("/v1/streams/moved", json={"subjects": subjects})
                assert answer.status_code == 200, answer.text
            await some_more()
        finally:
            enough.set()
            await publishing
        last = event("x.new")
        await client.send(last)
        emptied_from = time.monotonic()
        expected = [*sent, last["id"]]
        live = [await socket.next() for _ in expected]
        assert await socket.silent()
    assert [item["event"]["id"] for item in live] == expected
    assert await _ids(client, "moved", len(expected)) == expected
    assert [item["seq"] for item in live] == list(range(1, len(expected) + 1))
    # Also if no message is left that shows how far it came.
    await client.http.patch("/v1/streams/moved", json={"retention": "1s"}, params={"force": "true"})
    async with asyncio.timeout(PATIENCE):
        while (await _state(client, "moved"))["messages"]:
            await asyncio.sleep(0.1)
    # An empty stream gets the events of the last seconds again.
    await asyncio.sleep(max(0.0, emptied_from + MARGIN + 0.5 - time.monotonic()))
    wider = {"subjects": ["user.>"], "retention": "1d"}
    assert (await client.http.patch("/v1/streams/moved", json=wider)).status_code == 200
    await client.send(published := event("user.a.b"))
    assert await _ids(client, "moved", 1) == [published["id"]]


async def test_streams_of_the_file_are_changed_only_there(tmp_path: Path) -> None:
    program = Program(tmp_path, LOOPBACK | {"streams": {"f": {"subjects": ["user.*"]}}})
    at = await program.start()
    try:
        async with connected(at["http"], at["nats"], at["key"]) as client:
            await client.send(sent := event("user.a"))
            assert await _ids(client, "f", 1) == [sent["id"]]
            for answer in (
                await client.http.patch("/v1/streams/f", json={"max_messages": 5}),
                await client.http.delete("/v1/streams/f"),
            ):
                assert answer.status_code == 409
                assert "comes from the configuration file" in answer.json()["detail"]
            await _create(client, "a", "user.*")
        assert await program.stop() == 0
        program.configure(LOOPBACK | {"streams": {"a": {"subjects": ["user.*"]}}})
        at = await program.start()
        assert "no longer in the file" in program.output
        async with connected(at["http"], at["nats"], at["key"]) as client:
            items = (await client.http.get("/v1/streams")).json()["items"]
            assert {item["name"]: item["managed_by"] for item in items} == {"a": "file", "f": "api"}
            assert await _ids(client, "f", 1) == [sent["id"]]
            assert (await client.http.delete("/v1/streams/f")).status_code == 204
            assert (await client.http.delete("/v1/streams/a")).status_code == 409
        assert await program.stop() == 0
    finally:
        await program.stop()


async def test_compression_and_replicas(client: Client) -> None:
    js = client.nats.jetstream()
    await _create(client, "packed", "user.*", compression="none")
    assert (await js.stream_info("GATEWAY_STREAM_packed")).config.compression == "none"
    changed = await client.http.patch("/v1/streams/packed", json={"compression": "s2"})
    assert (changed.status_code, changed.json()["compression"]) == (200, "s2")
    assert (await js.stream_info("GATEWAY_STREAM_packed")).config.compression == "s2"
    refused = await client.http.patch("/v1/streams/packed", json={"replicas": 3})
    assert (refused.status_code, "replicas > 1" in refused.json()["detail"]) == (422, True)
    assert (await client.http.get("/v1/streams/packed")).json()["replicas"] is None


async def test_a_file_drops_events_only_on_request(tmp_path: Path) -> None:
    def config(**limits: Any) -> dict[str, Any]:
        return LOOPBACK | {"streams": {"f": {"subjects": ["user.*"]} | limits}}

    program = Program(tmp_path, config(max_messages=100))
    at = await program.start()
    try:
        async with connected(at["http"], at["nats"], at["key"]) as client:
            await client.send([event("user.a") for _ in range(10)])
            await _ids(client, "f", 10)
            program.configure(config(max_messages=5))
            os.kill(program.pid, signal.SIGHUP)
            async with asyncio.timeout(PATIENCE):
                while "max_messages 5 is less than the 10" not in program.output:
                    await asyncio.sleep(0.05)
            assert (await _state(client, "f"))["messages"] == 10
        assert await program.stop() == 0
        assert await program.start_fails() == 1
        assert "would drop events" in program.last_line
        assert "serve --force" in program.last_line
        forced = Program(tmp_path, config(max_messages=5), "--force")
        at = await forced.start()
        async with connected(at["http"], at["nats"], at["key"]) as client:
            assert (await _state(client, "f"))["messages"] == 5
        assert await forced.stop() == 0
        # The same limits again drop nothing, however old the stored events are by now.
        await program.start()
    finally:
        await program.stop()


async def test_several_processes_know_the_same_streams(peers: Peers, stack: Any) -> None:
    first, other = await peers.start(stack, {}, {})
    for number in range(10):
        writer, reader = (first, other) if number % 2 else (other, first)
        await _create(writer, "s", "user.*")
        async with reader.websocket() as socket:
            assert (await socket.request(action="subscribe", stream="s"))["type"] == "subscribed"
            assert (await writer.http.delete("/v1/streams/s")).status_code == 204
            assert (await socket.next())["code"] == "stream_deleted"
    # Of two concurrent requests one creates it.
    answers = await asyncio.gather(*(
        client.http.post("/v1/streams", json={"name": "t", "subjects": [subject]})
        for client, subject in ((first, "user.a"), (other, "user.b"))
    ))  # fmt: skip
    assert sorted(answer.status_code for answer in answers) == [201, 409]
    frame = next(a.json()["subjects"] for a in answers if a.status_code == 201)
    await first.send([event("user.a"), event("user.b")])
    stored = await _ids(first, "t", 1)
    assert len(stored) == 1
    assert (await other.http.get("/v1/streams/t")).json()["subjects"] == frame


async def test_an_older_definition_that_was_applied_last_is_replaced(
    start: Start, connect: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(applied_streams, "INTERVAL", 3600.0)
    gateway: Running = await start()
    client: Client = await connect(gateway)
    await _create(client, "s", "user.*", compliance=True, max_messages=3)
    stages = gateway.gateway.stages
    async with asyncio.timeout(PATIENCE):
        while "GATEWAY_STREAM_s" not in stages.adapters.registry.logs:  # applied when first seen
            await asyncio.sleep(0.02)
    js = client.nats.jetstream()
    placed = await client.http.post("/v1/streams/s/holds", json={"reason": "case 1"})
    assert placed.status_code == 201, placed.text
    config = (await js.stream_info("GATEWAY_STREAM_s")).config
    assert config.max_msgs == -1
    # Another process applies the definition that it had read before.
    config.max_msgs = 3
    await js.update_stream(config)
    resumed = asyncio.create_task(stages.registrations.applied_streams.resume_changes())
    try:
        async with asyncio.timeout(PATIENCE):
            while (await js.stream_info("GATEWAY_STREAM_s")).config.max_msgs != -1:
                await asyncio.sleep(0.05)
    finally:
        resumed.cancel()
        await asyncio.wait([resumed])


async def test_a_stream_that_does_not_answer_keeps_no_other_from_its_change(
    start: Start, connect: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(applied_streams, "INTERVAL", 3600.0)
    gateway: Running = await start()
    client: Client = await connect(gateway)
    for name in ("a", "b"):
        await _create(client, name, "user.*")
    logs = gateway.gateway.stages.adapters.registry.logs
    async with asyncio.timeout(PATIENCE):
        while not logs.keys() >= {"GATEWAY_STREAM_a", "GATEWAY_STREAM_b"}:  # applied when seen
            await asyncio.sleep(0.02)
    applied = asyncio.Event()

    async def fails_for_one(_broker: Any, definition: StreamDefinition, *_more: Any) -> bool:
        if definition.name == "a":
            raise TimeoutError
        applied.set()
        return False

    monkeypatch.setattr(applied_streams, "ensure_named", fails_for_one)
    registration = gateway.gateway.stages.registrations.applied_streams
    resumed = asyncio.create_task(registration.resume_changes())
    try:
        async with asyncio.timeout(PATIENCE):
            await applied.wait()
    finally:
        resumed.cancel()
        await asyncio.wait([resumed])


@pytest.mark.alone  # the task that resumes changes may wait for it, too
async def test_a_change_that_is_under_way_does_not_create_a_deleted_stream_again(
    gateway: Running, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _create(client, "late", "user.*")
    begun, may_go_on = asyncio.Event(), asyncio.Event()

    async def slow(*arguments: Any) -> bool:
        begun.set()
        await may_go_on.wait()
        return await ensure_named(*arguments)

    monkeypatch.setattr(applied_streams, "ensure_named", slow)
    registry = gateway.gateway.stages.adapters.registry
    async with asyncio.TaskGroup() as calls, asyncio.timeout(PATIENCE):
        body = {"max_messages": 100}
        change = calls.create_task(client.http.patch("/v1/streams/late", json=body))
        await begun.wait()
        deletion = calls.create_task(client.http.delete("/v1/streams/late"))
        while "late" in registry.streams and not registry.streams["late"].deleting:
            await asyncio.sleep(0.01)
        may_go_on.set()
    assert (change.result().status_code, deletion.result().status_code) == (409, 204)
    assert "late" not in registry.streams
    with pytest.raises(NotFoundError):
        await client.nats.jetstream().stream_info("GATEWAY_STREAM_late")


async def _hold_elsewhere(client: Client, gateway: Running, hold: Hold) -> None:
    """Writes a hold of the stream ``s`` as another process does, and returns once it is known."""
    bucket = await client.nats.jetstream().key_value("GATEWAY_REGISTRY")
    entry = await bucket.get("stream.s")
    stored = json.loads(entry.value or b"")
    assert not stored["stream"].get("holds")
    stored["stream"]["holds"] = [msgspec.to_builtins(hold)]
    await bucket.update("stream.s", json.dumps(stored).encode(), last=entry.revision)
    registry = gateway.gateway.stages.adapters.registry
    async with asyncio.timeout(PATIENCE):
        while not registry.stream("s").holds:
            await asyncio.sleep(0.01)


async def test_a_hold_that_another_process_places_during_a_change_keeps_all(
    start: Start, connect: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway: Running = await start()
    client: Client = await connect(gateway)
    await _create(client, "s", "user.*", compliance=True, max_messages=5)
    await client.send([event("user.a") for _ in range(5)])
    await _ids(client, "s", 5)
    events = gateway.gateway.stages.adapters.events
    capture_for = events.capture_for

    async def capturing(subjects: Any) -> None:
        await capture_for(subjects)
        await _hold_elsewhere(client, gateway, Hold("h-1", "case 1", 0.0, "other"))
        config = (await js.stream_info("GATEWAY_STREAM_s")).config
        config.max_msgs = -1
        await js.update_stream(config)
        await client.send([event("user.a") for _ in range(2)])
        await _ids(client, "s", 7)

    js = client.nats.jetstream()
    monkeypatch.setattr(events, "capture_for", capturing)
    changed = await client.http.patch("/v1/streams/s", json={"max_messages": 6})
    assert (changed.status_code, changed.json()["detail"]) == (
        409, "the stream s was changed in between"
    )  # fmt: skip
    info = await js.stream_info("GATEWAY_STREAM_s")
    assert (info.config.max_msgs, info.state.messages) == (-1, 7)


async def test_a_hold_that_another_process_places_during_the_last_release_keeps_all(
    start: Start, connect: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway: Running = await start()
    client: Client = await connect(gateway)
    await _create(client, "s", "user.*", compliance=True, max_messages=3)
    registry = gateway.gateway.stages.adapters.registry
    placed = await client.http.post("/v1/streams/s/holds", json={"reason": "case 1"})
    assert placed.status_code == 201, placed.text
    await client.send([event("user.a") for _ in range(5)])
    await _ids(client, "s", 5)
    js = client.nats.jetstream()
    put_stream, held = registry.put_stream, registry.stream("s").holds[0]

    async def followed(*definitions: Any) -> None:
        await put_stream(*definitions)
        await _hold_elsewhere(client, gateway, held)

    monkeypatch.setattr(registry, "put_stream", followed)
    released = await client.http.delete(f"/v1/streams/s/holds/{held.id}")
    assert released.is_success, released.text
    info = await js.stream_info("GATEWAY_STREAM_s")
    assert (info.config.max_msgs, info.state.messages) == (-1, 5)


@pytest.mark.alone  # other tests make the interval of resume_changes an hour
async def test_another_process_completes_a_change(client: Client) -> None:
    await _create(client, "s", "user.*")
    await _create(client, "t", "user.*")
    js = client.nats.jetstream()
    bucket = await js.key_value("GATEWAY_REGISTRY")
    # Killed between mark and deletion, and between registration and creation.
    entry = await bucket.get("stream.s")
    marked = json.loads(entry.value or b"")
    marked["stream"]["deleting"] = True
    await bucket.update("stream.s", json.dumps(marked).encode(), last=entry.revision)
    result = json.loads((await bucket.get("stream.t")).value or b"")
    result["stream"]["name"] = "u"
    await bucket.put("stream.u", json.dumps(result).encode())
    async with asyncio.timeout(PATIENCE):
        while (await client.http.get("/v1/streams/s")).status_code != 404:
            await asyncio.sleep(0.1)
    await client.lifecycle_events(1, "stream.deleted")
    await client.send(sent := event("user.a"))
    assert await _ids(client, "u", 1) == [sent["id"]]
    names = [item.config.name for item in await js.streams_info()]
    assert "GATEWAY_STREAM_s" not in names
