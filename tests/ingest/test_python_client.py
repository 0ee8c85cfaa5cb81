"""The client that the package ships, against a gateway."""

import asyncio
import contextlib
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from event_gateway.cli.process.serve import Running
from event_gateway.client import (
    AsyncGatewayClient,
    GatewayClient,
    GatewayError,
    GatewayUnreachable,
    etag_of,
    every,
    every_async,
)
from event_gateway.client.models import CloudEvent
from support.client import Client
from support.command import access
from support.receiver import Receiver

GUIDE = Path("docs/guides/python-client.md")


def _event(event_id: str) -> CloudEvent:
    return {"specversion": "1.0", "id": event_id, "source": "shop", "type": "orders.placed"}


async def test_the_example_of_the_guide_runs(
    gateway: Running, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in access(gateway).items():
        monkeypatch.setenv(name, value)
    found = re.search(r"<!-- example -->\n```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert found is not None
    printed = io.StringIO()

    def run() -> None:
        with contextlib.redirect_stdout(printed):
            exec(compile(found[1], str(GUIDE), "exec"), {})

    await asyncio.to_thread(run)
    lines = printed.getvalue().splitlines()
    assert lines[-3:] == ["sequence 1", "orders paused",
                          "/problems/not-found there is no stream none"]  # fmt: skip
    assert any(line.startswith("short_retries ") for line in lines)


async def test_both_clients_do_the_same(
    gateway: Running, client: Client, receiver: Receiver
) -> None:
    where = access(gateway)
    url, key = where["EVENT_GATEWAY_URL"], where["EVENT_GATEWAY_KEY"]

    def blocking() -> Mapping[str, Any]:
        with GatewayClient(url, key) as http:
            http.create_stream({"name": "orders", "subjects": ["orders.>"]})
            accepted = http.publish([_event("a/1"), _event("b"), _event("b")])
            assert (accepted["accepted"], accepted["duplicates"]) == (2, 1)
            stream = http.follow_stream("orders", from_="first")
            assert [next(stream)[1]["id"] for _ in range(2)] == ["a/1", "b"]
            stream.close()  # type: ignore[attr-defined]
            assert len(list(every(http.list_event_types, limit=2))) > 5
            return http.show_stream("orders")

    read = await asyncio.to_thread(blocking)
    async with AsyncGatewayClient(url, key) as http:
        stream: Any = await http.show_stream("orders")
        assert stream["state"] == read["state"]
        types = [each["type"] async for each in every_async(http.list_event_types, limit=2)]
        assert len(types) > 5
        for name in ("crm", "siem"):
            await client.webhook(id=name, url=receiver.url, events=["orders.>"])
        asked = await http.match_webhooks({"event": _event("c")}, webhook=["crm", "siem"])
        assert asked["matched"] == [each["webhook_id"] for each in asked["items"]]
        async for seq, event in http.follow_stream("orders", from_=2):
            assert (seq, event["id"]) == (2, "b")
            break
        body: Any = {"id": "w", "url": receiver.url, "events": ["orders.>"]}
        made = await http.create_webhook(body, idempotency_key="once")
        again = await http.create_webhook(body, idempotency_key="once")
        assert made == again
        assert again.replayed  # type: ignore[attr-defined]
        await http.publish(_event("c/3"))
        await client.until("w", "c/3", "succeeded")
        assert (await http.show_delivery("w", "c/3", source="shop"))["source"] == "shop"
        with pytest.raises(GatewayError) as raised:
            await http.delete_webhook("w", if_match='"other"')
        assert (raised.value.status, raised.value.type) == (412, "/problems/precondition-failed")
        await http.delete_webhook("w", if_match=etag_of(made))
        assert (await http.show_metrics()).startswith("#")
    async with AsyncGatewayClient(url) as stranger:
        with pytest.raises(GatewayError, match="Bearer") as raised:
            await stranger.show_overview()
    assert raised.value.type == "/problems/unauthenticated"
    async with AsyncGatewayClient("http://127.0.0.1:1") as nobody:
        with pytest.raises(GatewayUnreachable, match=r"^http://127.0.0.1:1: Connection refused$"):
            await nobody.show_overview()
