"""Deliveries that a request makes due begin at once, without a look for what others have left."""

from typing import Any

import pytest

from event_gateway.delivery import due_loop
from support.client import connected, event
from support.fixtures import Start
from support.receiver import Receiver

LATER = {"max_attempts": 9, "initial_delay": "1h", "max_delay": "1h"}


async def test_no_look_is_waited_for(
    start: Start, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due_loop, "IDLE", 3600.0)
    running = await start({})
    receiver.answers["/w"] = [500, 200]
    async with connected(running.http_url, running.nats_url, running.admin_key) as client:
        await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"], retry_policy=LATER)
        sent = event("a")
        await client.send(sent)
        await client.until("w", sent["id"], "retrying")

        async def call(path: str, count: int, body: Any = None) -> None:
            answer = await client.http.post(path, json=body)
            assert answer.status_code in (201, 202), answer.text
            await receiver.until(count)

        retry = f"/v1/deliveries/w/{sent['id']}/retry"
        await call(retry, 2)  # the one that waits
        await client.until("w", sent["id"], "succeeded")
        await call(retry, 3)  # a new run
        await client.until("w", sent["id"], "succeeded")
        await call("/v1/replays", 4, {"webhook": "w", "from_seq": 1})

        await client.http.patch("/v1/webhooks/w", json={"enabled": False})
        held = event("a")
        await client.send(held)
        await client.until("w", held["id"], "pending")
        await client.http.patch("/v1/webhooks/w", json={"enabled": True})
        await receiver.until(5)
