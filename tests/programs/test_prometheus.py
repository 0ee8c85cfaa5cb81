"""A real Prometheus scrapes a gateway: the dashboards' queries, the rules, the four alerts."""

import asyncio
import contextlib
import json
import re
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from dashboards.files import FILES

from event_gateway.cli.process.serve import Running
from support.client import Client, event
from support.dashboards import expressions, variables
from support.fixtures import Start
from support.patience import PATIENCE
from support.prometheus import SHIPPED, Prometheus, scraping
from support.receiver import Receiver

pytestmark = pytest.mark.prometheus

ALERTS = ("high_error_rate", "delivery_lag", "webhook_down", "circuit_breaker_open")
# What does not happen here has no series: its queries only have to be valid.
ABSENT = {
    "http_connections_refused_total", "http_connections_timed_out_total", "limits_reached_total",
    "task_crashes_total",
    "tls_certificate_expiry_timestamp_seconds",
}  # fmt: skip


def _config(receiver: Receiver) -> dict[str, Any]:
    """Receivers of every kind, and alerts that fire and resolve within seconds."""
    soon = {"for": "2s", "keep_firing_for": "1s"}
    common = {"events": ["ontology.>"], "retry_policy": {"max_attempts": 2, "initial_delay": "1s"}}
    return {
        "webhooks": {
            "healthy": {"url": f"{receiver.url}/healthy", "events": ["ontology.>"]},
            "failing": {
                **common, "url": f"{receiver.url}/failing",
                "circuit_breaker": {"failure_threshold": 3, "open_for": "1s"},
            },
            "throttled": {**common, "url": f"{receiver.url}/throttled"},
        },
        "streams": {"schemas": {"subjects": ["ontology.schema.*"], "retention": "1d"}},
        "ingest": {"max_bytes": "64MiB"},
        "alerts": {
            "high_error_rate": {"window": "5s", "min_attempts": 3, **soon},
            "delivery_lag": {"threshold": "1s", **soon},
            "webhook_down": {"failures": 4, **soon},
            "circuit_breaker_open": soon,
        },
    }  # fmt: skip


@contextlib.asynccontextmanager
async def _events(client: Client) -> AsyncIterator[None]:
    """Publishes events over HTTP and NATS, all the time."""

    async def publish() -> None:
        while True:
            await client.send(event("ontology.schema.created"))
            over_nats = json.dumps(event("ontology.schema.updated")).encode()
            await client.nats.publish("ontology.schema.updated", over_nats)
            await asyncio.sleep(0.1)

    publishing = asyncio.create_task(publish())
    try:
        yield
    finally:
        publishing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await publishing


async def _oddities(client: Client) -> None:
    """One of everything that is counted and that a good client does not do."""
    twice = event("ontology.twice")
    await client.send(twice)
    await client.send(twice)
    schema = {"type": "object", "required": ["name"]}
    body = {"type": "ontology.typed", "schema": schema, "enforce": "warn"}
    assert (await client.http.post("/v1/event-types", json=body)).status_code == 201
    await client.send(event("ontology.typed"))
    await client.nats.publish("ontology.broken", b"{")
    wrong = {"Authorization": "Bearer egk_wrong"}
    assert (await client.http.get("/v1/webhooks", headers=wrong)).status_code == 401
    assert (await client.http.request("BREW", "/v1/events")).status_code in (405, 501)
    key = {"name": "short", "scopes": ["metrics:read"], "expires_in": "2d"}
    assert (await client.http.post("/v1/keys", json=key)).status_code == 201


async def test_queries_rules_and_alerts(
    tmp_path: Path, start: Start, connect: Start, receiver: Receiver
) -> None:
    running: Running = await start(_config(receiver))
    client: Client = await connect(running)
    began = time.time()
    async with (
        scraping(tmp_path / "prometheus", running.http_url, running.admin_key) as prometheus,
        client.websocket() as socket, _events(client),
    ):  # fmt: skip
        subscribed = await socket.request(action="subscribe", stream="schemas")
        assert subscribed["type"] == "subscribed"
        await _oddities(client)
        await prometheus.until("event_gateway_build_info")  # it sees all that follows
        receiver.headers["/throttled"] = {"Retry-After": "60"}
        receiver.answers = {"/failing": [500], "/throttled": [429]}
        for name in ALERTS:
            await _until_firing(client, prometheus, name, began)
        await _have_data(prometheus, began)
        await _rules_are_evaluated(prometheus)
        receiver.answers = {"/failing": [200], "/throttled": [200]}
        async with asyncio.timeout(PATIENCE):
            while not _told(client, "gateway.alert.resolved").issuperset(ALERTS):
                await asyncio.sleep(0.1)
        await prometheus.until('absent(event_gateway_alert_firing{webhook="failing"} == 1)')


async def _until_firing(client: Client, prometheus: Prometheus, name: str, began: float) -> None:
    """Waits until an alert about the failing webhook was pending and fires, in Prometheus, in the
    API, and as an event."""
    firing = f'event_gateway_alert_firing{{name="{name}",webhook="failing"}} == 1'
    for expression in (f'event_gateway_alerts{{name="{name}",state="pending"}} > 0', firing):
        async with asyncio.timeout(PATIENCE):
            while not await prometheus.ever(expression, began, time.time()):
                await asyncio.sleep(0.1)
    answer = await client.http.get("/v1/alerts", params={"webhook": "failing"})
    assert name in {item["name"] for item in answer.json()["items"]}
    async with asyncio.timeout(PATIENCE):  # the event may arrive after the figures
        while name not in _told(client, "gateway.alert.firing"):
            await asyncio.sleep(0.05)


def _told(client: Client, event_type: str) -> set[str]:
    """The alerts about the failing webhook of which there was such an event."""
    told = (each["data"] for each in client.lifecycle if each["type"] == event_type)
    return {each["name"] for each in told if each["webhook"] == "failing"}


def _filled(expression: str) -> str:
    """An expression as Grafana sends it: all gateways, webhooks and streams; short windows."""
    filled = re.sub(r"\$(job|instance|webhook|stream)\b", ".*", expression)
    return filled.replace("$__rate_interval", "10s").replace("$__interval", "1s")


async def _have_data(prometheus: Prometheus, began: float) -> None:
    """Waits until every query and every variable of the dashboards has had a value. What is absent
    here must only be valid."""
    boards = [board.json() for board in FILES.values()]
    missing = {expression for board in boards for expression in expressions(board)}
    choices = {choice for board in boards for choice in variables(board)}
    deadline = time.monotonic() + PATIENCE
    while True:
        for expression in list(missing):
            if await prometheus.ever(_filled(expression), began, time.time()):
                missing.remove(expression)
        for label, metric in list(choices):
            if await prometheus.get(f"label/{label}/values", **{"match[]": _filled(metric)}):
                choices.remove((label, metric))
        expected = {expression for expression in missing if not _is_absent(expression)}
        if not expected and not choices:
            return
        assert time.monotonic() < deadline, (expected, choices)
        await asyncio.sleep(0.2)


def _is_absent(expression: str) -> bool:
    restarts = expression.startswith("changes(process_start_time_seconds")
    return restarts or bool(set(re.findall(r"event_gateway_(\w+)\{", expression)) & ABSENT)


async def _rules_are_evaluated(prometheus: Prometheus) -> None:
    """Waits until every rule has been evaluated, without an error."""
    async with asyncio.timeout(PATIENCE):
        while True:
            groups = (await prometheus.get("rules"))["groups"]
            rules = [rule for group in groups for rule in group["rules"]]
            assert rules
            assert [rule for rule in rules if rule["health"] == "err"] == []
            if all(rule["health"] == "ok" for rule in rules):
                return
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("words", [
    ("check", "config", "--syntax-only", "prometheus.yml"), ("check", "rules", "rules.yaml"),
    ("test", "rules", "rules_test.yaml"),
])  # fmt: skip
def test_promtool(words: tuple[str, ...]) -> None:
    done = subprocess.run(
        ["promtool", *words], cwd=SHIPPED, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
