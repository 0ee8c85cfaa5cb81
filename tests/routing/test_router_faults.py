"""A fault in the dispatch of one delivery: the other deliveries continue."""

import asyncio
from typing import Any

import pytest

from event_gateway.broker import provision
from event_gateway.cli.process.serve import Running
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.routing import router
from support.client import Client, event
from support.fixtures import Start
from support.patience import PATIENCE
from support.receiver import Receiver


class Fault:
    """Makes the dispatch of deliveries to the webhook ``bad`` fail for as long as ``on``."""

    def __init__(self, gateway: Running, monkeypatch: pytest.MonkeyPatch) -> None:
        (self.router,) = gateway.gateway.stages.routing.routers
        self.on = True
        self.failed = 0
        self._dispatch = self.router._dispatch
        monkeypatch.setattr(self.router, "_dispatch", self._fail_or_dispatch)

    def _fail_or_dispatch(self, received: Received, webhook: Webhook, recorded: Any) -> None:
        if webhook.id == "bad" and self.on and received.event.type == "a.failing":
            self.failed += 1
            raise KeyError("a fault of the gateway")
        self._dispatch(received, webhook, recorded)


async def _started(
    start: Start, connect: Start, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> tuple[Running, Client, Fault]:
    monkeypatch.setattr(provision, "ACK_WAIT", 1.0)  # of the router's consumer
    gateway = await start()
    client = await connect(gateway)
    for webhook in ("first", "bad", "last"):
        await client.webhook(id=webhook, url=f"{receiver.url}/{webhook}", events=["a.*"])
    return gateway, client, Fault(gateway, monkeypatch)


def _received_ids(receiver: Receiver, path: str) -> list[str]:
    return [came.json["id"] for came in receiver.requests_to(path)]


async def test_other_deliveries_continue_and_this_one_is_retried(
    start: Start, connect: Start, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(router, "MAX_DELIVERIES", 1000)  # the fault lasts until the test ends it
    gateway, client, fault = await _started(start, connect, receiver, monkeypatch)
    failing, later = event("a.failing"), event("a.later")
    await client.send([failing, later])
    for webhook in ("first", "last"):
        await client.until(webhook, failing["id"], "succeeded")
    for webhook in ("first", "bad", "last"):
        await client.until(webhook, later["id"], "succeeded")
    assert fault.failed
    assert gateway.gateway.stages.supervisor.degraded == []
    fault.on = False
    await client.until("bad", failing["id"], "succeeded")
    for webhook in ("first", "last"):
        assert sorted(_received_ids(receiver, f"/{webhook}")) == sorted(
            [failing["id"], later["id"]]
        )
    assert _received_ids(receiver, "/bad") == [later["id"], failing["id"]]
    assert (await client.http.get("/v1/rejected")).json()["items"] == []


async def test_an_event_that_always_fails_is_rejected_after_the_others_are_recorded(
    start: Start, connect: Start, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(router, "MAX_DELIVERIES", 3)
    _, client, fault = await _started(start, connect, receiver, monkeypatch)
    failing = event("a.failing", {"n": 1})
    await client.send(failing)
    for webhook in ("first", "last"):
        await client.until(webhook, failing["id"], "succeeded")
    async with asyncio.timeout(PATIENCE):
        while not (items := (await client.http.get("/v1/rejected")).json()["items"]):
            await asyncio.sleep(0.05)
    (rejected,) = items
    assert rejected["reason"] == "failed"
    assert rejected["detail"] == "the delivery to the webhook bad cannot be started: KeyError"
    assert fault.failed == 3
    assert _received_ids(receiver, "/first") == _received_ids(receiver, "/last") == [failing["id"]]
    js = client.nats.jetstream()
    async with asyncio.timeout(PATIENCE):
        while (await js.consumer_info("GATEWAY_EVENTS", "router")).num_ack_pending:
            await asyncio.sleep(0.05)
    fault.on = False
    answer = await client.http.post(f"/v1/rejected/{rejected['seq']}/retry")
    assert answer.status_code in (200, 202), answer.text
    await client.until("bad", failing["id"], "succeeded")
    assert _received_ids(receiver, "/first") == _received_ids(receiver, "/last") == [failing["id"]]
