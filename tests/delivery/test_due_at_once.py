"""Deliveries that become due begin at once, without a look for what others have left."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from event_gateway.delivery import due_loop
from event_gateway.state.queues import NewlyDue, Queues
from support.client import connected, event
from support.fixtures import Start
from support.in_process import gateway_in_process
from support.patience import PATIENCE
from support.peers import until_acquainted, until_lanes_are_synced
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


async def test_a_retry_after_the_shortest_delay_needs_no_look(
    start: Start, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its delay is over before the ledger has written it."""
    monkeypatch.setattr(due_loop, "IDLE", 3600.0)
    running = await start({})
    receiver.answers["/w"] = [500, 200]
    policy = {"max_attempts": 9, "initial_delay": "1ms"}
    async with connected(running.http_url, running.nats_url, running.admin_key) as client:
        await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"], retry_policy=policy)
        for _ in range(5):
            receiver.answers["/w"] = [500, 200]
            sent = event("a")
            await client.send(sent)
            await client.until("w", sent["id"], "succeeded")


async def test_a_look_that_fails_is_repeated_soon(
    start: Start, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due_loop, "IDLE", 3600.0)
    running = await start({})
    receiver.answers["/w"] = [500, 200]
    policy = {"max_attempts": 9, "initial_delay": "20ms"}
    look, failed = Queues.due_since, list[float]()

    async def fail_once(queues: Queues, since: float, count: int) -> NewlyDue:
        if receiver.requests and not failed:
            failed.append(since)
            raise RedisConnectionError("Connection reset by peer")
        return await look(queues, since, count)

    monkeypatch.setattr(Queues, "due_since", fail_once)
    async with connected(running.http_url, running.nats_url, running.admin_key) as client:
        await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"], retry_policy=policy)
        sent = event("a")
        await client.send(sent)
        await client.until("w", sent["id"], "succeeded")
    assert failed


async def test_what_another_process_has_no_share_of_is_looked_for_more_often(
    tmp_path: Path,
    servers: tuple[str, str],
    stack: AsyncExitStack,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of two processes one may attempt, and either may read the event from the log."""
    own = {"nats": {"url": servers[0]}, "redis": {"url": servers[1]}}
    clients = []
    for number in range(2):
        directory = tmp_path / f"{number}"
        directory.mkdir()
        running = await stack.enter_async_context(gateway_in_process(directory, own))
        clients.append(
            await stack.enter_async_context(
                connected(running.http_url, running.nats_url, running.admin_key)
            )
        )
    await clients[0].webhook(id="w", url=f"{receiver.url}/w", events=["a"], concurrency=1)
    await until_acquainted(*clients)
    await until_lanes_are_synced(*clients)
    monkeypatch.setattr(due_loop, "IDLE", 20 * PATIENCE)
    look, have_looked = Queues.due_since, set[int]()

    async def note(queues: Queues, since: float, count: int) -> NewlyDue:
        have_looked.add(id(queues))
        return await look(queues, since, count)

    monkeypatch.setattr(Queues, "due_since", note)
    async with asyncio.timeout(PATIENCE):
        while len(have_looked) < 2:  # the next look of each is as far away as it is now
            await asyncio.sleep(0.05)
    for number in range(1, 13):
        await clients[0].send(event("a"))
        await receiver.until(number)


async def test_a_process_that_hears_of_another_one_looks_at_once(
    tmp_path: Path,
    servers: tuple[str, str],
    stack: AsyncExitStack,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("IDLE", "IDLE_BESIDE_OTHERS"):
        monkeypatch.setattr(due_loop, name, 3600.0)
    looks, look = list[Queues](), Queues.due_since

    async def note(queues: Queues, since: float, count: int) -> NewlyDue:
        looks.append(queues)
        return await look(queues, since, count)

    monkeypatch.setattr(Queues, "due_since", note)
    own = {"nats": {"url": servers[0]}, "redis": {"url": servers[1]}}
    for number in range(2):
        directory = tmp_path / f"{number}"
        directory.mkdir()
        before = len(looks)  # those of the first process alone
        await stack.enter_async_context(gateway_in_process(directory, own))
    first = looks[0]
    async with asyncio.timeout(PATIENCE):
        while looks.count(first) <= before:
            await asyncio.sleep(0.02)


async def test_what_a_renamed_webhook_takes_over_is_delivered_at_once(
    start: Start, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due_loop, "IDLE", 3600.0)
    running = await start({})
    async with connected(running.http_url, running.nats_url, running.admin_key) as client:
        definition = {"url": f"{receiver.url}/w", "events": ["a"]}
        await client.webhook(id="former", **definition, enabled=False)
        sent = event("a")
        await client.send(sent)
        await client.until("former", sent["id"], "pending")
        await client.webhook(id="next", **definition, renamed_from="former")
        await receiver.until(1)
        await client.until("next", sent["id"], "succeeded")
