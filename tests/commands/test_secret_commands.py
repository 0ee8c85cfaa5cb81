"""``event-gateway secrets`` and ``webhooks``: real commands against a running gateway."""

import base64
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks

from event_gateway.cli.process.serve import Running
from support.client import Client, event
from support.command import access, at_a_terminal, command
from support.fixtures import Command
from support.receiver import Receiver

pytestmark = pytest.mark.shared

SIGNED = {"auth_type": "hmac_signature", "secret_name": "signing"}
KEY = "whsec_" + base64.b64encode(b"k" * 32).decode()


async def test_a_secret_from_set_to_delete(
    client: Client, receiver: Receiver, run: Command, tmp_path: Path
) -> None:
    security = {"auth_type": "bearer_token", "secret_name": "crm"}
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a.>"], security=security)
    listed = await run("secrets", "list")
    assert listed.out.splitlines()[0].split() == [
        "NAME", "FROM", "SEALED", "NAMESPACES", "USED", "BY",
    ]  # fmt: skip
    assert listed.out.splitlines()[1].split() == ["crm", "missing", "-", "-", "w"]

    done = await run("secrets", "set", "crm", given="the-token\n")
    assert (done.status, done.out) == (0, "crm: set, used by w\n")
    sent = event("a.b")
    await client.send(sent)
    await client.until("w", sent["id"], "succeeded")
    assert receiver.requests[-1].headers["authorization"] == "Bearer the-token"

    (tmp_path / "value").write_text("from a file\n")
    done = await run("secrets", "rotate", "crm", "--file", str(tmp_path / "value"), "--json")
    assert done.json["sealed"]["readable"]
    assert "from a file" not in done.out
    assert (await run("secrets", "rotate", "crm", "--file", "-", given="more\n")).status == 0
    (shown,) = (await run("secrets", "list", "--json")).json
    assert (shown["name"], shown["from"], shown["used_by"]) == ("crm", "sealed", ["w"])
    assert (await run("secrets", "reseal")).out == "0 resealed\n"

    result = await run("secrets", "delete", "crm", "--yes")
    assert result.status == 1
    assert "w" in result.err
    assert len(result.err.splitlines()) == 1
    await run("secrets", "set", "unused", given="x")
    shared = await run("secrets", "update", "unused", "--namespace", "b", "--namespace", "a")
    assert shared.out == "unused: for the namespaces a b\n"
    shared = await run("secrets", "update", "unused", "--operators-only")
    assert shared.out == "unused: for the operators' webhooks only\n"
    assert (await run("secrets", "update", "unused")).status == 2
    assert (await run("secrets", "delete", "unused", "--yes")).out == "unused: deleted\n"
    assert [item["name"] for item in (await run("secrets", "list", "--json")).json] == ["crm"]


async def test_a_typed_value_is_not_shown(gateway: Running, client: Client) -> None:
    """At a terminal the command asks for the value twice and does not show it."""
    async with at_a_terminal("secrets", "set", "typed", **access(gateway)) as terminal:
        for request in ("Value of typed: ", "Repeat for confirmation: "):
            await terminal.until(request)
            terminal.types("unseen-value\n")
        assert await terminal.ended() == 0, terminal.seen
    assert "unseen-value" not in terminal.seen
    listed = (await client.http.get("/v1/secrets")).json()["items"]
    assert [(item["name"], item["from"]) for item in listed] == [("typed", "sealed")]


async def test_a_signing_key_is_made_and_shown_once(
    client: Client, receiver: Receiver, run: Command
) -> None:
    await run("secrets", "set", "signing", given=KEY)
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a.>"], security=SIGNED)
    done = await run("webhooks", "rotate-secret", "w", "--yes", "--overlap", "1h")
    assert done.status == 0
    events, built, until = done.out.splitlines()
    assert events == "signing: the new key signs"
    assert until.startswith("the former key signs until 20")
    new = built.rpartition(" ")[2]
    request = await _delivered(client, receiver)
    assert len(request.headers["webhook-signature"].split()) == 2
    for key in (new, KEY):
        standardwebhooks.Webhook(key).verify(request.body, request.headers)

    done = await run(
        "webhooks", "rotate-secret", "w", "--yes", "--overlap", "0s", "--ed25519", "--json"
    )
    assert done.json["public_key"].startswith("whpk_")
    assert "whsk_" not in done.out
    published = (await client.http.get("/.well-known/webhook-keys.json")).json()["keys"]
    assert [item["whpk"] for item in published] == [done.json["public_key"]]
    request = await _delivered(client, receiver)
    assert request.headers["webhook-signature"].startswith("v1a,")

    own = "whsec_" + base64.b64encode(b"own" * 8).decode()
    done = await run(
        "webhooks", "rotate-secret", "w", "--yes", "--own", "--overlap", "0s", given=own
    )
    assert done.out == "signing: the new key signs\n"
    assert (await client.http.get("/.well-known/webhook-keys.json")).json()["keys"] == []
    request = await _delivered(client, receiver)
    standardwebhooks.Webhook(own).verify(request.body, request.headers)
    assert len(request.headers["webhook-signature"].split()) == 1


async def _delivered(client: Client, receiver: Receiver) -> Any:
    sent = event("a.b")
    await client.send(sent)
    await client.until("w", sent["id"], "succeeded")
    return receiver.requests[-1]


async def test_webhooks_are_listed_and_shown(
    client: Client, receiver: Receiver, run: Command
) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a.>", "b"])
    assert [line.split() for line in (await run("webhooks", "list")).out.splitlines()] == [
        ["ID", "STATE", "URL", "EVENTS"],
        ["w", "active", f"{receiver.url}/w", "a.>", "b"],
    ]
    shown = (await run("webhooks", "show", "w", "--json")).json
    assert (shown["id"], shown["stats"]["queue_depth"]) == ("w", 0)


@pytest.mark.alone
async def test_commands_find_the_gateway_of_a_data_directory(
    gateway: Running, tmp_path: Path
) -> None:
    """The key in the data directory is sent to no other gateway."""
    result = await command("secrets", "list", "--json", directory=tmp_path)
    assert (result.status, result.json) == (0, [])
    other = await command("secrets", "list", "--url", "http://127.0.0.1:1", directory=tmp_path)
    other.assert_refused(2, "no key for http://127.0.0.1:1, and none for it in ./data: ")


WRONG_COMMANDS: list[tuple[list[str], int, str]] = [
    (["secrets", "list", "--key", "wrong"], 1, "key"),
    (["secrets", "set", "no such name"], 2, "name"),
    (["secrets", "set", "x", "--file", "/nowhere/at/all"], 2, "/nowhere/at/all: No such file"),
    (["secrets", "rotate", "x", "--overlap", "long"], 2, "overlap"),
    (["webhooks", "rotate-secret", "none", "--yes"], 1, "none"),
    (
        ["webhooks", "rotate-secret", "none", "--yes", "--own"],
        2,
        "the new key: a signing secret is",
    ),
    (["webhooks", "show", "a b"], 1, "a b"),
    (["webhooks", "list", "--url", "ftp://x"], 2, "--url: must begin with https:// or http://"),
    (
        ["webhooks", "list", "--url", "http://127.0.0.1:1"],
        1,
        "no gateway listens at http://127.0.0.1:1;",
    ),
    (["webhooks", "list", "--key", "a\nb"], 2, "--key"),
]


async def test_an_error_is_one_line(run: Command, subtests: pytest.Subtests) -> None:
    for words, status, message in WRONG_COMMANDS:
        with subtests.test(words=words, message=message):
            ended = await run(*words, given="a value")
            ended.assert_refused(status, message)
            assert "a value" not in ended.err
