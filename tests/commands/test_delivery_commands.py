"""``event-gateway deliveries`` and ``dead-letters``: real commands against a running gateway."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from event_gateway.api.routes import dead_letter_deletion
from event_gateway.cli.process.serve import Running
from support.client import Client, event
from support.command import access, at_a_terminal
from support.fixtures import Command
from support.noting_relay import relayed
from support.patience import PATIENCE
from support.receiver import Receiver

pytestmark = pytest.mark.shared

LATER = {"max_attempts": 3, "initial_delay": "1h", "max_delay": "1h"}
ONCE = {"max_attempts": 1}
STURDY = {"failure_threshold": 10_000}


async def _sent(
    client: Client, receiver: Receiver, status: str, *types: str, **definition: Any
) -> list[str]:
    """Sends events to a new webhook, waits for a status of their deliveries, returns their ids."""
    body = {"id": "w", "events": [">"], "circuit_breaker": STURDY} | definition
    await client.webhook(url=f"{receiver.url}/{body['id']}", **body)
    ids = []
    for type in types:
        sent = event(type)
        await client.send(sent)
        await client.until(body["id"], sent["id"], status)
        ids.append(sent["id"])
    return ids


async def _dead(client: Client, receiver: Receiver, *types: str, webhook: str = "w") -> list[str]:
    receiver.answers[f"/{webhook}"] = [500]
    return await _sent(client, receiver, "dead_letter", *types, id=webhook, retry_policy=ONCE)


async def _places(run: Command, *words: str) -> list[int]:
    """The ids of the dead letters that are listed, the oldest first."""
    listed = (await run("dead-letters", "list", *words, "--json")).json
    return [item["id"] for item in listed][::-1]


def _now() -> str:
    return datetime.now(UTC).isoformat()


async def test_deliveries_are_listed(client: Client, receiver: Receiver, run: Command) -> None:
    ids = await _sent(client, receiver, "succeeded", "a", "b")
    await asyncio.sleep(0.01)
    between = _now()
    receiver.answers["/w"] = [500]
    await client.http.patch("/v1/webhooks/w", json={"retry_policy": LATER})
    failing = event("c", source="over-there")
    await client.send(failing)
    await client.until("w", failing["id"], "retrying")
    listed = await run("deliveries", "list", "w")
    head, first, *_ = listed.out.splitlines()
    assert head.split() == ["UPDATED", "STATUS", "ATTEMPTS", "EVENT", "SOURCE", "LAST", "ERROR"]
    assert first.split()[1:] == ["retrying", "1", failing["id"], "over-there", "ServerError:",
                                 "HTTP", "500"]  # fmt: skip
    for words, result in (
        ([], [failing["id"], ids[1], ids[0]]),
        (["--status", "succeeded"], [ids[1], ids[0]]),
        (["--limit", "2"], [failing["id"], ids[1]]),
        (["--since", between], [failing["id"]]),
        (["--until", between], [ids[1], ids[0]]),
        (["--since", "1h"], [failing["id"], ids[1], ids[0]]),
        (["--until", "1h"], []),
    ):
        done = await run("deliveries", "list", "w", "--json", *words)
        assert [item["event_id"] for item in done.json] == result, words


async def test_show_prints_a_line_for_each_attempt(
    client: Client, receiver: Receiver, run: Command
) -> None:
    receiver.answers["/w"] = [500, 404, 200]
    policy = {"backoff": "fixed", "initial_delay": "100ms", "max_attempts": 3}
    (first,) = await _sent(client, receiver, "succeeded", "a", retry_policy=policy)
    body = (await run("deliveries", "show", "w", first, "--json")).json
    assert body == await client.delivery("w", first)
    shown = (await run("deliveries", "show", "w", first)).out
    fields, attempts = shown.split("\n\n")
    assert dict(line.split(": ", 1) for line in fields.splitlines())["status"].strip() == (
        "succeeded"
    )
    head, *lines = attempts.splitlines()
    assert head.split() == ["ATTEMPT", "TIME", "TOOK", "CODE", "ERROR"]
    assert [line.split(maxsplit=5) for line in lines] == [
        ["1", body["attempts"][0]["time"], str(body["attempts"][0]["duration_ms"]), "ms", "500",
         "ServerError: HTTP 500"],
        ["2", body["attempts"][1]["time"], str(body["attempts"][1]["duration_ms"]), "ms", "404",
         "ClientError: HTTP 404"],
        ["3", body["attempts"][2]["time"], str(body["attempts"][2]["duration_ms"]), "ms", "200",
         "-"],
    ]  # fmt: skip


async def test_a_delivery_is_cancelled_and_then_retried(
    client: Client, receiver: Receiver, run: Command
) -> None:
    receiver.answers["/w"] = [500, 200]
    (first,) = await _sent(client, receiver, "retrying", "a", retry_policy=LATER)
    assert (await run("deliveries", "cancel", "w", first)).out == f"{first} to w: cancelled\n"
    again = await run("deliveries", "cancel", "w", first)
    assert (again.status, again.out) == (1, "")
    assert again.err == f"the delivery of {first} to w has ended: cancelled\n"
    done = await run("deliveries", "retry", "w", first, "--json")
    assert (done.json["event_id"], done.json["run"]) == (first, 2)
    await client.until("w", first, "succeeded")
    assert len(receiver.requests_to("/w")) == 2


async def test_the_source_option_selects_the_event(
    client: Client, receiver: Receiver, run: Command
) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"], enabled=False)
    sent = event("a", id="x/y z?#%2F", source="first")
    await client.send(sent)
    await client.send(sent | {"source": "the-second"})
    async with asyncio.timeout(PATIENCE):
        while len((await run("deliveries", "list", "w", "--status", "pending", "--json")).json) < 2:
            await asyncio.sleep(0.05)
    done = await run("deliveries", "cancel", "w", sent["id"], "--source", "the-second")
    assert done.status == 0, done.err
    for source, status in (("first", "pending"), ("the-second", "cancelled")):
        shown = await run("deliveries", "show", "w", sent["id"], "--source", source, "--json")
        assert (shown.json["source"], shown.json["status"]) == (source, status)
    for what in ("show", "retry", "cancel"):
        missing = await run("deliveries", what, "w", sent["id"], "--source", "third")
        assert (missing.status, len(missing.err.splitlines())) == (1, 1)


async def test_many_deliveries_are_retried_and_cancelled(
    gateway: Running, client: Client, receiver: Receiver, run: Command
) -> None:
    receiver.answers["/w"] = [500] * 4 + [200]
    ids = await _sent(client, receiver, "retrying", "a", "b", "c", "d", retry_policy=LATER)
    (await run("deliveries", "cancel", "w")).assert_refused(2, "--all")
    (await run("deliveries", "cancel", "w", "--all", "--source", "s")).assert_refused(2, "--source")
    (await run("deliveries", "retry", "w", ids[0], "--all")).assert_refused(2, "name an event")
    would = await run("deliveries", "cancel", "w", "--all", "--dry-run")
    assert would.out == "4 deliveries to cancel (dry run), of 4 that match\n"
    old = await run("deliveries", "cancel", "w", "--until", "1h", "--yes")
    assert old.out == "0 deliveries cancelled, of 0 that match\n"
    first = await run("deliveries", "cancel", "w", ids[0])
    assert first.out == f"{ids[0]} to w: cancelled\n"
    (await run("deliveries", "retry", "w", "--all")).assert_refused(2, "--yes")
    retry = ("deliveries", "retry", "w", "--status", "retrying", "--since", "1h")
    async with at_a_terminal(*retry, **access(gateway)) as terminal:
        await terminal.until("Retry 3 deliveries? [y/N]: ")
        terminal.types("y\n")
        assert await terminal.ended() == 0
    assert "3 deliveries retried, of 3 that match" in terminal.seen
    for each in ids[1:]:
        await client.until("w", each, "succeeded")
    ended = await run("deliveries", "cancel", "w", "--status", "succeeded", "--yes")
    assert (ended.status, ended.out.splitlines()[0]) == (
        1, "0 deliveries cancelled, of 3 that match",
    )  # fmt: skip
    assert "has ended: succeeded" in ended.out
    assert ended.err == "3 deliveries could not be cancelled\n"


@pytest.mark.alone  # its dead letters begin with 1
async def test_dead_letters_are_listed_and_shown(
    client: Client, receiver: Receiver, run: Command
) -> None:
    ids = await _dead(client, receiver, "a.x", "a.y", "b.x")
    listed = await client.http.get("/v1/dead-letters")
    middle = listed.json()["items"][1]["time"]
    head, first, *rest = (await run("dead-letters", "list")).out.splitlines()
    assert head.split() == ["ID", "TIME", "WEBHOOK", "REASON", "ATTEMPTS", "TYPE", "EVENT",
                            "REPLAYED"]  # fmt: skip
    assert [*first.split()[:1], *first.split()[2:]] == ["3", "w", "ServerError", "1", "b.x",
                                                        ids[2], "-"]  # fmt: skip
    assert len(rest) == 2
    for words, result in (
        (["--webhook", "w"], [1, 2, 3]),
        (["--webhook", "v"], []),
        (["--type", "a.*"], [1, 2]),
        (["--reason", "Expired"], []),
        (["--since", middle], [2, 3]),
        (["--until", middle, "--type", "*.x"], [1]),
        (["--since", "1h", "--limit", "2"], [2, 3]),
        (["--until", "1h"], []),
    ):
        assert await _places(run, *words) == result, words
    shown = (await run("dead-letters", "show", "2")).json
    assert (shown["event"]["id"], shown["attempts"][0]["status_code"]) == (ids[1], 500)


@pytest.mark.alone  # its dead letters begin with 1
async def test_a_dead_letter_and_an_event_type_are_shown_to_people(
    gateway: Running, client: Client, receiver: Receiver, run: Command
) -> None:
    [event_id] = await _dead(client, receiver, "a.x")
    body = {"type": "a.x", "schema": {"required": ["n"]}, "examples": [{"n": 7}]}
    assert (await client.http.post("/v1/event-types", json=body)).status_code == 201
    for words, texts, name in (
        (["dead-letters", "show", "1"], [event_id, "ServerError: HTTP 500", '"type": "a.x"'], "id"),
        (["catalog", "show", "a.x"], ["schema:", '"required"', "example:", '"n": 7'], "type"),
    ):
        async with at_a_terminal(*words, **access(gateway)) as terminal:
            assert await terminal.ended() == 0
        assert all(text in terminal.seen for text in texts), terminal.seen
        assert not terminal.seen.startswith("{")
        assert (await run(*words)).json[name] == (await run(*words, "--json")).json[name]


@pytest.mark.alone  # its dead letters begin with 1
async def test_dead_letters_are_replayed(client: Client, receiver: Receiver, run: Command) -> None:
    ids = await _dead(client, receiver, "a.x", "a.y", "b.x", "c.x")
    receiver.answers["/w"] = [200]
    counted = await run("dead-letters", "replay", "--type", "a.*", "--type", "b.*", "--dry-run")
    assert counted.status == 0
    assert counted.out.endswith(": done, 4 looked at, 3 matched, 0 skipped, 3 to queue (dry run)\n")
    await asyncio.sleep(0.2)
    assert len(receiver.requests_to("/w")) == 4, "it only counts"
    refused = await run("dead-letters", "replay", "--all")
    assert (refused.status, refused.out, len(refused.err.splitlines())) == (2, "", 1)
    assert "--yes" in refused.err

    done = await run("dead-letters", "replay", "3")
    assert done.out.endswith(": done, 1 looked at, 1 matched, 0 skipped, 1 queued\n"), done
    await client.until("w", ids[2], "succeeded")
    partly = await run("dead-letters", "replay", "3", "999", "--json")
    assert (partly.status, partly.json["queued"]) == (1, 1)
    assert partly.err == "there are no dead letters for 1 of 2 ids\n"
    body = (await run("dead-letters", "replay", "--webhook", "w", "--yes", "--json")).json
    assert (body["state"], body["matched"], body["skipped"], body["queued"]) == ("done", 4, 1, 3)
    for item in ids:
        await client.until("w", item, "succeeded")
    assert all(item["replayed_at"] for item in (await run("dead-letters", "list", "--json")).json)


@pytest.mark.alone  # its dead letters begin with 1
async def test_at_a_terminal_the_command_asks_for_confirmation(
    gateway: Running, client: Client, receiver: Receiver, run: Command
) -> None:
    await _dead(client, receiver, "a.x", "a.y", "b.x")
    async with at_a_terminal("dead-letters", "purge", "--all", **access(gateway)) as terminal:
        await terminal.until("Delete 3 dead letters for ever? [y/N]: ")
        terminal.types("n\n")
        assert await terminal.ended() == 1
    assert "nothing was changed" in terminal.seen
    assert await _places(run) == [1, 2, 3]
    filtered = ["--type", "a.*", "--since", "1h"]
    async with at_a_terminal("dead-letters", "purge", *filtered, **access(gateway)) as terminal:
        await terminal.until("Delete 2 dead letters for ever? [y/N]: ")
        # Dead letters written meanwhile were not counted, and stay.
        await client.send(event("a.z"))
        await client.lifecycle_events(4, "webhook.dead_lettered")
        terminal.types("y\n")
        assert await terminal.ended() == 0
    assert "2 dead letters deleted" in terminal.seen
    assert await _places(run) == [3, 4]

    receiver.answers["/w"] = [200]
    replay = ["dead-letters", "replay", "--webhook", "w"]
    async with at_a_terminal(*replay, **access(gateway)) as terminal:
        await terminal.until("Replay 2 dead letters? [y/N]: ")
        assert len(receiver.requests_to("/w")) == 4
        terminal.types("y\n")
        assert await terminal.ended() == 0
    assert "2 queued" in terminal.seen
    await receiver.until(6, "/w")
    async with at_a_terminal(*replay, **access(gateway)) as terminal:
        assert await terminal.ended() == 0, "there is nothing to ask about"
    assert "2 skipped, 0 to queue" in terminal.seen


@pytest.mark.alone  # its dead letters begin with 1
async def test_dead_letters_are_deleted(client: Client, receiver: Receiver, run: Command) -> None:
    await _dead(client, receiver, "a", "b", "c", "d")
    for words in (["--all"], ["1"], ["--webhook", "w"]):
        refused = await run("dead-letters", "purge", *words)
        assert (refused.status, len(refused.err.splitlines())) == (2, 1)
    counted = await run("dead-letters", "purge", "1", "2", "--dry-run")
    assert counted.out == "2 dead letters to delete (dry run)\n"
    missing = await run("dead-letters", "purge", "1", "999", "--yes")
    assert (missing.status, missing.err) == (1, "there is no dead letter 999\n")
    assert await _places(run) == [1, 2, 3, 4]
    assert (await run("dead-letters", "purge", "1", "3", "1", "--yes")).out == (
        "2 dead letters deleted\n"
    )
    done = await run("dead-letters", "purge", "--reason", "ServerError", "--type", "b", "--yes",
                     "--json")  # fmt: skip
    assert done.json == {"purged": 1, "dry_run": False}
    assert (await run("dead-letters", "purge", "--until", "1h", "--yes")).out == (
        "0 dead letters deleted\n"
    )
    assert await _places(run) == [4]
    assert (await run("dead-letters", "purge", "--all", "--yes")).out == "1 dead letter deleted\n"
    assert await _places(run) == []


@pytest.mark.alone  # its dead letters begin with 1
async def test_lists_stop_at_the_limit_and_deletion_does_not(
    gateway: Running,
    client: Client,
    receiver: Receiver,
    run: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await _dead(client, receiver, "a")
    (letter,) = await client.stream_messages("GATEWAY_DEAD_LETTERS")
    for _ in range(1100):
        await client.nats.publish(letter.subject, letter.data)
    js = client.nats.jetstream()
    async with asyncio.timeout(PATIENCE):
        while (await js.stream_info("GATEWAY_DEAD_LETTERS")).state.messages < 1101:
            await asyncio.sleep(0.05)
    async with relayed(gateway.http_url) as seen:
        for limit, request in ((2, [2]), (1000, [1000]), (1001, [1000, 1])):
            result = await _places(run, "--limit", str(limit), "--url", seen.url)
            assert result == list(range(1102 - limit, 1102))
            assert [
                int(line.split("limit=")[1].split("&")[0].split()[0]) for line in seen.lines
            ] == request
            seen.lines.clear()
        monkeypatch.setattr(dead_letter_deletion, "SCAN", 400)
        done = await run("dead-letters", "purge", "--type", "a", "--yes", "--url", seen.url)
        assert done.out == "1101 dead letters deleted\n"
        assert len(seen.lines) == 3, "it asks again as long as there is more"
    assert await _places(run) == []


WRONG_COMMANDS: list[tuple[list[str], int, str]] = [
    (["deliveries", "list", "none"], 1, "none"),
    (["deliveries", "list", "w", "--since", "soon"], 2, "--since: 'soon' is neither a time"),
    (["deliveries", "list", "w", "--until", "1"], 2, "--until: '1' is neither a time"),
    (["deliveries", "show", "none", "x"], 1, "no delivery of x to none"),
    (["deliveries", "retry", "none", "x"], 1, "none"),
    (["dead-letters", "list", "--since", "2026-05-04T03:02:01"], 2, "--since: "),
    (["dead-letters", "list", "--type", "a..b"], 2, "type"),
    (["dead-letters", "list", "--webhook", "a b"], 2, "webhook"),
    (["dead-letters", "show", "1"], 1, "there is no dead letter 1"),
    (["dead-letters", "replay"], 2, "--webhook"),
    (["dead-letters", "replay", "1", "--all"], 2, "--all"),
    (["dead-letters", "replay", "--all", "--until", "1x"], 2, "--until: "),
    (["dead-letters", "replay", "--type", "a..b", "--yes"], 2, "types[0]"),
    (["dead-letters", "purge", "--yes"], 2, "--all"),
    (["dead-letters", "purge", "1", "--since", "1h", "--yes"], 2, "--all"),
    (["dead-letters", "purge", "--webhook", "a.>", "--yes"], 2, "webhook"),
]


async def test_an_error_is_one_line(run: Command, subtests: pytest.Subtests) -> None:
    for words, status, message in WRONG_COMMANDS:
        with subtests.test(words=words, message=message):
            (await run(*words)).assert_refused(status, message)
