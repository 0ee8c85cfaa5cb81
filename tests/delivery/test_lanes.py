"""Lanes: rate and concurrency limits over all processes, order, and isolation of webhooks."""

import asyncio
import contextlib
import time
from collections import Counter
from typing import Any

from event_gateway.core.webhook.webhook import Webhook
from event_gateway.delivery.lane import Lane
from event_gateway.delivery.pacing import AT_ONCE, PER_SECOND, Pacing
from support.client import Client, event
from support.patience import PATIENCE
from support.peers import Peers, until_acquainted, until_lanes_are_synced
from support.receiver import Receiver


def _beyond(times: list[float], began: float, at_once: float, per_second: float) -> list[float]:
    """The arrivals that came before a rate allows that many, in seconds since ``began``.

    An attempt may come later than it was allowed, where the machine is busy, but never earlier.
    """
    since = [time - began for time in sorted(times)]
    return [at for count, at in enumerate(since, 1) if count > at_once + per_second * at]


async def test_a_rate_limit_applies_to_two_processes_together(
    peers: Peers, stack: contextlib.AsyncExitStack, receiver: Receiver
) -> None:
    first, other = await peers.start(stack, {}, {})
    await first.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"],
                      rate_limit={"events": 10, "per": "1s"})  # fmt: skip
    sent = [event("user.a") for _ in range(40)]
    began = time.time()
    await asyncio.gather(first.send(sent[:20]), other.send(sent[20:]))
    requests = await receiver.until(40, "/w")
    times = [came.time for came in requests]
    assert not _beyond(times, began, 10, 10)
    assert times[-1] - began >= 3
    assert len({came.json["id"] for came in requests}) == 40
    record = await first.until("w", sent[-1]["id"], "succeeded")
    assert len(record["attempts"]) == 1


async def test_a_rate_limit_over_a_long_period_allows_a_burst(
    client: Client, receiver: Receiver
) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"],
                         rate_limit={"events": 5, "per": "1h"})  # fmt: skip
    sent = [event("user.a") for _ in range(8)]
    await client.send(sent)
    await receiver.until(5, "/w")
    async with asyncio.timeout(PATIENCE):
        while True:
            stats = (await client.http.get("/v1/webhooks/w/stats")).json()
            if (stats["queue_depth"], stats["in_flight"]) == (3, 0):
                break
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)
    assert len(receiver.requests) == 5


async def test_the_concurrency_limit_applies_in_two_processes(
    peers: Peers, stack: contextlib.AsyncExitStack, receiver: Receiver
) -> None:
    receiver.delays["/w"] = [0.1]
    first, other = await peers.start(stack, {}, {})
    await first.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], concurrency=3)
    await until_acquainted(first, other)
    await until_lanes_are_synced(first, other)
    sent = [event("user.a") for _ in range(60)]
    await asyncio.gather(first.send(sent[:30]), other.send(sent[30:]))
    await receiver.until(60, "/w")
    assert receiver.max_concurrent == 3


async def test_pending_deliveries_go_before_new_ones(client: Client, receiver: Receiver) -> None:
    receiver.delays["/w"] = [0.02]
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], concurrency=1)
    sent = [event("user.a", {"n": n}) for n in range(300)]
    for start in range(0, 300, 100):
        await client.send(sent[start : start + 100])
        await asyncio.sleep(0.3)
    result = [came.json["data"]["n"] for came in await receiver.until(300, "/w")]
    # Not in strict order, but no delivery is overtaken by many others.
    late = [place - number for place, number in enumerate(result)]
    assert max(late) < 80, result


async def test_full_lanes_do_not_hide_other_lanes(client: Client, receiver: Receiver) -> None:
    """Webhooks with full lanes and many due deliveries do not delay the retry of another."""
    policy: dict[str, Any] = {"backoff": "fixed", "initial_delay": "500ms"}
    receiver.delays["/slow"] = [3.0]
    receiver.answers["/well"] = [500, 200]
    result = [
        client.webhook(id=f"slow{n}", url=f"{receiver.url}/slow", events=["user.*"], concurrency=1,
                       timeout="10s")
        for n in range(20)
    ]  # fmt: skip
    await asyncio.gather(*result)
    await client.webhook(id="well", url=f"{receiver.url}/well", events=["audit.*"],
                         retry_policy=policy)  # fmt: skip
    await client.send([event("user.a") for _ in range(100)])
    await receiver.until(20, "/slow")
    sent = event("audit.a")
    await client.send(sent)
    first, second = await receiver.until(2, "/well")
    assert second.time - first.time >= 0.5
    assert len(receiver.requests_to("/slow")) < 100, "it waited for those whose lanes are full"


async def test_failing_lanes_are_paced(client: Client, receiver: Receiver) -> None:
    """However many webhooks fail, and however soon their retries are due."""
    receiver.answers["/failing"] = [500]
    policy: dict[str, Any] = {"max_attempts": 100, "backoff": "fixed", "initial_delay": "50ms"}
    for n in range(60):
        await client.webhook(
            id=f"failing{n}", url=f"{receiver.url}/failing", events=["user.*"],
            retry_policy=policy, circuit_breaker={"failure_threshold": 1000},
        )  # fmt: skip
    await client.webhook(id="well", url=f"{receiver.url}/well", events=["user.*"])
    sent = event("user.a")
    began = time.time()
    await client.send(sent)
    await receiver.until(1, "/well")
    await receiver.until(60 * 12, "/failing")
    times = [request.time for request in receiver.requests_to("/failing")]
    # Without pacing there were 1,200 attempts a second. The first attempts are not paced.
    assert not _beyond(times[60:], began, AT_ONCE + 60, PER_SECOND)
    # In turn: no webhook is tried twice before another is tried once.
    tried = [(await client.delivery(f"failing{n}", sent["id"]))["attempts"] for n in (0, 30, 59)]
    counts = [len(attempts) for attempts in tried]
    assert max(counts) - min(counts) <= 6, counts


async def test_a_lane_without_room_gets_its_turn_later() -> None:
    """The lane of an ordered webhook starts its attempt only when it is woken."""
    began: Counter[str] = Counter()

    def start(lane: Lane) -> None:
        if lane.webhook.ordered:
            return
        pacing.take()
        pacing.release()
        began[lane.webhook.id] += 1
        pacing.wait(lane)

    pacing = Pacing(100, lambda: True, start)
    makers: Any = None
    lanes = [Lane(Webhook(f"w{n}", "http://x/", ("a",), ordered=n == 0), makers) for n in range(51)]

    async def ordered() -> None:
        while True:
            lanes[0].slot_freed.clear()
            pacing.wait(lanes[0])
            await lanes[0].slot_freed.wait()
            if pacing.available > 0:
                pacing.take()
                pacing.release()
                began["w0"] += 1

    waiting = asyncio.create_task(ordered())
    for lane in lanes[1:]:
        pacing.wait(lane)
    since = time.monotonic()
    await asyncio.sleep(1)
    took = time.monotonic() - since
    waiting.cancel()
    pacing.stop()
    assert sum(began.values()) <= AT_ONCE + PER_SECOND * took + 1
    assert began["w0"] >= max(began.values()) // 2 > 0, began
