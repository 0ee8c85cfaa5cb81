"""How often a page asks the gateway: as often with many webhooks as with few."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from event_gateway.cli.process.serve import Running
from event_gateway.console.settings import ConsoleSettings
from support.client import Client, event
from support.patience import PATIENCE
from support.served_console import served_console

WEBHOOKS = 60  # more than a page of the list has
# By page: the requests to the API, of which one says who the user is.
CALLS = {
    "/": 4,
    "/charts/throughput": 2,
    "/webhooks": 3,
    "/webhooks?search=w": 3,
    "/webhooks/w00": 4,
    "/webhooks/w00/charts/attempts": 2,
    "/deliveries": 2,
    "/deliveries?type=user.*&status=pending": 2,
    "/deliveries?webhook=w00": 2,
    "/deliveries/w00/first": 3,
    "/dead-letters": 2,
    "/events": 2,
    "/events/first": 2,
    "/replays": 2,
    "/streams": 3,
    "/streams/users": 4,
    "/streams/users/tail": 2,
    "/sources": 3,
    "/sources/gh": 3,
    "/event-types": 2,
    "/alerts": 3,
    "/alerts/history": 2,
    "/rejected": 2,
    "/audit-log": 2,
    "/keys": 2,
    "/secrets": 2,
    "/system": 2,
    "/system/configuration": 2,
}


async def test_pages_ask_the_gateway_seldom(
    gateway: Running, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = {"name": "users", "subjects": ["user.*"]}
    source = {"name": "gh", "type": "github", "secret_name": "gh_secret"}
    for path, body in (("/v1/streams", stream), ("/v1/sources", source)):
        assert (await client.http.post(path, json=body)).status_code == 201
    for number in range(WEBHOOKS):
        await client.webhook(
            id=f"w{number:02}", url="https://example.com/in", events=["user.*"], enabled=False
        )
    await client.send(event("user.made", id="first"))
    await client.until("w00", "first", "pending")
    sent: list[httpx.Request] = []
    send = httpx.AsyncClient.send

    async def noting(self: httpx.AsyncClient, request: httpx.Request, **how: Any) -> Any:
        if str(request.url).startswith(gateway.http_url):
            sent.append(request)
        return await send(self, request, **how)

    monkeypatch.setattr(httpx.AsyncClient, "send", noting)
    settings = ConsoleSettings(gateway_url=gateway.http_url, directory=str(tmp_path / "console"))
    async with (
        served_console(settings) as url,
        httpx.AsyncClient(base_url=url, timeout=PATIENCE) as http,
    ):
        await http.post("/sign-in", data={"key": gateway.admin_key}, headers={"Origin": url})
        asked = {}
        for path in CALLS:
            sent.clear()
            assert (await http.get(path)).status_code == 200, path
            asked[path] = len(sent)
    assert asked == CALLS
