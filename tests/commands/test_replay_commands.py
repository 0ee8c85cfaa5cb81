"""``event-gateway replay`` and ``replays``: real commands against a running gateway."""

import asyncio
import re
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from event_gateway.cli.process.serve import Running
from support.client import Client, event
from support.command import access, at_a_terminal, command, start_command
from support.fixtures import Command
from support.noting_relay import relayed
from support.patience import PATIENCE
from support.receiver import Receiver

GOES_ON = re.compile(r"(r\w+) goes on; to follow it: event-gateway replays follow \1\r?\n")


async def _past(client: Client, count: int, *types: str) -> list[dict[str, Any]]:
    sent = [event(types[n % len(types)]) for n in range(count)]
    for start in range(0, count, 100):
        await client.send(sent[start : start + 100])
    return sent


async def _held_up(client: Client, receiver: Receiver) -> None:
    """A replay to this disabled webhook stops after some 1,000 events, until it is enabled."""
    await _past(client, 1500, "a")
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"], enabled=False)


async def _running(client: Client, count: int = 1000) -> str:
    """Waits until the newest replay has queued a number of deliveries; returns its id."""
    async with asyncio.timeout(PATIENCE):
        while True:
            items = (await client.http.get("/v1/replays")).json()["items"]
            if items and items[0]["queued"] >= count:
                return str(items[0]["id"])
            await asyncio.sleep(0.05)


async def test_past_events_are_counted_and_delivered_again(
    client: Client, receiver: Receiver, run: Command
) -> None:
    sent = await _past(client, 10, "a.x", "a.y", "b.x")
    await asyncio.sleep(0.02)
    between = datetime.now(UTC).isoformat()
    await _past(client, 2, "a.x")
    await client.webhook(id="w", url=f"{receiver.url}/w", events=[">"])
    types = ["--type", "a.x", "--type", "b.*", "--until", between]
    counted = await run("replay", "--webhook", "w", "--since", "1h", *types, "--dry-run")
    assert counted.status == 0
    assert re.fullmatch(
        r"r\w+: done, 10 looked at, 7 matched, 0 skipped, 7 to queue \(dry run\)",
        counted.out.splitlines()[-1],  # where it takes long, lines on its progress come before
    )
    await asyncio.sleep(0.2)
    assert receiver.requests == [], "it only counts"
    done = await run("replay", "--webhook", "w", "--since", "1h", *types, "--yes")
    assert (done.status, done.err) == (0, "")
    assert done.out.endswith(": done, 10 looked at, 7 matched, 0 skipped, 7 queued\n")
    requests = await receiver.until(7, "/w")
    assert {request.json["id"] for request in requests} == {
        event["id"] for event in sent if event["type"] in ("a.x", "b.x")
    }
    places = ["--from-seq", "3", "--until-seq", "4", "--stream", "GATEWAY_EVENTS"]
    body = (await run("replay", "--webhook", "w", *places, "--json", "--yes")).json
    assert (body["state"], body["queued"], body["from_seq"]) == ("done", 2, 3)
    requests = await receiver.until(9, "/w")
    assert {request.json["id"] for request in requests[7:]} == {event["id"] for event in sent[2:4]}

    newest, second, first = (await run("replays", "list")).out.splitlines()[1:]
    assert first.split()[2:] == ["done", "100%", "0", "w", "GATEWAY_EVENTS", "(dry", "run)"]
    assert second.split()[2:] == ["done", "100%", "7", "w", "GATEWAY_EVENTS"]
    assert newest.split()[0] == body["id"]
    assert [
        item["id"] for item in (await run("replays", "list", "--limit", "1", "--json")).json
    ] == [body["id"]]
    assert (await run("replays", "show", body["id"], "--json")).json == body
    shown = (await run("replays", "show", second.split()[0])).out
    assert re.search(r"^types: +a\.x b\.\*$", shown, re.MULTILINE)
    assert f"until:   {between[:19]}" in shown


async def test_without_a_terminal_progress_is_printed_as_lines(
    gateway: Running, client: Client, receiver: Receiver
) -> None:
    """An interrupt ends only the command that follows the replay."""
    await _held_up(client, receiver)
    asked = await command("replay", "--webhook", "w", "--since", "1h", "--json", **access(gateway))
    asked.assert_refused(2, "--yes")
    replay = await start_command(
        "replay", "--webhook", "w", "--yes", "--since", "1h", **access(gateway)
    )
    first = await replay.line()
    started = time.monotonic()
    assert re.fullmatch(r"r\w+: running \d+%, .*\n", first)
    path = f"/v1/replays/{await _running(client)}"
    await client.http.post(f"{path}/pause")
    second = await replay.line()
    assert time.monotonic() - started > 4, "no more than one every few seconds"
    assert ": paused " in second
    await client.http.post(f"{path}/resume")
    replay.interrupt()
    ended = await replay.ended()
    match = GOES_ON.fullmatch(ended.err)
    assert match
    assert (ended.status, ended.out) == (130, "")
    assert path.endswith(match[1])
    assert (await client.http.get(path)).json()["state"] == "running"


async def test_at_a_terminal_a_bar_shows_progress(
    gateway: Running, client: Client, receiver: Receiver
) -> None:
    await _held_up(client, receiver)
    words = ["replay", "--webhook", "w", "--yes", "--since", "1h"]
    async with at_a_terminal(*words, **access(gateway)) as terminal:
        await terminal.until("queued 1,")
        await terminal.until("%")
        assert "━" in terminal.seen
        await client.http.post("/v1/webhooks/w/enable")
        assert await terminal.ended() == 0, terminal.seen
    assert "done, 1500 looked at, 1500 matched, 0 skipped, 1500 queued" in terminal.seen
    await receiver.until(1500)


async def test_ctrl_c_leaves_the_replay_running_and_it_can_be_followed(
    gateway: Running, client: Client, receiver: Receiver, run: Command
) -> None:
    await _held_up(client, receiver)
    words = ["replay", "--webhook", "w", "--yes", "--since", "1h"]
    async with at_a_terminal(*words, **access(gateway)) as terminal:
        await terminal.until("queued 1,")
        terminal.types("\x03")
        assert await terminal.ended() == 130
    match = GOES_ON.search(terminal.seen)
    assert match, terminal.seen
    async with at_a_terminal("replays", "follow", match[1], **access(gateway)) as terminal:
        await terminal.until("queued 1,")
        paused = await run("replays", "pause", match[1])
        assert paused.out.startswith(f"{match[1]}: paused ")
        await terminal.until("/s  paused")
        assert (await run("replays", "resume", match[1], "--json")).json["state"] == "running"
        await client.http.post("/v1/webhooks/w/enable")
        assert await terminal.ended() == 0, terminal.seen
    again = await run("replays", "follow", match[1], "--json")
    assert (again.status, again.json["queued"]) == (0, 1500)
    late = await run("replays", "pause", match[1])
    assert (late.status, late.err) == (1, f"the replay {match[1]} has ended: done\n")


async def test_a_replay_that_fails_ends_the_command_with_an_error(
    gateway: Running, client: Client, receiver: Receiver, run: Command
) -> None:
    await _held_up(client, receiver)
    started = await run("replay", "--webhook", "w", "--yes", "--since", "1h", "--no-wait", "--json")
    assert (started.status, started.json["state"]) == (0, "running")
    async with relayed(gateway.http_url) as to:
        words = ["replays", "follow", started.json["id"], "--json", "--url", to.url]
        first = await start_command(*words, **access(gateway))
        async with asyncio.timeout(PATIENCE):
            while len(to.lines) < 2:  # it has asked again: it follows the replay
                await asyncio.sleep(0.05)
        assert (await run("replays", "cancel", started.json["id"])).status == 0
        ended = await first.ended()
    assert (ended.status, ended.json["state"]) == (1, "cancelled")
    assert ended.err == f"{started.json['id']} cancelled: on request\n"

    await client.webhook(id="v", url=f"{receiver.url}/v", events=["a"], enabled=False)
    second = await start_command(
        "replay", "--webhook", "v", "--yes", "--since", "1h", "--json", **access(gateway)
    )
    async with asyncio.timeout(PATIENCE):
        while (replay := await _running(client)) == started.json["id"]:
            await asyncio.sleep(0.05)
    await client.http.delete("/v1/webhooks/v")
    ended = await second.ended()
    assert (ended.status, ended.json["state"]) == (1, "failed")
    assert ended.err == f"{replay} failed: the webhook v was deleted\n"


async def test_the_command_waits_for_a_gateway_that_restarts(
    gateway: Running, client: Client, receiver: Receiver
) -> None:
    await _held_up(client, receiver)
    async with relayed(gateway.http_url) as to:
        words = ["replay", "--webhook", "w", "--yes", "--since", "1h", "--url", to.url]
        replay = await start_command(*words, **access(gateway))
        await replay.line()
        to.refusing = True
        async with asyncio.timeout(PATIENCE):
            while to.refused < 3:
                await asyncio.sleep(0.05)
        to.refusing = False
        await client.http.post("/v1/webhooks/w/enable")
        ended = await replay.ended()
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.endswith("1500 queued\n")


WRONG_COMMANDS: list[tuple[list[str], int, str]] = [
    (["replay", "--webhook", "w"], 2, "--since"),
    (["replay", "--webhook", "w", "--since", "1x"], 2, "--since: '1x' is neither a time"),
    (
        ["replay", "--webhook", "w", "--yes", "--since", "1h", "--until", "noon"],
        2,
        "--until: 'noon'",
    ),
    (["replay", "--webhook", "none", "--since", "1h"], 1, "none"),
    (["replay", "--webhook", "w", "--yes", "--since", "1h", "--type", "a..b"], 2, "types[0]"),
    (["replay", "--webhook", "w", "--yes", "--since", "1h", "--stream", "X"], 2, "stream"),
    (["replays", "show", "none"], 1, "there is no replay none"),
    (["replays", "follow", "none"], 1, "there is no replay none"),
    (["replays", "cancel", "none"], 1, "there is no replay none"),
    (
        ["replays", "follow", "x", "--url", "http://127.0.0.1:1"],
        1,
        "no gateway listens at http://127.0.0.1:1;",
    ),
]


async def test_an_error_is_one_line(
    client: Client, receiver: Receiver, run: Command, subtests: pytest.Subtests
) -> None:
    await client.webhook(id="w", url=receiver.url, events=["a"])
    for words, status, message in WRONG_COMMANDS:
        with subtests.test(words=words, message=message):
            (await run(*words)).assert_refused(status, message)
