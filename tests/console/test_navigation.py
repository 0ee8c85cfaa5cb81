"""What the navigation offers: the pages that the key may open, and no others."""

import re

import httpx

from support.client import event
from support.console import Console
from support.patience import PATIENCE
from support.receiver import Receiver

NARROWED = {"scopes": ["admin"], "namespaces": ["acme"]}
# A key, a page that it may open, and one that it may not open.
CASES = (
    ({"scopes": ["deliveries:read"]}, "/deliveries", "/webhooks"),
    ({"scopes": ["metrics:read"]}, "/system", "/keys"),
    ({"scopes": ["streams:read"]}, "/streams", "/events"),
    (NARROWED, "/webhooks", "/system"),
    ({"scopes": ["admin"], "types": ["user.*"]}, "/events", "/system"),
)


async def test_all_pages_of_the_navigation_open(receiver: Receiver, console: Console) -> None:
    await console.client.webhook(id="crm", url=f"{receiver.url}/crm", events=["user.>"])
    sent = event("user.created", {"number": 1})
    await console.client.send([sent])
    await console.client.until("crm", sent["id"], "succeeded")
    for key, there, not_there in CASES:
        made = (await console.client.http.post("/v1/keys", json={"name": "reader"} | key)).json()
        async with httpx.AsyncClient(
            base_url=console.url, headers={"sec-fetch-site": "same-origin"}, timeout=PATIENCE
        ) as http:
            assert (await http.post("/sign-in", data={"key": made["key"]})).status_code == 303
            shown = (await http.get("/")).text
            paths = re.findall(r'<li><a href="([^"]+)"', shown)
            assert there in paths, key
            assert not_there not in paths, key
            statuses = {path: (await http.get(path)).status_code for path in paths}
            assert statuses == dict.fromkeys(paths, 200), key
