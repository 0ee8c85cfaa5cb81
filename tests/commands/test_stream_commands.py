"""``event-gateway streams`` and ``listen``: real commands against a running gateway."""

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from event_gateway.cli.process.serve import Running
from support.client import Client, connected, event
from support.command import access, at_a_terminal, start_command
from support.fixtures import Command, Start
from support.patience import PATIENCE
from support.program import LOOPBACK, Program
from support.receiver import Receiver

STREAMS = {"streams": {"work": {"subjects": ["scheduler.job.*"], "retention": "7d"}}}
SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


@pytest.fixture
async def gateway(start: Start) -> Running:
    return await start(STREAMS)  # type: ignore[no-any-return]


async def _listening(client: Client, count: int = 1) -> None:
    async with asyncio.timeout(PATIENCE):
        while len((await client.http.get("/v1/subscriptions")).json()["items"]) < count:
            await asyncio.sleep(0.05)


async def _held(client: Client, count: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while (await client.http.get("/v1/streams/work")).json()["state"]["messages"] < count:
            await asyncio.sleep(0.05)


async def test_list_and_show(client: Client, run: Command) -> None:
    await client.send([event("scheduler.job.done") for _ in range(3)])
    await _held(client, 3)
    listed = await run("streams", "list")
    assert listed.status == 0, listed.err
    head, row = listed.out.splitlines()
    assert head.split() == ["NAME", "EVENTS", "BYTES", "SEQUENCES", "RETENTION", "KEPT", "SUBJECTS"]
    assert (row.split()[:2], row.split()[3:]) == (
        ["work", "3"], ["1-3", "7d", "-", "scheduler.job.*"],
    )  # fmt: skip
    async with client.websocket() as socket:
        mine = await socket.request(action="subscribe", stream="work", durable="d")
        shown = await run("streams", "show", "work")
        assert "subscribers:  1" in shown.out
        last = shown.out.splitlines()[-1].split()
        assert (last[0], last[1], last[-3:]) == (mine["subscription"], "admin", ["0", "0", "d"])
        as_json = (await run("streams", "show", "work", "--json")).json
        assert as_json["subscribers"]["count"] == 1
        head, row = (await run("subscriptions", "list", "--stream", "work")).out.splitlines()
        assert head.split() == ["ID", "EVENTS", "PRINCIPAL", "SINCE", "SENT", "LAG", "DURABLE"]
        assert row.split()[:3] == [mine["subscription"], "work", "admin"]
        assert row.split()[-1] == "d"
        ended = await run("subscriptions", "end", mine["subscription"])
        assert (ended.status, ended.out) == (0, f"{mine['subscription']}: ended\n")
        told = await socket.next()
        assert (told["type"], told["subscription"]) == ("unsubscribed", mine["subscription"])
        assert (await run("subscriptions", "list", "--json")).json == []
    gone = await run("subscriptions", "end", mine["subscription"])
    assert (gone.status, gone.err) == (1, f"there is no subscription {mine['subscription']}\n")
    missing = await run("streams", "show", "nope")
    assert (missing.status, missing.err) == (1, "there is no stream nope\n")


async def test_tail_prints_stored_and_new_events(client: Client, gateway: Running) -> None:
    sent = [event("scheduler.job.done", {"n": n, "kind": "x" if n % 2 else "y"}) for n in range(6)]
    await client.send(sent[:4])
    await _held(client, 4)
    running = await start_command(
        "streams", "tail", "work", "--since", "1h", "--filter", "data.n>0", "--filter",
        "data.kind=x", "--limit", "3", "--json", **access(gateway),
    )  # fmt: skip
    lines = [json.loads(await running.line()) for _ in range(2)]
    assert [(line["seq"], line["event"]["id"]) for line in lines] == [
        (2, sent[1]["id"]), (4, sent[3]["id"]),
    ]  # fmt: skip
    await client.send(sent[4:])
    ended = await running.ended()
    assert (ended.status, ended.json["seq"]) == (0, 6)


async def test_tail_in_readable_form_and_its_limits(client: Client, run: Command) -> None:
    await client.send(event("scheduler.job.done", {"n": 1, "text": "a\u009bb"}, id="i"))
    await _held(client, 1)
    result = await run("streams", "tail", "work", "--from-seq", "1", "--limit", "1")
    assert result.out == (
        '1  2026-05-04T03:02:01Z  scheduler.job.done  tests  i  {"n": 1, "text": "a?b"}\n'
    )
    for words, status, text in (
        (("tail", "nope"), 1, "there is no stream nope"),
        (("tail", "work", "--filter", "data.n"), 2, "is not FIELD=VALUE"),
        (("tail", "work", "--since", "1h", "--from-seq", "1"), 2, "exclude each other"),
        (("tail", "work", "--expression", "1 +"), 2, "expression"),
    ):
        ended = await run("streams", *words)
        assert (ended.status, text in ended.err) == (status, True), ended


async def test_listen_prints_and_ends_with_ctrl_c(client: Client, gateway: Running) -> None:
    running = await start_command("listen", "--events", "user.*", "audit.>", **access(gateway))
    await _listening(client)
    await client.send([event("scheduler.job.x"), event("user.a"), event("audit.b.c")])
    assert "user.a" in await running.line()
    assert "audit.b.c" in await running.line()
    running.process.send_signal(signal.SIGINT)
    assert (await running.ended()).status == 130


async def test_listen_forwards_signed_and_prints_each_answer(
    client: Client, gateway: Running, receiver: Receiver, tmp_path: Path
) -> None:
    receiver.answers["/hook"] = [204, 500]
    words = ("listen", "--events", "user.>", "--forward-to", f"{receiver.url}/hook")
    running = await start_command(*words, "--secret", SECRET, "--limit", "3", **access(gateway))
    await _listening(client)
    sent = [event("user.made", {"n": n}) for n in range(3)]
    await client.send(sent)
    lines = [await running.line() for _ in range(5)]
    assert (await running.ended()).status == 0
    heads = [line for line in lines if not line.startswith(" ")]
    assert [line.split()[:2] for line in heads] == [
        ["204", "POST"], ["500", "POST"], ["500", "POST"],
    ]  # fmt: skip
    assert [line.split()[-1] for line in heads] == [item["id"] for item in sent]
    assert lines[-1] == "    answer 500\n", "the body of the answer"
    requests = receiver.requests
    assert [request.json["id"] for request in requests] == [item["id"] for item in sent]
    for request in requests:
        Webhook(SECRET).verify(request.body, request.headers)
        assert request.headers["content-type"] == "application/cloudevents+json"
        assert request.headers["x-event-gateway-attempt"] == "1"
        assert request.headers["user-agent"].startswith("event-gateway/")
    # Without a secret one is made, and kept; nobody there is an answer, too. A URL needs no scheme.
    away = ("listen", "--events", "user.>", "--forward-to", "127.0.0.1:1/", "--json")
    here = access(gateway) | {"XDG_CONFIG_HOME": str(tmp_path)}
    signed = []
    for _ in range(2):
        running = await start_command(*away, "--limit", "1", **here)
        await _listening(client)
        await client.send(event("user.made"))
        ended = await running.ended()
        signed.append(ended.err.split()[2])
        assert ended.json["ok"] is False
        assert ended.json["error"].startswith("ConnectionRefused")
    assert signed[0].startswith("whsec_")
    assert signed[0] == signed[1]
    assert (tmp_path / "event-gateway" / "listen.key").stat().st_mode & 0o777 == 0o600


async def test_listen_posts_the_last_event_again(
    client: Client, gateway: Running, receiver: Receiver
) -> None:
    words = ("listen", "--events", "user.>", "--forward-to", receiver.url.removeprefix("http://"))
    async with at_a_terminal(*words, "--secret", SECRET, **access(gateway)) as terminal:
        await terminal.until("listening")
        terminal.types("r")  # there is nothing yet
        await client.send(sent := event("user.made"))
        await terminal.until(sent["id"])
        terminal.types("r")
        await terminal.until("(again)")
        terminal.types("\x03")
        assert await terminal.ended() == 130
    assert [request.json["id"] for request in receiver.requests] == [sent["id"]] * 2


async def test_wrong_calls(run: Command) -> None:
    for words, status, text in (
        (("--events", "foo.*"), 1, "captures nothing on foo.*"),
        ((), 2, "--events"),
        (("--events", "user.*", "--forward-to", "ftp://x"), 2, "--forward-to"),
        (("--events", "user.*", "--forward-to", "http://localhost/", "--secret", "é"), 2,
         "--secret"),
    ):  # fmt: skip
        ended = await run("listen", *words)
        assert (ended.status, text in ended.err) == (status, True), ended


async def test_tail_continues_after_a_restart(tmp_path: Path) -> None:
    config: dict[str, Any] = LOOPBACK | STREAMS
    program = Program(tmp_path, config)
    at = await program.start()
    try:
        result = {"EVENT_GATEWAY_URL": at["http"], "EVENT_GATEWAY_KEY": at["key"]}
        async with connected(at["http"], at["nats"], at["key"]) as client:
            running = await start_command(
                "streams", "tail", "work", "--limit", "2", "--json", **result
            )
            await _listening(client)
            await client.send(event("scheduler.job.done"))
            assert json.loads(await running.line())["seq"] == 1
        assert await program.stop() == 0
        port = at["http"].rpartition(":")[2]
        again = Program(tmp_path, LOOPBACK | STREAMS, "--port", port)
        at = await again.start()
        async with connected(at["http"], at["nats"], at["key"]) as client:
            await client.send(event("scheduler.job.done"))
            ended = await running.ended()
            assert ended.json["seq"] == 2
            assert ended.err.count("connection lost") == 1, "said once, however often it tries"
            assert "connected again" in ended.err
        assert await again.stop() == 0
    finally:
        await program.stop()
