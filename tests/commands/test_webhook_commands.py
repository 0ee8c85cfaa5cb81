"""``event-gateway webhooks``: real commands against a running gateway."""

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from event_gateway.cli.client.completion import (
    complete_dead_letters,
    complete_deliveries,
    complete_events,
    complete_scopes,
    complete_transformations,
    complete_webhooks,
)
from event_gateway.cli.process.serve import Running
from support.client import Client, event
from support.command import access, at_a_terminal
from support.fixtures import Command
from support.patience import PATIENCE
from support.receiver import Receiver


async def test_a_webhook_from_create_to_delete(
    gateway: Running, client: Client, receiver: Receiver, run: Command, tmp_path: Path
) -> None:
    endpoint = f"{receiver.url}/w"
    (await run("webhooks", "create", "w")).assert_refused(2, "--endpoint")
    created = await run("webhooks", "create", "w", "--endpoint", endpoint, "--events", "a.*,b.>",
                        "--filter", "data.n>=2", "--disabled")  # fmt: skip
    assert created.out.splitlines()[0] == f"w: created, paused, a.* b.> to {endpoint}", created.err
    definition = (await client.http.get("/v1/webhooks/w")).json()
    assert definition["filters"] == [{"field": "data.n", "operator": "gte", "value": 2}]
    (await run("webhooks", "create", "w", "--endpoint", endpoint, "--events", "a")).assert_refused(
        1, "w"
    )
    typed: Any = SimpleNamespace(params={"url": gateway.http_url, "key": gateway.admin_key})
    for beginning, names in (("w", ["w"]), ("x", [])):
        assert await asyncio.to_thread(complete_webhooks, typed, beginning) == names
    sent = event("a.b", {"n": 2})
    await client.send(sent)
    await client.until("w", sent["id"], "pending")
    assert (await run("webhooks", "enable", "w")).out.startswith("w: enabled, active")
    await client.until("w", sent["id"], "succeeded")
    typed.params["webhook"] = "w"
    for complete in (complete_deliveries, complete_events):
        async with asyncio.timeout(PATIENCE):  # a completion gives up after a second
            while await asyncio.to_thread(complete, typed, sent["id"][:2]) != [sent["id"]]:
                pass
    assert await asyncio.to_thread(complete_dead_letters, typed, "") == []
    assert complete_scopes("web") == ["webhooks:read", "webhooks:manage"]
    assert complete_transformations("s") == ["standard", "siem_format"]
    lines = (await run("webhooks", "show", "w")).out.splitlines()
    shown = dict(line.split(":", 1) for line in lines)
    assert shown["endpoint"].strip() == f"POST {endpoint}"
    assert shown["24 hours"].strip().startswith("1 delivered, 0 dead letters, 100.0%")
    assert (await run("webhooks", "disable", "w")).out.startswith("w: disabled, paused")

    (await run("webhooks", "update", "w")).assert_refused(2, "nothing to change")
    (tmp_path / "w.yaml").write_text("description: of a file\nfilters: []\nevents: [x]\n")
    changed = await run("webhooks", "update", "w", "--file", str(tmp_path / "w.yaml"),
                        "--events", "c.>", "--json")  # fmt: skip
    assert [changed.json[name] for name in ("description", "filters", "events", "url")] == [
        "of a file", [], ["c.>"], endpoint,
    ]  # fmt: skip
    (tmp_path / "w.yaml").write_text("a: [\n")
    (await run("webhooks", "update", "w", "-f", str(tmp_path / "w.yaml"))).assert_refused(
        2, "w.yaml:2"
    )

    waiting = event("c.d")
    await client.send(waiting)
    await client.until("w", waiting["id"], "pending")
    (await run("webhooks", "delete", "w")).assert_refused(2, "--yes")
    async with at_a_terminal("webhooks", "delete", "w", **access(gateway)) as terminal:
        await terminal.until("Delete the webhook w, and cancel 1 pending delivery? [y/N]: ")
        terminal.types("n\n")
        assert await terminal.ended() == 1
    assert (await run("webhooks", "delete", "w", "--yes")).out == "w: deleted\n"


async def test_many_webhooks_are_disabled_and_enabled(
    gateway: Running, client: Client, receiver: Receiver, run: Command
) -> None:
    for name, team in (("a", "crm"), ("b", "crm"), ("c", "siem")):
        await client.webhook(id=name, url=receiver.url, events=["a.>"], metadata={"team": team})
    crm = ("--metadata", "team:crm")
    would = await run("webhooks", "disable", *crm, "--dry-run")
    assert would.out == "2 webhooks to disable (dry run), of 2 that match\n  a\n  b\n"
    (await run("webhooks", "disable", *crm)).assert_refused(2, "--yes")
    async with at_a_terminal("webhooks", "disable", *crm, **access(gateway)) as terminal:
        await terminal.until("Disable 2 webhooks? [y/N]: ")
        terminal.types("y\n")
        assert await terminal.ended() == 0
    assert "2 webhooks disabled, of 2 that match" in terminal.seen
    done = await run("webhooks", "enable", "--state", "paused", "--yes", "--json")
    assert (done.json["changed"], done.json["webhooks"]) == (2, ["a", "b"])
    assert (await run("webhooks", "disable", "--all", "--yes")).out.startswith("3 webhooks")
    again = await run("webhooks", "disable", "--all", "--yes")
    assert again.out == "0 webhooks disabled, of 3 that match\n"
    for words in ((), ("a", "--all"), ("--all", "--event", "a"), ("a", "--dry-run")):
        assert (await run("webhooks", "enable", *words)).status == 2, words
    (await run("webhooks", "enable", "--all", "--discard")).assert_refused(2, "--discard")


async def test_a_receiver_is_tried(
    client: Client, receiver: Receiver, run: Command, tmp_path: Path
) -> None:
    receiver.answers["/w"] = [200, 503]
    await run("secrets", "set", "token", given="a-hidden-token\n")
    security = {"auth_type": "bearer_token", "secret_name": "token"}
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a.b"], security=security)
    shown = (await run("webhooks", "test", "w")).out.splitlines()
    assert shown[0] == f"> POST {receiver.url}/w"
    assert "> authorization: Bearer [hidden]" in shown or "> authorization: [hidden]" in shown
    assert '>   "type": "a.b",' in shown
    assert any(line.startswith("< 200 after ") for line in shown)
    assert "< answer 200" in shown
    assert shown[-1].startswith("succeeded")
    own = event("own", {"n": 1})
    (tmp_path / "event.json").write_text(json.dumps(own))
    failed = await run("webhooks", "test", "w", "--event", str(tmp_path / "event.json"), "--json")
    assert (failed.status, failed.json["status_code"]) == (1, 503)
    assert json.loads(failed.json["request"]["body"])["id"] == own["id"]
    assert "a-hidden-token" not in failed.out

    refused = await run("webhooks", "verify", "w")
    assert (refused.status, refused.out.splitlines()[0]) == (1, "w: not verified")
    (await run("webhooks", "test", "none")).assert_refused(1, "none")
