"""Commands and a console that are newer than the gateway show what it answers."""

import asyncio
from pathlib import Path

import httpx

from event_gateway.cli.process.serve import Running
from event_gateway.console.settings import ConsoleSettings
from support.client import Client
from support.command import access, command
from support.older_gateway import older_gateway
from support.patience import PATIENCE
from support.receiver import Receiver
from support.served_console import served_console


async def _fill(client: Client, receiver: Receiver) -> None:
    """A secret that a webhook and a source use, and input that was rejected."""
    await client.http.put("/v1/secrets/crm", json={"value": "the-token"})
    security = {"auth_type": "bearer_token", "secret_name": "crm"}
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a.>"], security=security)
    source = {"name": "gh", "type": "github", "secret_name": "crm"}
    assert (await client.http.post("/v1/sources", json=source)).status_code == 201
    await client.nats.publish("events.other", b"\xff{")
    async with asyncio.timeout(PATIENCE):
        while not (await client.http.get("/v1/rejected")).json()["items"]:
            await asyncio.sleep(0.05)


async def test_commands(gateway: Running, client: Client, receiver: Receiver) -> None:
    await _fill(client, receiver)
    async with older_gateway(gateway.http_url) as url:
        found = access(gateway) | {"EVENT_GATEWAY_URL": url}
        secrets = await command("secrets", "list", **found)
        assert (secrets.status, secrets.err) == (0, "")
        assert secrets.out.splitlines()[1].split()[-1] == "w"
        (item,) = (await command("rejected", "list", "--json", **found)).json
        assert "source" not in item, "it answers as an older one"
        listed = await command("rejected", "list", **found)
        assert (listed.status, "events.other" in listed.out) == (0, True), listed.err
        shown = await command("rejected", "show", str(item["seq"]), **found)
        assert (shown.status, shown.json["cut"]) == (0, False)
        resealed = await command("secrets", "reseal", **found)
        assert (resealed.status, resealed.out) == (0, "0 resealed\n"), resealed.err


async def test_the_console(
    gateway: Running, client: Client, receiver: Receiver, tmp_path: Path
) -> None:
    await _fill(client, receiver)
    (item,) = (await client.http.get("/v1/rejected")).json()["items"]
    async with older_gateway(gateway.http_url) as url:
        settings = ConsoleSettings(gateway_url=url, directory=str(tmp_path / "console"))
        async with (
            served_console(settings) as console,
            httpx.AsyncClient(base_url=console, timeout=PATIENCE) as http,
        ):
            key, own = {"key": gateway.admin_key}, {"Origin": console}
            assert (await http.post("/sign-in", data=key, headers=own)).status_code == 303
            secrets = await http.get("/secrets")
            assert (secrets.status_code, "/webhooks/w" in secrets.text) == (200, True)
            for path in ("/rejected", f"/rejected/{item['seq']}"):
                page = await http.get(path)
                assert (page.status_code, "events.other" in page.text) == (200, True), path
