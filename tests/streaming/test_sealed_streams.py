"""Compliance streams whose events are sealed for the people they are about, and redaction."""

import asyncio
import json
from typing import Any

import pytest

from event_gateway.cli.process.serve import Running
from support.client import Client, event
from support.fixtures import Command, Start
from support.patience import PATIENCE

SETTINGS: dict[str, Any] = {
    "streams": {
        "audit": {
            "subjects": ["audit.events.*"], "retention": "2y", "compliance": True,
            "sealed_by": "data.user_id",
        },
    },
    "compliance": {"chain_every": "100ms", "anchor_every": "1s"},
}  # fmt: skip


@pytest.fixture
async def gateway(start: Start) -> Running:
    return await start(SETTINGS)  # type: ignore[no-any-return]


async def _chained(client: Client, seq: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while (await client.http.get("/v1/streams/audit/chain")).json()["chained_to"] < seq:
            await asyncio.sleep(0.05)


async def _record(client: Client, seq: int) -> dict[str, Any]:
    answer = await client.http.get(f"/v1/streams/audit/records/{seq}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_a_person_is_redacted_and_the_chain_stays_valid(
    gateway: Running, client: Client, run: Command
) -> None:
    sent = [
        event("audit.events.made", {"user_id": person, "secret": f"of {person}"})
        for person in ("zoe", "bob", "zoe")
    ]
    sent.append(event("audit.events.made", {"nobody": True}))
    await client.send(sent)
    await client.nats.publish("audit.events.raw", b"no event")
    await _chained(client, 5)
    messages = await client.stream_messages("GATEWAY_STREAM_audit")
    assert not any(b"of zoe" in message.data or b"of bob" in message.data for message in messages)
    assert messages[4].data == b"no event"
    for seq, each in enumerate(sent, 1):
        record = await _record(client, seq)
        assert (record["redacted"], record["event"]) == (False, each)
    before = [message.data for message in messages]
    assert (await run("streams", "redact", "audit", "zoe", "--yes")).status == 0
    assert (await run("streams", "redact", "audit", "zoe", "--yes")).status == 0  # nothing is left
    for seq in (1, 3):
        record = await _record(client, seq)
        assert record["redacted"]
        assert "data" not in record["event"]
        assert record["event"]["id"] == sent[seq - 1]["id"]
    assert (await _record(client, 2))["event"] == sent[1]
    assert [
        message.data for message in await client.stream_messages("GATEWAY_STREAM_audit")
    ] == before
    # A person that comes back gets another key.
    again = event("audit.events.made", {"user_id": "zoe", "secret": "of zoe"})
    await client.send(again)
    await _chained(client, 6)
    assert (await _record(client, 6))["event"] == again
    assert (await _record(client, 1))["redacted"]
    report = json.loads((await run("streams", "verify", "audit", "--json")).out)
    assert (report["problems"], report["messages"]) == ([], 6)
    keys = await client.nats.jetstream().stream_info("GATEWAY_SUBJECT_KEYS")
    assert keys.state.messages == 3  # two keys, and the marker of the erased one
    log = (await client.http.get("/v1/audit-log?operation=streams.redact")).text
    assert "zoe" not in log  # a name that no hexadecimal digits contain


async def test_a_subscriber_gets_what_is_stored(client: Client) -> None:
    async with client.websocket() as socket:
        await socket.request(action="subscribe", stream="audit", **{"from": "first"})
        first = event("audit.events.made", {"user_id": "ada", "secret": "of ada"})
        await client.send(first)
        async with asyncio.timeout(PATIENCE):
            while (frame := await socket.next())["type"] != "event":
                pass
    assert frame["event"]["id"] == first["id"]
    assert frame["event"]["datacontenttype"] == "application/jose"
    assert frame["event"]["data"].count(".") == 4


async def test_sealed_by_is_checked(client: Client) -> None:
    stream = {"name": "s", "subjects": ["user.*"], "compliance": True, "sealed_by": "data.user"}
    for wrong in ({"sealed_by": "data["}, {"compliance": False}, {"subjects": ["webhook.*"]}):
        answer = await client.http.post("/v1/streams", json=stream | wrong)
        assert answer.status_code == 422, answer.text
    assert (await client.http.post("/v1/streams", json=stream)).status_code == 201
    answer = await client.http.patch("/v1/streams/s", json={"sealed_by": None})
    assert answer.status_code == 409, answer.text


async def test_what_is_too_large_once_it_is_sealed_stops_nothing(
    gateway: Running, client: Client, run: Command
) -> None:
    """NATS closes the connection of a client that sends more than max_payload."""
    room = client.nats.max_payload
    large = event("audit.events.made", {"user_id": "ada", "secret": "x" * (room - 2000)})
    await client.nats.publish("audit.events.made", json.dumps(large).encode())
    await client.nats.publish("audit.events.raw", b"x" * room)
    await client.nats.flush()
    small = event("audit.events.made", {"user_id": "bob"})
    await client.send(small)
    await _chained(client, 3)
    messages = await client.stream_messages("GATEWAY_STREAM_audit")
    cut = [int((message.headers or {}).get("Eg-Cut", 0)) for message in messages]
    assert cut[0] > room
    assert cut[1:] == [room, 0]
    first = json.loads(messages[0].data)
    assert first["id"] == large["id"]
    assert "data" not in first
    assert all(b'"ada"' not in message.data for message in messages)
    assert (await _record(client, 3))["event"] == small
    report = json.loads((await run("streams", "verify", "audit", "--json")).out)
    assert (report["problems"], report["messages"]) == ([], 3)


async def test_a_process_that_ends_between_erasing_a_key_and_its_marker(client: Client) -> None:
    """The next key of the person is another one, and what the erased one sealed is redacted."""
    await client.send(event("audit.events.made", {"user_id": "ada", "secret": "of ada"}))
    await _chained(client, 1)
    keys = client.nats.jetstream()
    last = (await keys.stream_info("GATEWAY_SUBJECT_KEYS")).state.last_seq
    assert await keys.delete_msg("GATEWAY_SUBJECT_KEYS", last)
    again = event("audit.events.made", {"user_id": "ada", "secret": "of ada"})
    await client.send(again)
    await _chained(client, 2)
    assert (await _record(client, 1))["redacted"]
    assert (await _record(client, 2))["event"] == again
