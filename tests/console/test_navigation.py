"""What the navigation offers: the pages that the key may open, and no others."""

import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.client import event
from support.console import gateway_with_console
from support.receiver import Receiver

NARROWED = {"scopes": ["admin"], "namespaces": ["acme"]}


@pytest.mark.parametrize(
    ("key", "there", "not_there"),
    [
        ({"scopes": ["deliveries:read"]}, "/deliveries", "/webhooks"),
        ({"scopes": ["metrics:read"]}, "/system", "/keys"),
        ({"scopes": ["streams:read"]}, "/streams", "/events"),
        (NARROWED, "/webhooks", "/system"),
        ({"scopes": ["admin"], "types": ["user.*"]}, "/events", "/system"),
    ],
)
async def test_all_pages_of_the_navigation_open(
    tmp_path: Path, receiver: Receiver, key: dict[str, Any], there: str, not_there: str
) -> None:
    async with gateway_with_console(tmp_path) as console:
        await console.client.webhook(id="crm", url=f"{receiver.url}/crm", events=["user.>"])
        sent = event("user.created", {"number": 1})
        await console.client.send([sent])
        await console.client.until("crm", sent["id"], "succeeded")
        made = (await console.client.http.post("/v1/keys", json={"name": "one"} | key)).json()
        async with httpx.AsyncClient(
            base_url=console.url, headers={"sec-fetch-site": "same-origin"}
        ) as http:
            assert (await http.post("/sign-in", data={"key": made["key"]})).status_code == 303
            shown = (await http.get("/")).text
            paths = re.findall(r'<li><a href="([^"]+)"', shown)
            assert there in paths
            assert not_there not in paths
            assert {path: (await http.get(path)).status_code for path in paths} == dict.fromkeys(
                paths, 200
            )
