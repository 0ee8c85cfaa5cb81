"""The hash chains of compliance streams, on a running gateway."""

import asyncio
import base64
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from nats.aio.msg import Msg
from nats.js.api import StreamConfig

from event_gateway.api.server.exports import MAX_OF_A_CALLER
from event_gateway.cli.process.serve import Running
from support.client import Client, event, slow_reader
from support.fixtures import Command, Start
from support.patience import PATIENCE

SETTINGS: dict[str, Any] = {
    "streams": {
        "audit": {"subjects": ["audit.events.*"], "retention": "2y", "compliance": True},
        "work": {"subjects": ["terminus.commit.*"]},
    },
    "compliance": {"chain_every": "100ms", "anchor_every": "1s"},
}


@pytest.fixture
async def gateway(start: Start) -> Running:
    return await start(SETTINGS)  # type: ignore[no-any-return]


async def chain(client: Client, name: str = "audit") -> dict[str, Any]:
    answer = await client.http.get(f"/v1/streams/{name}/chain")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def anchored(client: Client, seq: int, name: str = "audit") -> dict[str, Any]:
    """Waits until an anchor covers a sequence."""
    async with asyncio.timeout(PATIENCE):
        while True:
            state = await chain(client, name)
            if state["anchor"] is not None and state["anchor"]["sequence"] >= seq:
                return state
            await asyncio.sleep(0.05)


async def chained(client: Client, seq: int) -> dict[str, Any]:
    """Waits until the chain covers a sequence."""
    async with asyncio.timeout(PATIENCE):
        while (state := await chain(client))["chained_to"] < seq:
            await asyncio.sleep(0.05)
    return state


async def verified(run: Command, *words: str, status: int = 0) -> dict[str, Any]:
    result = await run("streams", "verify", "audit", "--json", *words)
    assert result.status == status, result.out + result.err
    return dict(json.loads(result.out))


async def test_messages_are_chained_and_anchored(
    gateway: Running, client: Client, run: Command
) -> None:
    await client.send([event("audit.events.made", {"n": n}) for n in range(50)])
    await client.nats.publish("audit.events.raw", b"\xff no event \x00")
    state = await anchored(client, 51)
    assert (state["last_seq"], state["chained_to"], state["lag"]) == (51, 51, 0)
    report = await verified(run)
    assert report["problems"] == []
    assert (report["messages"], report["chained_to"], report["anchored_to"]) == (51, 51, 51)
    assert report["keys"] == [state["public_key"]]
    made = (await client.http.get("/v1/audit-log?operation=secrets.set")).json()["items"]
    assert [(each["resource"], each["principal"]["method"], each["outcome"]) for each in made] == [
        ("secret/anchor_key", "gateway", "succeeded")
    ]
    events = await client.lifecycle_events(1, "stream.anchored")
    assert events[-1]["data"] == state["anchor"]
    assert events[-1]["subject"] == "stream/audit"


async def test_a_stream_that_is_not_for_compliance_has_no_chain(client: Client) -> None:
    for path in ("chain", "anchors", "export", "holds"):
        answer = await client.http.get(f"/v1/streams/work/{path}")
        assert answer.status_code == 409, answer.text
        assert (await client.http.get(f"/v1/streams/none/{path}")).status_code == 404


async def test_an_export_is_verified_offline(
    gateway: Running, client: Client, run: Command, tmp_path: Path
) -> None:
    await client.send([event("audit.events.made", {"n": n}) for n in range(30)])
    state = await anchored(client, 30)
    file, kept = tmp_path / "audit.ndjson", tmp_path / "anchors.json"
    assert (await run("streams", "export", "audit", "--output", str(file))).status == 0
    kept.write_text((await run("streams", "anchors", "audit", "--json")).out)
    options = ["--file", str(file), "--anchors", str(kept), "--public-key", state["public_key"]]
    assert (await verified(run, *options))["problems"] == []
    text = file.read_text()
    file.write_text(text.replace('\\"n\\": 7', '\\"n\\": 8'))
    assert file.read_text() != text
    problems = (await verified(run, *options, status=1))["problems"]
    assert [each["kind"] for each in problems] == ["altered"]
    lines = text.splitlines(keepends=True)
    at = next(n for n, line in enumerate(lines) if '"type":"message"' in line)
    for kinds, changed in (
        ({"removed", "export"}, [*lines[: at + 3], *lines[at + 4 :]]),
        (
            {"removed", "reordered"},
            [*lines[: at + 1], lines[at + 2], lines[at + 1], *lines[at + 3 :]],
        ),
        ({"reordered", "export"}, [*lines[: at + 3], lines[at], *lines[at + 3 :]]),
        ({"export"}, lines[:-1]),
    ):
        file.write_text("".join(changed))
        problems = (await verified(run, *options, status=1))["problems"]
        assert {each["kind"] for each in problems} <= kinds, problems


async def test_a_key_has_a_few_exports_at_a_time(gateway: Running, client: Client) -> None:
    path = "/v1/streams/audit/export"
    large = event("audit.events.made", {"text": "x" * 10_000})
    for batch in range(6):  # more than Linux buffers for the gateway at most
        await client.send([large | {"id": f"{batch}-{number}"} for number in range(90)])
    await anchored(client, 540)
    async with contextlib.AsyncExitStack() as exports:
        slow = await exports.enter_async_context(
            slow_reader(str(client.http.base_url), client.http.headers)
        )
        for _ in range(MAX_OF_A_CALLER):
            begun = await exports.enter_async_context(slow.stream("GET", path))
            assert begun.status_code == 200
        refused = await client.http.get(path)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "10")
        assert "try again when one has ended" in refused.json()["detail"]
        made = await client.http.post("/v1/keys", json={"name": "r", "scopes": ["streams:read"]})
        other = {"Authorization": f"Bearer {made.json()['key']}"}
        assert (await client.http.get(path, headers=other)).status_code == 200
    async with asyncio.timeout(PATIENCE):  # those that broke off make room
        while (await client.http.get(path)).status_code == 429:
            await asyncio.sleep(0.05)


async def test_what_is_done_to_the_streams_in_nats_is_found(
    gateway: Running, client: Client, run: Command, tmp_path: Path
) -> None:
    js = client.nats.jetstream()
    await client.send([event("audit.events.made", {"n": n}) for n in range(20)])
    await anchored(client, 20)
    kept = tmp_path / "anchors.json"
    kept.write_text((await run("streams", "anchors", "audit", "--json")).out)
    config = (await js.stream_info("GATEWAY_STREAM_audit")).config
    # A client that may update the stream can empty it.
    config.max_msgs = 5
    await js.update_stream(config)
    report = await verified(run, status=1)
    assert {each["kind"] for each in report["problems"]} <= {"left_early", "removed"}
    assert report["problem_count"]
    assert any("max_msgs is 5" in each for each in report["append_only"]["settings"])
    # One that may delete it can write another one, and another chain.
    await js.delete_stream("GATEWAY_CHAIN_audit")
    report = await verified(run, "--anchors", str(kept), status=1)
    assert report["problem_count"]


async def test_the_chain_goes_on_behind_its_last_record_after_a_restart(
    start: Start, client: Client, run: Command, gateway: Running
) -> None:
    await client.send([event("audit.events.made", {"n": n}) for n in range(10)])
    first = await anchored(client, 10)
    js = client.nats.jetstream()
    # As if another process had chained in between: the append of this one is refused.
    last = await js.get_last_msg("GATEWAY_CHAIN_audit", "eg.chain.audit.record")
    assert json.loads(last.data or b"")["last"] == 10
    await js.publish("eg.chain.audit.stamp-10", base64_stamp(), stream="GATEWAY_CHAIN_audit")
    await client.send([event("audit.events.made", {"n": n}) for n in range(10)])
    second = await anchored(client, 20)
    assert first["link"] != second["link"]
    report = await verified(run)
    assert (report["problems"], report["chained_to"], report["messages"]) == ([], 20, 20)


def base64_stamp() -> bytes:
    value = base64.b64encode(b"token").decode()
    return json.dumps({"type": "stamp", "sequence": 10, "kind": "rfc3161", "value": value}).encode()


async def test_stamps_are_kept_with_their_anchor(client: Client) -> None:
    await client.send(event("audit.events.made"))
    sequence = (await anchored(client, 1))["anchor"]["sequence"]
    path = f"/v1/streams/audit/anchors/{sequence}/stamps"
    given = {"kind": "rfc3161", "value": base64.b64encode(b"\x30\x00token").decode()}
    answer = await client.http.post(path, json=given)
    assert answer.status_code == 201, answer.text
    items = (await client.http.get(path)).json()["items"]
    assert [(item["kind"], item["value"]) for item in items] == [(given["kind"], given["value"])]
    exported = (await client.http.get("/v1/streams/audit/export")).text.splitlines()
    stamps = [each for line in exported if (each := json.loads(line))["type"] == "stamp"]
    assert [each["sequence"] for each in stamps] == [sequence]
    for status, wrong in ((422, given | {"value": "!"}), (422, given | {"kind": "RFC 3161"})):
        assert (await client.http.post(path, json=wrong)).status_code == status
    missing = path.replace(f"/{sequence}/", "/4711/")
    assert (await client.http.post(missing, json=given)).status_code == 404


async def test_the_oldest_leave_by_age_and_what_is_left_is_verified(
    client: Client, run: Command
) -> None:
    js = client.nats.jetstream()
    created = await client.http.post("/v1/streams", json={
        "name": "short", "subjects": ["scheduler.job.*"], "compliance": True, "retention": "2s",
    })  # fmt: skip
    assert created.status_code == 201, created.text
    await client.send([event("scheduler.job.done", {"n": n}) for n in range(5)])
    await anchored(client, 5, "short")
    async with asyncio.timeout(PATIENCE):
        while (await js.stream_info("GATEWAY_STREAM_short")).state.messages:
            await asyncio.sleep(0.1)
    report = json.loads((await run("streams", "verify", "short", "--json")).out)
    assert (report["problems"], report["messages"], report["chained_to"]) == ([], 0, 5)
    # Longer from here on, which the next anchor says at once: what comes now stays.
    assert (await client.http.patch("/v1/streams/short", json={"retention": "2y"})).is_success
    await client.send([event("scheduler.job.done", {"n": n}) for n in range(3)])
    await anchored(client, 8, "short")
    report = json.loads((await run("streams", "verify", "short", "--json")).out)
    assert (report["problems"], report["messages"], report["first"]) == ([], 3, 6)
    listed = (await client.http.get("/v1/streams/short/anchors")).json()["items"]
    stated = [each["statement"] for each in listed]
    assert "\nretention: 2.000s\n" in stated[0]
    assert "\nretention: 63072000.000s\n" in stated[-1]
    for sequence, status in ((listed[0]["sequence"], 201), (8, 201), (4, 404), (9, 404)):
        stamp = {"kind": "rfc3161", "value": base64.b64encode(b"token").decode()}
        path = f"/v1/streams/short/anchors/{sequence}/stamps"
        assert (await client.http.post(path, json=stamp)).status_code == status, sequence


async def test_a_hold_suspends_the_limits(client: Client, run: Command) -> None:
    js = client.nats.jetstream()
    created = await client.http.post("/v1/streams", json={
        "name": "held", "subjects": ["scheduler.job.*"], "compliance": True, "max_messages": 3,
    })  # fmt: skip
    assert created.status_code == 201, created.text
    placed = json.loads((await run("streams", "hold", "held", "--reason", "case 1", "--json")).out)
    await client.send([event("scheduler.job.done", {"n": n}) for n in range(10)])

    async def messages() -> int:
        return (await js.stream_info("GATEWAY_STREAM_held")).state.messages

    async with asyncio.timeout(PATIENCE):
        while await messages() < 10:
            await asyncio.sleep(0.05)
    shown = (await client.http.get("/v1/streams/held")).json()
    assert [hold["id"] for hold in shown["holds"]] == [placed["id"]]
    assert shown["max_messages"] == 3
    listed = (await client.http.get("/v1/streams/held/holds")).json()["items"]
    assert listed == shown["holds"]
    async with asyncio.timeout(PATIENCE):
        while not (await client.http.get("/v1/streams/held/anchors")).json()["items"]:
            await asyncio.sleep(0.05)
    # A change of the definition neither ends the hold nor the suspension.
    assert (await client.http.patch("/v1/streams/held", json={"max_messages": 4})).is_success
    config: StreamConfig = (await js.stream_info("GATEWAY_STREAM_held")).config
    assert config.max_msgs == -1
    assert (await run("streams", "release", "held", placed["id"], "--yes")).status == 0
    assert await messages() == 4
    assert (await run("streams", "release", "held", placed["id"], "--yes")).status == 1
    # What has left before the next hold is not missed.
    assert (await run("streams", "hold", "held", "--reason", "case 2")).status == 0
    report = json.loads((await run("streams", "verify", "held", "--json")).out)
    assert (report["problems"], report["messages"]) == ([], 4)
    log = (await client.http.get("/v1/audit-log?operation=streams.hold")).json()["items"]
    assert log[0]["resource"] == "stream/held"


async def test_a_change_beside_the_first_hold_puts_no_limit_in_force_again(client: Client) -> None:
    updates: list[int] = []

    async def note(message: Msg) -> None:
        updates.append(json.loads(message.data)["max_msgs"])

    await client.nats.subscribe("$JS.API.STREAM.UPDATE.GATEWAY_STREAM_both", cb=note)
    await client.nats.flush()
    created = await client.http.post("/v1/streams", json={
        "name": "both", "subjects": ["scheduler.job.*"], "compliance": True, "max_messages": 3,
    })  # fmt: skip
    assert created.status_code == 201, created.text
    js = client.nats.jetstream()
    for number in range(4, 10):
        changing = client.http.patch("/v1/streams/both", json={"max_messages": number})
        placing = client.http.post("/v1/streams/both/holds", json={"reason": "case 1"})
        both = (placing, changing) if number % 2 else (changing, placing)
        answers = await asyncio.gather(*both)
        placed, changed = answers if number % 2 else reversed(answers)
        assert placed.status_code == 201, placed.text
        assert changed.status_code in (200, 409), changed.text
        config: StreamConfig = (await js.stream_info("GATEWAY_STREAM_both")).config
        assert config.max_msgs == -1
        await client.nats.flush()
        suspended = updates.index(-1)
        assert set(updates[suspended:]) == {-1}, updates
        hold = placed.json()["id"]
        released = await client.http.delete(f"/v1/streams/both/holds/{hold}")
        assert released.status_code == 204, released.text
        await client.nats.flush()
        updates.clear()
