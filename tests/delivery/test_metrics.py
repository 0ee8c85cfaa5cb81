"""What ``/metrics`` shows of a running gateway."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from event_gateway import __version__
from event_gateway.app import gauges
from event_gateway.cli.process.serve import Running
from support.client import Client, event
from support.fixtures import Start
from support.patience import PATIENCE
from support.receiver import Receiver

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


async def _series(client: Client, name: str) -> dict[tuple[str, ...], float]:
    """The series of a metric by the values of its labels."""
    text = (await client.http.get("/metrics")).text
    return {
        tuple(sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == f"event_gateway_{name}"
    }


async def _shown(
    client: Client, name: str, fits: Callable[[dict[tuple[str, ...], float]], bool]
) -> dict[tuple[str, ...], float]:
    """Waits until the series of a metric fit."""
    async with asyncio.timeout(PATIENCE):
        while not fits(series := await _series(client, name)):
            await asyncio.sleep(0.05)
    return series


async def _becomes(client: Client, name: str, expected: dict[tuple[str, ...], float]) -> None:
    """Waits until the series of a metric are these."""
    series: dict[tuple[str, ...], float] = {}
    try:
        async with asyncio.timeout(PATIENCE):
            while (series := await _series(client, name)) != expected:
                await asyncio.sleep(0.05)
    except TimeoutError:
        assert series == expected


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gauges, "INTERVAL", 0.05)


async def test_the_state_of_everything(
    start: Start, receiver: Receiver, quick: None, connect: Start
) -> None:
    receiver.answers["/down"] = [500]

    def hook(path: str, **more: Any) -> dict[str, Any]:
        return {"url": f"{receiver.url}/{path}", "events": [path]} | more

    gateway: Running = await start({
        "webhooks": {
            "up": hook("up"),
            "down": hook("down", circuit_breaker={"failure_threshold": 1, "open_for": "1h"}),
            "paused": hook("paused", enabled=False),
        },
        "streams": {"s": {"subjects": ["up"], "max_bytes": "1MiB"}},
    })  # fmt: skip
    client: Client = await connect(gateway)
    trace = f"00-{TRACE}-00f067aa0ba902b7-01"
    await client.send([
        event("up", traceparent=trace), event("down"), event("paused"), event("up", data="x"),
    ])  # fmt: skip
    await _becomes(client, "deliveries_total", {("up", "succeeded"): 2})
    await _becomes(client, "breaker_state", {("up",): 0, ("down",): 2, ("paused",): 0})
    await _becomes(client, "queue_depth", {("up",): 0, ("down",): 1, ("paused",): 1})
    waiting = await _shown(
        client, "oldest_pending_seconds",
        lambda series: min(series.get(("paused",), 0), series.get(("down",), 0)) > 0,
    )  # fmt: skip
    assert waiting["up",] == 0
    # Behind the circuit breaker the retry is due; what a person has paused is not.
    lag = await _shown(client, "delivery_lag_seconds", lambda series: series.get(("down",), 0) > 0)
    assert (lag["up",], lag["paused",]) == (0, 0)
    await _becomes(client, "webhook_state", {
        ("up", "active"): 1, ("down", "active"): 1, ("paused", "paused"): 1,
    })  # fmt: skip
    await _becomes(client, "webhooks", {
        ("active",): 2, ("paused",): 1, ("disabled",): 0, ("unverified",): 0, ("orphaned",): 0,
        ("renamed",): 0,
    })  # fmt: skip
    await _becomes(client, "stream_subscribers", {("s",): 0})
    await _shown(
        client, "stream_messages", lambda series: any(name.endswith("_s") for (name,) in series)
    )
    await _shown(client, "stream_messages", lambda series: series.get(("GATEWAY_EVENTS",)) == 4)
    await _shown(client, "stream_limit_bytes", lambda series: 1024 * 1024 in series.values())
    ((version, _python),) = await _series(client, "build_info")
    assert version == __version__
    await _becomes(client, "server_connected", {("nats",): 1, ("redis",): 1})
    await _becomes(
        client,
        "events_routed_total",
        {
            ("up",): 2,
            ("down",): 1,
            ("paused",): 1,
        },
    )
    assert set(await _series(client, "webhook_last_success_timestamp_seconds")) == {("up",)}
    assert set(await _series(client, "webhook_last_failure_timestamp_seconds")) == {("down",)}
    for name in ("processes", "leader"):
        await _becomes(client, name, {(): 1})
    await _becomes(client, "consumer_lag", {(): 0})
    await _becomes(client, "health_degraded", {(): 0})
    accept = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}
    opened = (await client.http.get("/metrics", headers=accept)).text
    latencies = [
        line for line in opened.splitlines()
        if line.startswith('event_gateway_delivery_latency_seconds_bucket{webhook="up"')
    ]  # fmt: skip
    assert any(f'# {{trace_id="{TRACE}"}} ' in line for line in latencies)
    too_large = await client.http.post("/v1/events", content=b"x" * (1024 * 1024 + 1))
    assert too_large.status_code == 413
    assert (await _series(client, "limits_reached_total"))["request_size",] == 1


async def test_what_waits_for_an_ordered_webhook_and_what_is_cancelled(
    start: Start, receiver: Receiver, quick: None, connect: Start
) -> None:
    receiver.answers["/w"] = [500]
    later = {"initial_delay": "1h"}
    gateway: Running = await start({})
    client: Client = await connect(gateway)
    hook = {"url": f"{receiver.url}/w", "events": ["user.*"], "retry_policy": later}
    await client.webhook(id="ordered", ordered=True, **hook)
    await client.webhook(id="queued", enabled=False, **hook)
    await client.send([event("user.a") for _ in range(3)])
    await receiver.until(1, "/w")
    await _becomes(client, "queue_depth", {("ordered",): 3, ("queued",): 3})
    # A webhook that is registered after the queues were looked at.
    assert await gateway.gateway._gauges._with_ordered({}) == {"ordered": 3}
    enabled = await client.http.post("/v1/webhooks/queued/enable", params={"discard": "true"})
    assert enabled.status_code == 200
    await _becomes(client, "deliveries_total", {("queued", "cancelled"): 3})
    await _becomes(client, "queue_depth", {("ordered",): 3, ("queued",): 0})
