"""Throttled webhooks: after 429 or 503 with Retry-After no request goes out before that time."""

import asyncio
import contextlib
import re
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from event_gateway.state.connection import connect
from event_gateway.state.keys import THROTTLED
from support.client import Client, event
from support.patience import PATIENCE, allowance
from support.peers import Peers, until_lanes_are_synced
from support.receiver import Receiver

WAIT = 3.0  # seconds that the receivers here ask for
EARLY = 0.01  # seconds between the receiver's reading of its clock and the gateway's
PATIENT = {"max_attempts": 9, "backoff": "fixed", "initial_delay": "100ms"}


async def _stats(client: Client, webhook: str) -> dict[str, Any]:
    answer = await client.http.get(f"/v1/webhooks/{webhook}/stats")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def _throttled(client: Client, webhook: str) -> float:
    """Until when the webhook is throttled, as soon as it is. Seconds since the epoch."""
    async with asyncio.timeout(PATIENCE):
        while (ends := (await _stats(client, webhook))["throttled_until"]) is None:
            await asyncio.sleep(0.05)
    return datetime.fromisoformat(ends).timestamp()


async def test_the_whole_webhook_waits_as_long_as_its_receiver_asks(
    client: Client, receiver: Receiver
) -> None:
    sent: dict[str, list[dict[str, Any]]] = {}
    kinds: dict[str, dict[str, Any]] = {
        "plain": {},
        "unavailable": {},
        "ordered": {"ordered": True},
        "keys": {"ordered": {"by": "data.n"}},
        "limited": {"rate_limit": {"events": 1000, "per": "1s"}},
        "batch": {"mode": "batch", "batch": {"max_wait": "100ms", "max_events": 5}},
        # Several 429 at once, which open the breaker: that does not lengthen the wait.
        "breaker": {"circuit_breaker": {"failure_threshold": 2, "open_for": "1h"}},
    }
    refusals = dict.fromkeys(kinds, 1) | {"breaker": 3}
    answered = 0.3  # seconds after a request: all refused ones are in flight at the same time
    for name, settings in kinds.items():
        path, status = f"/{name}", 503 if name == "unavailable" else 429
        receiver.answers[path] = [status] * refusals[name] + [200]
        receiver.delays[path] = [answered] * refusals[name] + [0.0]
        receiver.headers[path] = {"Retry-After": f"{WAIT:.0f}"}
        await client.webhook(
            id=name, url=f"{receiver.url}{path}", events=[f"{name}.*"], retry_policy=PATIENT,
            **settings,
        )  # fmt: skip
        sent[name] = [event(f"{name}.a", {"n": n}) for n in range(30)]
    await asyncio.gather(*(client.send(sent[name][: refusals[name]]) for name in kinds))
    for name in kinds:
        for item in sent[name][: refusals[name]]:
            await client.until(name, item["id"], "retrying", "succeeded")
    await asyncio.gather(*(client.send(sent[name][refusals[name] :]) for name in kinds))
    for name in kinds:
        for item in sent[name]:
            await client.until(name, item["id"], "succeeded")
        requests = receiver.requests_to(f"/{name}")
        refused, resumed = requests[: refusals[name]], requests[refusals[name]]
        assert all(request.status in (429, 503) for request in refused)
        gap = resumed.time - refused[-1].time - answered
        assert WAIT - EARLY <= gap < WAIT + PATIENCE, name  # the breaker alone: an hour
        # Waiting has used up no attempt.
        for item in sent[name]:
            record = await client.delivery(name, item["id"])
            statuses = [attempt["status_code"] for attempt in record["attempts"]]
            assert statuses in ([200], [429, 200], [503, 200]), name
        assert (await _stats(client, name))["throttled_until"] is None


async def test_limits_of_the_wait(client: Client, receiver: Receiver) -> None:
    def after(seconds: float) -> str:
        return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)

    # Each: the header, the policy, and between how many seconds the webhook is throttled.
    cases: dict[str, tuple[str, dict[str, Any], float, float]] = {
        "endless": ("9" * 20, {"max_delay": "20m"}, 1000, 1200),
        "hours": ("7200", {}, 3400, 3600),
        "date": (after(1800), {}, 1600, 1802),  # a date has whole seconds
        "zero": ("0", {}, 0, 0),
        "past": (after(-1800), {}, 0, 0),
        "no_number": ("5s", {}, 0, 0),
        "negative": ("-5", {}, 0, 0),
    }
    for name, (header, policy, _, _) in cases.items():
        receiver.answers[f"/{name}"] = [429]
        receiver.headers[f"/{name}"] = {"Retry-After": header}
        await client.webhook(
            id=name, url=f"{receiver.url}/{name}", events=["user.*"], retry_policy=policy
        )
    # Another status says nothing about the other deliveries.
    receiver.answers["/other"] = [500]
    receiver.headers["/other"] = {"Retry-After": "60"}
    await client.webhook(id="other", url=f"{receiver.url}/other", events=["user.*"])
    sent = event("user.a")
    await client.send(sent)
    await client.until("other", sent["id"], "retrying")
    assert (await _stats(client, "other"))["throttled_until"] is None
    for name, (_, _, least, most) in cases.items():
        if not most:
            await receiver.until(1, f"/{name}")
            await client.until(name, sent["id"], "dead_letter")
            assert (await _stats(client, name))["throttled_until"] is None, name
            continue
        left = await _throttled(client, name) - datetime.now(UTC).timestamp()
        assert least <= left <= most, name

    async with asyncio.timeout(PATIENCE):  # it is measured every few seconds
        while True:
            metrics = (await client.http.get("/metrics")).text
            if re.search(r'throttled_seconds\{webhook="hours"\} 3[0-9]{3}\.', metrics):
                break
            await asyncio.sleep(0.1)
    assert 'throttled_seconds{webhook="zero"} 0.0' in metrics

    # A new URL is another receiver. The next deliveries need not wait.
    receiver.answers["/hours"] = [200]
    moved = {"url": f"{receiver.url}/moved"}
    assert (await client.http.patch("/v1/webhooks/hours", json=moved)).status_code == 200
    later = event("user.a")
    await client.send(later)
    await client.until("hours", later["id"], "succeeded")
    assert (await _stats(client, "hours"))["throttled_until"] is None

    # A delivery of an ordered webhook is retried there at once: the others wait for it.
    receiver.answers["/former"] = [429]
    receiver.headers["/former"] = {"Retry-After": "600"}
    await client.webhook(
        id="in_order", url=f"{receiver.url}/former", events=["order.*"], ordered=True
    )
    refused, next_one = event("order.a"), event("order.a")
    await client.send([refused, next_one])
    await client.until("in_order", refused["id"], "retrying")
    moved = {"url": f"{receiver.url}/ordered"}
    assert (await client.http.patch("/v1/webhooks/in_order", json=moved)).status_code == 200
    await client.until("in_order", refused["id"], "succeeded")
    await client.until("in_order", next_one["id"], "succeeded")
    assert len(receiver.requests_to("/former")) == 1
    assert (await client.http.delete("/v1/webhooks/in_order")).status_code == 204

    # Deliveries that wait still have their deadline.
    receiver.answers["/short"] = [429]
    receiver.headers["/short"] = {"Retry-After": "600"}
    await client.webhook(
        id="short", url=f"{receiver.url}/short", events=["order.*"], retry_policy={"max_age": "3s"}
    )
    await client.send(event("order.a"))
    await _throttled(client, "short")
    waiting = event("order.a")
    await client.send(waiting)
    record = await client.until("short", waiting["id"], "dead_letter")
    assert (record["last_error"], record["attempts"]) == ("Expired", [])

    # A retry by hand waits, too, and a delivery can be cancelled meanwhile.
    held = event("user.a")
    await client.send(held)
    await client.until("date", held["id"], "pending")
    answer = await client.http.post(f"/v1/deliveries/date/{held['id']}/retry")
    assert answer.status_code in (200, 202), answer.text
    answer = await client.http.post(f"/v1/deliveries/date/{held['id']}/cancel")
    assert answer.status_code == 200, answer.text
    assert len(receiver.requests_to("/date")) == 1
    # A webhook of the same id starts afresh.
    await client.delete_webhook("date")
    receiver.answers["/date"] = [200]
    await client.webhook(id="date", url=f"{receiver.url}/date", events=["user.*"])
    await client.send(last := event("user.a"))
    await client.until("date", last["id"], "succeeded")


async def test_all_processes_wait_and_so_does_one_that_starts_meanwhile(
    peers: Peers, stack: contextlib.AsyncExitStack, receiver: Receiver
) -> None:
    receiver.answers["/w"] = [429, 200]
    began = time.monotonic()
    first, other = await peers.start(stack, {}, {})
    # The third process starts meanwhile, which takes longer on a busy machine.
    wait = allowance(15, time.monotonic() - began, 5)
    receiver.headers["/w"] = {"Retry-After": f"{wait}"}
    await first.webhook(
        id="w", url=f"{receiver.url}/w", events=["user.*"], retry_policy=PATIENT, concurrency=16
    )
    await first.send(event("user.a"))
    ends = await _throttled(first, "w")
    await until_lanes_are_synced(first, other)
    before = len(receiver.requests)
    for _ in range(10):
        await asyncio.gather(*(client.send(event("user.a")) for client in (first, other)))
    peers.programs[0].kill()
    (third,) = await peers.start(stack, {})
    await third.send(event("user.a"))
    assert await _throttled(third, "w") == ends
    requests = await receiver.until(before + 22, "/w", timeout=wait + PATIENCE)
    assert requests[before].time >= ends - EARLY
    assert len({request.json["id"] for request in requests if request.status == 200}) >= 22

    # No process waits for what Redis does not have any more.
    receiver.answers["/w"] = [503, 200]
    receiver.headers["/w"] = {"Retry-After": "3600"}
    await other.send(event("user.a"))
    await _throttled(other, "w")
    await until_lanes_are_synced(other, third)
    async with await connect(peers.servers[1]) as redis:
        await redis.hdel(THROTTLED.key(), "w")
    for client in (other, third):
        await client.send(last := event("user.a"))
        await client.until("w", last["id"], "succeeded")
