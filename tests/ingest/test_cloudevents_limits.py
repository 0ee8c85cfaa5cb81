"""Large events and attributes are accepted, delivered and replayed; too large ones are refused."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from event_gateway.api.http.limits import MAX_HEAD
from event_gateway.broker.event_log import MAX_HEADERS
from event_gateway.cli.process.serve import Running
from event_gateway.embedded.process import killed_with_parent
from event_gateway.embedded.servers import nats_binary, usable_port
from event_gateway.state.records import MAX_MEMBER, member_of
from support.client import Client, event
from support.fixtures import Start
from support.patience import PATIENCE
from support.program import Program
from support.receiver import Receiver

LONG = 60_000
KIB64 = 65_536


@pytest.mark.parametrize("name", ["id", "source", "type", "subject", "partitionkey"])
@pytest.mark.parametrize("character", ["x", "é"])
async def test_an_attribute_of_60_kb_reaches_the_receiver(
    client: Client, receiver: Receiver, name: str, character: str
) -> None:
    if (name, character) == ("source", "é"):
        character = "%C3%A9"
    count = LONG // len(character.encode())
    begin = "user." if name == "type" else ""
    for webhook in ("well", "ill"):
        await client.webhook(id=webhook, url=f"{receiver.url}/{webhook}", events=["user.>"],
                             retry_policy={"max_attempts": 2, "initial_delay": "1s"})  # fmt: skip
    receiver.answers["/ill"] = [500]
    sent = [event("user.a", **{name: begin + str(n) + character * count}) for n in range(2)]
    for entry in sent:
        accepted = await client.send(entry)
        assert (accepted["accepted"], accepted["items"][0]["id"]) == (1, entry["id"])
        assert (await client.send(entry))["duplicates"] == 1
    for result in await receiver.until(2, "/well"):
        (first,) = [entry for entry in sent if entry[name] == result.json[name]]
        assert result.json | {"data": {}} == first
    listed = {}
    for entry in sent:
        for webhook, status in (("well", "succeeded"), ("ill", "dead_letter")):
            record = await _until(client, webhook, entry["id"], status)
            assert (record["event_id"], record["source"]) == (entry["id"], entry["source"])
            by_id = await _items(client, f"/v1/webhooks/{webhook}/deliveries")
            listed[webhook] = {item["event_id"] for item in by_id}
    assert listed["well"] == {member_of(entry["id"]) for entry in sent}
    assert all(len(event_id) <= MAX_MEMBER for event_id in listed["well"])

    letters = await _items(client, "/v1/dead-letters")
    assert {letter["event_id"] for letter in letters} == {entry["id"] for entry in sent}
    shown = (await client.http.get(f"/v1/dead-letters/{letters[0]['id']}")).json()
    assert shown["event"] in sent
    events = await client.lifecycle_events(2, "webhook.dead_lettered")
    assert {entry["data"]["event_id"] for entry in events} == {entry["id"] for entry in sent}

    receiver.answers["/ill"] = [200]
    answer = await client.http.post("/v1/dead-letters/replay", json={"webhook": "ill"})
    assert answer.status_code == 202, answer.text
    for entry in sent:
        await _until(client, "ill", entry["id"], "succeeded")
    assert {result.json[name] for result in receiver.requests_to("/ill")[-2:]} == {
        entry[name] for entry in sent
    }
    # The short form of the id finds the delivery, and starts a new run.
    short = quote(member_of(sent[0]["id"]), safe="")
    answer = await client.http.post(f"/v1/deliveries/well/{short}/retry")
    assert (answer.status_code, answer.json()["event_id"]) == (202, sent[0]["id"])
    assert (await receiver.until(3, "/well"))[-1].json[name] == sent[0][name]
    record = await _until(client, "well", sent[0]["id"], "succeeded")
    assert record["run"] == 2


async def _until(client: Client, webhook: str, event_id: str, status: str) -> dict[str, Any]:
    return await client.until(webhook, quote(member_of(event_id), safe=""), status)


async def _items(client: Client, path: str) -> list[dict[str, Any]]:
    """All items of a list, read with one item a page."""
    items: list[dict[str, Any]] = []
    query: dict[str, Any] = {"limit": 1}
    while True:
        page = (await client.http.get(path, params=query)).json()
        items += page["items"]
        if page["next"] is None:
            return items
        query["cursor"] = page["next"]


async def test_an_event_of_64_kib_is_accepted_in_every_mode(
    client: Client, receiver: Receiver
) -> None:
    for mode in ("structured", "binary"):
        await client.webhook(id=mode, url=f"{receiver.url}/{mode}", events=["user.*"], mode=mode,
                             enrich=False)  # fmt: skip
    base = {"specversion": "1.0", "source": "s", "type": "user.a"}
    sent: dict[str, tuple[str, bytes]] = {}
    # All in the data, which is text of the longest kind in JSON; nearly all in one attribute; both.
    for number, (subject, data) in enumerate(
        [("x", b"\x01" * KIB64), ("x" * 60_000, b""), ("é" * 6_000, b"\x01" * 25_000),
         ("x" * 40_000, b"x" * 25_000)]
    ):  # fmt: skip
        headers = {f"ce-{name}": value for name, value in base.items()}
        headers |= {"ce-subject": quote(subject, safe=""), "content-type": "text/plain"}
        size = sum(len(name) + len(value) + 4 for name, value in headers.items())
        body = data[: KIB64 - size - 20]
        by_http, by_nats = f"http-{number}", f"nats-{number}"
        answer = await client.http.post(
            "/v1/events", content=body, headers=headers | {"ce-id": by_http}
        )
        assert answer.status_code == 202, answer.text
        await client.nats.publish("user.a", body, headers=headers | {"ce-id": by_nats})
        sent[by_http] = sent[by_nats] = (subject, body)
    whole = base | {"id": "whole", "datacontenttype": "text/plain", "data": "", "subject": "x"}
    whole["data"] = "x" * (KIB64 - len(json.dumps(whole)))
    assert len(json.dumps(whole)) == KIB64
    await client.send(whole)
    sent["whole"] = ("x", whole["data"].encode())
    for request in await receiver.until(len(sent), "/structured"):
        content = request.json
        assert (content["subject"], content.get("data", "").encode()) == sent.pop(content["id"])
    assert sent == {}
    await receiver.until(9, "/binary")


async def test_large_headers_reach_a_receiver_in_binary_mode(
    client: Client, receiver: Receiver
) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], mode="binary")
    sent = event("user.a", subject="é" * 10_000)
    await client.send(sent)
    (request,) = await receiver.until(1)
    assert request.headers["ce-subject"] == "%C3%A9" * 10_000


async def test_larger_events_up_to_the_limit(start: Start, connect: Start) -> None:
    running: Running = await start({"server": {"max_body": "16MiB"}})
    client: Client = await connect(running)
    most = running.gateway.stages.adapters.broker.nc.max_payload
    fits = event("user.a", "x" * (most - 2048))
    await client.send(fits)
    # Above the limit of NATS the gateway refuses it: NATS would close the connection.
    for sent in (event("user.a", "x" * most), [event("user.a"), event("user.a", "x" * most)]):
        problem = await client.send(sent, status=413)
        assert "NATS accepts at most" in problem["detail"]
    # The headers of its trace count, too.
    trace = {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01", "tracestate": "v=1," * 1000 + "v=1"}
    largest = event("user.a", "")
    largest["data"] = "x" * (most - MAX_HEADERS - len(json.dumps(largest)))
    answer = await client.http.post(
        "/v1/events", content=json.dumps(largest),
        headers={"Content-Type": "application/cloudevents+json", **trace},
    )  # fmt: skip
    assert answer.status_code == 202, answer.text
    await client.send(event("user.a"))
    state = (await client.nats.jetstream().stream_info("GATEWAY_EVENTS")).state
    assert state.messages == 3
    assert running.gateway.stages.adapters.broker.nc.stats["reconnects"] == 0


async def test_a_request_head_is_limited(gateway: Running, client: Client) -> None:
    host, _, port = gateway.http_url.removeprefix("http://").partition(":")

    async def ask(head: bytes) -> tuple[int, bytes]:
        reader, writer = await asyncio.open_connection(host, int(port))
        with contextlib.suppress(ConnectionError):
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + head)
            await writer.drain()
        answer = await asyncio.wait_for(reader.read(4096), PATIENCE)
        writer.close()
        return int(answer.split()[1]), answer

    assert (await ask(b"X: " + b"y" * (MAX_HEAD - 100) + b"\r\n\r\n"))[0] == 200
    for head in (b"X: " + b"y" * 4 * MAX_HEAD, b"X: y\r\n" * MAX_HEAD):
        status, answer = await ask(head)
        assert (status, b"application/problem+json" in answer) == (431, True)
    assert (await client.http.get("/healthz")).status_code == 200


@contextlib.asynccontextmanager
async def _raw_nats(client: Client) -> AsyncIterator[Any]:
    """Publishes on a raw connection to NATS, headers unchanged; returns the server's answer."""
    assert client.nats.connected_url is not None
    url = urlsplit(str(client.nats.connected_url.geturl()))
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    await reader.readline()
    login = {"user": url.username, "pass": url.password, "headers": True, "verbose": False,
             "protocol": 1}  # fmt: skip
    writer.write(b"CONNECT %b\r\n" % json.dumps(login).encode())

    async def publish(subject: str, headers: bytes, body: bytes) -> None:
        head = b"NATS/1.0\r\n" + headers + b"\r\n"
        writer.write(b"HPUB %b %d %d\r\n" % (subject.encode(), len(head), len(head) + len(body)))
        writer.write(head + body + b"\r\n")
        writer.write(b"PING\r\n")
        await writer.drain()
        while (line := await reader.readline()) != b"PONG\r\n":
            if line == b"PING\r\n":  # of the server, which comes some seconds after the login
                writer.write(b"PONG\r\n")
                continue
            assert line.startswith((b"INFO", b"+OK")), line

    yield publish
    writer.close()


FOUR = b"ce-specversion: 1.0\r\nce-id: 1\r\nce-source: s\r\nce-type: user.a\r\n"


async def test_invalid_nats_headers_are_rejected_input(client: Client, receiver: Receiver) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], enrich=False)
    odd = {
        b"ce-id: 2\r\n": "twice", b"CE-ID: 2\r\n": "twice", b"ce-x: a\xff\r\n": "UTF-8",
        b"Content-Type: text/plain\r\ncontent-type: text/plain\r\n": "twice",
        b"Content-Type: text/plain\r\nContent-Type: text/plain\r\n": "twice",
        b"ce-x: %zz\r\n": "percent", b"a(b: c\r\nce-x: %\r\n": "percent",
    }  # fmt: skip
    async with _raw_nats(client) as publish:
        for more in odd:
            await publish("user.a", FOUR + more, b"{}")
        await publish("user.a", FOUR + "ce-x: é\r\n".encode() + b"CE-Subject:%C3%A9\r\n", b"{}")
        (request,) = await receiver.until(1)
        assert (request.json["x"], request.json["subject"]) == ("é", "é")
        rejected = await client.stream_messages("GATEWAY_REJECTED")
        assert len(rejected) == len(odd)
        for item, text in zip(rejected, odd.values(), strict=True):
            assert text in item.headers["Eg-Detail"], item.headers
            answer = await client.http.post(f"/v1/rejected/{item.seq}/retry")
            assert answer.status_code == 422, answer.text


async def test_rejected_input_that_is_too_large_is_cut(client: Client, receiver: Receiver) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"])
    most = client.nats.max_payload
    many = b"".join(b"h%d: x\r\n" % number for number in range(5000))
    async with _raw_nats(client) as publish:
        await publish("user.a", b"X: y\r\n", b"\xff" * (most - 100))
        await publish("user.a", FOUR + b"ce-x: %\r\n" + many, b"z" * 100)
        await publish("user.a", FOUR + b"ce-x: %\r\nCe-Y: y\r\n", b"x" * 100_000)
    last = event("user.a")
    await client.send(last)
    assert (await receiver.until(1))[0].json["id"] == last["id"]
    items = (await client.http.get("/v1/rejected")).json()["items"][::-1]
    assert [item["cut"] for item in items] == [most - 100, 100, None]
    assert len(items[2]["data"]) == 100_000
    assert items[0]["headers"] == {"X": "y"}
    assert (items[1]["headers"]["h0"], items[1]["data"]) == ("x", "z" * 100)
    assert 100 < len(items[1]["headers"]) < 5000
    for item in items[:2]:
        answer = await client.http.post(f"/v1/rejected/{item['seq']}/retry")
        assert (answer.status_code, "completely" in answer.json()["detail"]) == (422, True)


async def test_a_nats_with_a_small_max_payload_is_refused(tmp_path: Path) -> None:
    port = usable_port()
    config = tmp_path / "nats.conf"
    config.write_text(
        f'listen: "127.0.0.1:{port}"\nmax_payload: 65536\n'
        f'jetstream {{ store_dir: "{tmp_path}/js" }}\n'
    )
    nats = await asyncio.create_subprocess_exec(
        nats_binary(),
        "-c",
        str(config),
        stderr=asyncio.subprocess.DEVNULL,
        preexec_fn=killed_with_parent,
    )
    try:
        program = Program(tmp_path, {"nats": {"url": f"nats://127.0.0.1:{port}"}})
        assert await program.start_fails() == 1
        assert "accepts messages of at most 65536 bytes" in program.last_line
        assert "raise the server's max_payload" in program.last_line
        assert "Traceback" not in program.output
    finally:
        nats.kill()
        await nats.wait()
