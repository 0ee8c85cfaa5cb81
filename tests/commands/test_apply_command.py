"""``event-gateway apply``: registers the webhooks and streams of a file with a running gateway."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml

from event_gateway.cli.client.applying import Applied, Applying
from event_gateway.cli.client.declared_file import read_declared
from event_gateway.cli.client.gateway_client import GatewayClient
from event_gateway.cli.process.serve import Running
from support.client import Client, event
from support.command import CommandResult, access, at_a_terminal, command
from support.fixtures import Command, Start
from support.patience import PATIENCE
from support.receiver import Receiver

pytestmark = pytest.mark.shared

PATIENT = {"max_attempts": 100, "backoff": "fixed", "initial_delay": "1h"}


async def test_a_file_is_applied(
    client: Client, run: Command, receiver: Receiver, tmp_path: Path
) -> None:
    path = tmp_path / "shop.yaml"
    receiver.answers["/old"] = [500]
    old = {"url": f"{receiver.url}/old", "events": ["shop.>"], "retry_policy": PATIENT}
    new = {"url": f"{receiver.url}/new", "events": ["shop.>"]}
    streams: dict[str, Any] = {"shop": {"subjects": ["shop.>"], "retention": "7d"}}

    async def apply(document: dict[str, Any], *options: str) -> CommandResult:
        path.write_text(yaml.safe_dump(document))
        return await run("apply", "-c", str(path), *options)  # type: ignore[no-any-return]

    # A dry run changes nothing; what was applied once is not changed again.
    declared: dict[str, Any] = {"webhooks": {"old": old, "new": new}, "streams": streams}
    planned = await apply(declared, "--dry-run")
    assert (planned.status, planned.out.splitlines()) == (0, [
        "+ webhook new", "+ webhook old", "+ stream shop", "3 to create",
    ])  # fmt: skip
    assert (await client.http.get("/v1/webhooks")).json()["items"] == []
    done = await apply(declared)
    assert done.status == 0, done.err
    assert "stream shop: create: done" in done.out
    again = await apply(declared)
    assert (again.status, again.out) == (0, "nothing to change\n"), again.out + again.err
    shown = (await client.http.get("/v1/webhooks/old")).json()
    assert shown["managed_by"] == "applied"
    # A change by hand is seen, and who manages the webhook stays the same.
    put = await client.http.put("/v1/webhooks/new", json=new)
    assert put.json()["managed_by"] == "applied", put.text
    patched = await client.http.patch("/v1/webhooks/new", json={"timeout": "3s"})
    assert patched.json()["managed_by"] == "applied"
    drifted = await apply(declared, "--dry-run")
    assert drifted.out.splitlines() == [
        "~ webhook new", '    timeout: "3s" -> "15s"', "1 to change",
    ]  # fmt: skip
    # What the file does not name stays without --prune; with it, what others own stays.
    await client.webhook(id="by_hand", url=f"{receiver.url}/hand", events=["shop.>"])
    other = await apply({"webhooks": {"other": new}}, "--set", "partners")
    assert other.status == 0, other.err
    sent = event("shop.paid")
    await client.send(sent)
    await client.until("old", sent["id"], "retrying")
    async with asyncio.timeout(PATIENCE):
        while not (await client.http.get("/v1/streams/shop")).json()["state"]["messages"]:
            await asyncio.sleep(0.05)
    less: dict[str, Any] = {"webhooks": {"new": new}}
    assert "old" not in (await apply(less)).out
    for options in (["--prune", "--dry-run"], ["--prune"]):
        refused = await apply(less, *options)
        assert "- webhook old" in refused.out
        assert "    1 delivery waits for it and would be cancelled" in refused.out
        assert "- stream shop" in refused.out
        assert "its 1 message would be deleted" in refused.out
        assert "by_hand" not in refused.out
        assert "other" not in refused.out
    assert (refused.status, "--force does it all the same" in refused.err) == (1, True)
    forced = await apply(less, "--prune", "--force", "--json")
    assert (forced.status, forced.json["ok"]) == (0, True), forced.out
    assert [result["name"] for result in forced.json["results"]] == ["shop", "old"]
    await client.until("old", sent["id"], "cancelled")
    remaining = (await client.http.get("/v1/webhooks")).json()["items"]
    assert {item["id"]: item["managed_by"] for item in remaining} == {
        "by_hand": "api", "new": "applied", "other": "applied/partners",
    }  # fmt: skip
    # A step that fails does not keep the others from being taken, and each is told.
    partly = await apply(
        {"webhooks": {"bad": new | {"transformation": "none"}, "good": new}, "server": {}}
    )
    assert partly.status == 1
    assert "webhook good: create: done" in partly.out
    assert "webhook bad: create: failed: transformation: 'none' is unknown" in partly.err
    assert "note: server: is read from the gateway's own file only" in partly.err
    assert "1 of 2 changes failed" in partly.err
    wrong = await apply({"webhooks": {"bad": {"url": "ftp://x", "events": ["a..b"]}}})
    assert (wrong.status, len(wrong.err.splitlines())) == (2, 2)
    assert f"{path}:4: webhooks.bad.events[0]: " in wrong.err


async def test_what_somebody_else_changes_meanwhile_is_not_overwritten(
    gateway: Running, client: Client, tmp_path: Path
) -> None:
    path = tmp_path / "shop.yaml"
    webhook = {"url": "https://example.com/", "events": ["shop.>"], "timeout": "5s"}
    streams = {"shop": {"subjects": ["shop.>"], "retention": "7d"}}
    for webhook_id, managed_by in (("changed", "api"), ("deleted", "applied"), ("same", "api")):
        posted = {"id": webhook_id, **webhook}
        await client.http.post(f"/v1/webhooks?managed_by={managed_by}", json=posted)
    await client.http.post("/v1/streams", json={"name": "shop", **streams["shop"]})
    declared = {"changed": webhook | {"timeout": "9s"}, "same": webhook | {"timeout": "9s"}}
    streams["shop"]["retention"] = "8d"
    path.write_text(yaml.safe_dump({"webhooks": declared, "streams": streams}))
    applying = Applying(read_declared(path, None), prune=True, force=False)
    http = GatewayClient(gateway.http_url, gateway.admin_key)
    told: list[Applied] = []
    try:
        plan = await applying.plan(http)
        assert [step["name"] for step in plan["steps"]] == ["changed", "same", "shop", "deleted"]
        for path_, body in (
            ("/v1/webhooks/changed", {"timeout": "7s"}),
            ("/v1/webhooks/deleted", {"timeout": "7s"}),
            ("/v1/streams/shop", {"retention": "9d"}),
        ):
            answer = await client.http.patch(path_, json=body)
            assert answer.status_code == 200, answer.text
        await applying.carry_out(http, told.append)
    finally:
        await http.close()
    results = {(each.kind, each.name): each.ok for each in told}
    assert results == {
        ("stream", "shop"): False, ("webhook", "changed"): False, ("webhook", "same"): True,
        ("webhook", "deleted"): False,
    }  # fmt: skip
    assert all("another caller has changed it" in each.detail for each in told if not each.ok)
    kept = (await client.http.get("/v1/webhooks/changed")).json()
    assert (kept["timeout"], kept["managed_by"]) == ("7s", "api")


async def test_a_file_with_transformations_is_refused(
    client: Client, run: Command, tmp_path: Path
) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text(
        "webhooks:\n  w: {url: 'https://example.com/', events: [a.b], transformation: mine}\n"
        "transformations:\n  mine: {base: analytics_format, platform: shop}\n"
    )
    refused = await run("apply", "-c", str(path))
    refused.assert_refused(2, f"{path}:3: transformations: apply cannot register transformations")
    assert (await client.http.get("/v1/webhooks")).json()["items"] == []


async def test_the_plan_has_colours_unless_they_are_not_wanted(
    gateway: Running, tmp_path: Path
) -> None:
    path = tmp_path / "shop.yaml"
    webhook = {"url": "https://example.com/", "events": ["a.b"]}
    for name, environ in (("coloured", {}), ("plain", {"NO_COLOR": "1"})):
        path.write_text(yaml.safe_dump({"webhooks": {name: webhook}}))
        async with at_a_terminal(
            "apply", "-c", str(path), **access(gateway), **environ
        ) as terminal:
            assert await terminal.ended() == 0
        assert f"+ webhook {name}" in terminal.seen
        assert ("\x1b[" in terminal.seen) == (name == "coloured"), terminal.seen


async def test_what_the_gateways_own_file_has_is_not_applied(
    start: Start, connect: Start, tmp_path: Path
) -> None:
    webhook = {"url": "https://example.com/", "events": ["a.b"]}
    running = await start({"webhooks": {"own": webhook}})
    client = await connect(running)
    path = tmp_path / "shop.yaml"
    path.write_text(yaml.safe_dump({"webhooks": {"own": webhook, "new": webhook}}))
    done = await command("apply", "-c", str(path), **access(running))
    assert (done.status, done.out) == (1, ""), done.out
    assert "webhooks.own: comes from the gateway's own configuration file" in done.err
    assert (await client.http.get("/v1/webhooks/new")).status_code == 404
