"""A burst of events: it is seen how far the router is behind, and others need not wait for it."""

import asyncio
import contextlib
import json
import os
import signal
from pathlib import Path

import pytest

from event_gateway.routing import lag
from support.client import STRUCTURED, Client, connected, event
from support.patience import PATIENCE
from support.peers import Peers
from support.program import LOOPBACK, server_pids
from support.receiver import Receiver
from support.stopping import stop_process

BURST = 15_000


async def _publish(client: Client, count: int, event_type: str) -> list[str]:
    """Publishes events on NATS; gives their ids."""
    sent = [event(event_type) for _ in range(count)]
    for published in sent:
        await client.nats.publish(event_type, json.dumps(published).encode(), headers=STRUCTURED)
    await client.nats.flush()
    return [published["id"] for published in sent]


async def _lag(*clients: Client) -> dict[str, float]:
    """The lag as the leader says it; ``clients`` are those of all processes."""
    while True:
        for client in clients:
            lines = (await client.http.get("/metrics")).text.splitlines()
            lag = {
                name: float(value)
                for name, value in (line.split() for line in lines if not line.startswith("#"))
                if name.startswith("event_gateway_consumer_lag")
            }
            if lag:
                return lag
        await asyncio.sleep(0.05)


def _is_behind(lag: dict[str, float]) -> bool:
    """Whether one measurement shows a burst, by both of its figures."""
    return (
        lag["event_gateway_consumer_lag"] > 1000 and lag["event_gateway_consumer_lag_seconds"] > 0
    )


async def _behind(receiver: Receiver, *clients: Client) -> int:
    """Waits until the process that leads now has measured the burst. Returns how many events were
    published so that the burst lasts until then, however fast it is routed."""
    more = 0
    async with asyncio.timeout(PATIENCE):
        while not _is_behind(await _lag(*clients)):
            if receiver.requests_to("/quiet"):
                await _publish(clients[0], 1000, "loud.a")
                more += 1000
            await asyncio.sleep(0.05)
    return more


async def test_events_of_other_types_overtake_a_burst(
    peers: Peers, stack: contextlib.AsyncExitStack, receiver: Receiver
) -> None:
    """The burst is in the log before the gateways start; what is behind it comes first."""
    (client,) = await peers.start(stack, LOOPBACK)
    for name in ("loud", "quiet"):
        await client.webhook(id=name, url=f"{receiver.url}/{name}", events=[f"{name}.*"])
    assert await peers.programs[0].stop() == 0
    await _publish(client, BURST, "loud.a")
    sent = await _publish(client, 20, "quiet.a")
    (other,) = await peers.start(stack, LOOPBACK)
    endpoint = await peers.programs[0].start()
    again = await stack.enter_async_context(
        connected(endpoint["http"], peers.servers[0], endpoint["key"])
    )
    seen = asyncio.create_task(_behind(receiver, other, again))
    got = await receiver.until(20, "/quiet")
    assert len(receiver.requests_to("/loud")) < BURST / 2
    assert sorted(request.json["id"] for request in got) == sorted(sent)
    burst = BURST + await seen
    # And what comes now, too, also on a subject that is new.
    (late,) = await _publish(other, 1, "quiet.b")
    assert (await receiver.until(21, "/quiet"))[-1].json["id"] == late
    assert len(receiver.requests_to("/loud")) < burst
    # Where the routers come to them they are not delivered again, as their successes are recorded.
    for event_id in (*sent, late):
        await other.until("quiet", event_id, "succeeded")
    await other.http.patch("/v1/webhooks/loud", json={"enabled": False})
    # What is left of the burst has done its part. The routers come to the others all the same.
    await other.nats.jetstream().purge_stream("GATEWAY_EVENTS", subject="loud.a")
    async with asyncio.timeout(PATIENCE):
        while (await _lag(other, again))["event_gateway_consumer_lag"]:
            await asyncio.sleep(0.1)
    assert len(receiver.requests_to("/quiet")) == 21
    for program in peers.programs:
        program.kill()


async def test_the_health_says_that_events_wait_for_the_router(
    client: Client, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lag, "TOO_OLD", 0.5)
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"])
    pid = server_pids(tmp_path / "data")["valkey"]
    stop_process(pid)
    try:
        await _publish(client, 3, "user.a")
        async with asyncio.timeout(PATIENCE):
            while True:
                told = (await client.http.get("/readyz")).json()
                found = [reason for reason in told["reasons"] if "events behind" in reason]
                if found and "3 events behind" in found[0]:
                    break
                await asyncio.sleep(0.1)
        assert told["status"] == "degraded"
        assert found[0].startswith("the router of GATEWAY_EVENTS is 3 events behind, the oldest")
    finally:
        os.kill(pid, signal.SIGCONT)
    await receiver.until(3)
    async with asyncio.timeout(PATIENCE):
        while (await client.http.get("/readyz")).json()["status"] != "ok":
            await asyncio.sleep(0.1)
    assert (await _lag(client))["event_gateway_consumer_lag"] == 0
