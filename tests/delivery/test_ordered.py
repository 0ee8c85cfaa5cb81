"""Ordered webhooks: the order of the log, one event at a time, also after kills."""

import asyncio
import contextlib
import json
import shutil
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from nats.js.errors import KeyNotFoundError

from support.client import Client, connected, event
from support.patience import PATIENCE
from support.peers import Peers
from support.program import LOOPBACK, Program
from support.receiver import Receiver

POLICY = {"max_attempts": 5, "backoff": "fixed", "initial_delay": "200ms"}


def _numbers(receiver: Receiver, path: str = "/w") -> list[int]:
    """The numbers of the received events, each once."""
    out: list[int] = []
    for came in receiver.requests_to(path):
        number = came.json["data"]["n"]
        if not out or out[-1] != number:
            out.append(number)
    return out


async def _sent(client: Client, numbers: range, **data: Any) -> list[dict[str, Any]]:
    sent = [event("user.a", {"n": n} | data) for n in numbers]
    for item in sent:
        await client.send(item)  # one by one: the order of the log is that of the requests
    return sent


async def test_strict_order_with_retries_in_place(client: Client, receiver: Receiver) -> None:
    receiver.answers["/w"] = [200, 500, 500, 200, 200, 500, 200]
    await client.send(event("user.a", {"n": -1}))  # before its registration
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], ordered=True,
                         retry_policy=POLICY)  # fmt: skip
    sent = await _sent(client, range(20))
    requests = await receiver.until(23, "/w")
    assert [came.json["data"]["n"] for came in requests][:7] == [0, 1, 1, 1, 2, 3, 3]
    assert _numbers(receiver) == list(range(20))
    for earlier, later in pairwise(requests[1:4]):
        assert later.time - earlier.time >= 0.2
    record = await client.until("w", sent[1]["id"], "succeeded")
    assert [attempt["status_code"] for attempt in record["attempts"]] == [500, 500, 200]
    events = await client.lifecycle_events(23, "webhook.triggered")
    assert len(events) == 23


async def test_a_dead_letter_and_then_the_next(client: Client, receiver: Receiver) -> None:
    receiver.answers["/w"] = [500, 500, 200]
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], ordered=True,
                         retry_policy=POLICY | {"max_attempts": 2})  # fmt: skip
    sent = await _sent(client, range(3))
    await client.until("w", sent[2]["id"], "succeeded")
    assert [came.json["data"]["n"] for came in receiver.requests] == [0, 0, 1, 2]
    assert (await client.delivery("w", sent[0]["id"]))["status"] == "dead_letter"
    (letter,) = await client.stream_messages("GATEWAY_DEAD_LETTERS")
    assert json.loads(letter.data)["event"]["id"] == sent[0]["id"]


async def test_keys_are_delivered_in_parallel(client: Client, receiver: Receiver) -> None:
    receiver.delays["/w"] = [0.1]
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"],
                         ordered={"by": "data.account"})  # fmt: skip
    sent = [event("user.a", {"n": n, "account": n % 4}) for n in range(40)]
    for item in sent:
        await client.send(item)
    requests = await receiver.until(40, "/w")
    for account in range(4):
        mine = [came for came in requests if came.json["data"]["account"] == account]
        assert [came.json["data"]["n"] for came in mine] == list(range(account, 40, 4))
        for earlier, later in pairwise(mine):
            assert later.time - earlier.time >= 0.095, "two of a key at a time"
    assert receiver.max_concurrent > 1, "keys waited for each other"


async def test_order_is_kept_when_either_process_is_killed(
    peers: Peers, stack: contextlib.AsyncExitStack, receiver: Receiver
) -> None:
    receiver.delays["/w"] = [0.02]
    first, other = await peers.start(stack, {}, {})
    policy = POLICY | {"max_attempts": 50}
    await first.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], ordered=True,
                      retry_policy=policy)  # fmt: skip
    for number in range(0, 100, 2):
        await _sent(first, range(number, number + 1))
        await _sent(other, range(number + 1, number + 2))
    await receiver.until(20, "/w")
    peers.programs[0].kill()
    await _sent(other, range(100, 120))
    async with asyncio.timeout(PATIENCE):
        while (numbers := _numbers(receiver))[-1] != 119:
            await asyncio.sleep(0.1)
    assert numbers == list(range(120))
    repeated = len(receiver.requests_to("/w")) - len(numbers)
    assert repeated <= 1, "more came again than was in flight"


async def test_a_restart_continues_with_the_recorded_attempts(
    tmp_path: Path, receiver: Receiver
) -> None:
    receiver.answers["/w"] = [200, 500]
    webhook = {"url": f"{receiver.url}/w", "events": ["user.*"], "ordered": True,
               "retry_policy": POLICY | {"initial_delay": "1s", "max_attempts": 30}}  # fmt: skip
    program = Program(tmp_path, LOOPBACK | {"webhooks": {"w": webhook}})
    at = await program.start()
    try:
        async with connected(at["http"], at["nats"], at["key"]) as client:
            sent = await _sent(client, range(4))
            await client.until("w", sent[1]["id"], "retrying")
        assert await program.stop() == 0
        came_before = len(receiver.requests)  # a slow stop leaves time for another attempt
        assert came_before >= 2
        receiver.answers["/w"] = [500, 200]
        at = await program.start()
        async with connected(at["http"], at["nats"], at["key"]) as client:
            await client.until("w", sent[3]["id"], "succeeded")
            numbers = [came.json["data"]["n"] for came in receiver.requests]
            assert numbers == [0] + [1] * (came_before - 1) + [1, 1, 2, 3]
            attempt = receiver.requests[came_before].headers["x-event-gateway-attempt"]
            assert attempt == str(came_before)
            # The order cannot be changed while deliveries are pending; other settings can.
            refused = {"webhooks": {"w": webhook | {"ordered": False}}}
        assert await program.stop() == 0
        program.configure(LOOPBACK | refused)
        assert await program.start_fails() == 2
        assert "ordered: cannot change while the webhook w exists" in program.last_line
    finally:
        with contextlib.suppress(AssertionError):
            await program.stop()
    assert "Traceback" not in program.output, program.output


async def test_breaker_pause_and_deletion_of_an_ordered_webhook(
    client: Client, receiver: Receiver
) -> None:
    receiver.answers["/w"] = [500, 500, 500, 200]
    await client.webhook(
        id="w", url=f"{receiver.url}/w", events=["user.*"], ordered=True, retry_policy=POLICY,
        circuit_breaker={"failure_threshold": 2, "open_for": "1s"},
    )  # fmt: skip
    await _sent(client, range(5))
    requests = await receiver.until(8, "/w")
    assert [came.json["data"]["n"] for came in requests] == [0, 0, 0, 0, 1, 2, 3, 4]
    assert all(requests[n + 1].time - requests[n].time >= 1.0 for n in (1, 2)), (
        "more than a probe a second"
    )
    assert (await client.http.patch("/v1/webhooks/w", json={"enabled": False})).status_code == 200
    (waits,) = await _sent(client, range(5, 6))
    await asyncio.sleep(0.5)
    assert len(receiver.requests) == 8
    changed = await client.http.patch("/v1/webhooks/w", json={"enabled": True, "ordered": False})
    assert (changed.status_code, changed.json()["errors"][0]["key"]) == (422, "ordered")
    receiver.answers["/w"] = [500]
    await client.http.patch("/v1/webhooks/w", json={"enabled": True})
    await client.until("w", waits["id"], "retrying")
    assert (await client.http.delete("/v1/webhooks/w")).status_code == 204
    assert (await client.until("w", waits["id"], "cancelled"))["last_error"] == "webhook deleted"


async def test_a_rate_limit_of_an_ordered_webhook(client: Client, receiver: Receiver) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], ordered=True,
                         rate_limit={"events": 10, "per": "1s"})  # fmt: skip
    began = time.time()
    await _sent(client, range(25))
    requests = await receiver.until(25, "/w")
    assert _numbers(receiver) == list(range(25))
    assert requests[-1].time - began >= 1.5, "10 at once, and 10 a second"


async def test_a_position_outlives_the_loss_of_redis(tmp_path: Path, receiver: Receiver) -> None:
    """The webhook goes on, and does not begin again at its registration; the order stays."""
    program = Program(tmp_path, LOOPBACK)
    try:
        at = await program.start()
        async with connected(at["http"], at["nats"], at["key"]) as client:
            await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], ordered=True)
            sent = await _sent(client, range(30))
            await client.until("w", sent[-1]["id"], "succeeded")
            bucket = await client.nats.jetstream().key_value("GATEWAY_POSITIONS")
            last = (await client.nats.jetstream().stream_info("GATEWAY_EVENTS")).state.last_seq
            async with asyncio.timeout(PATIENCE):
                while True:
                    with contextlib.suppress(KeyNotFoundError):
                        entry = await bucket.get("w.GATEWAY_EVENTS")
                        if json.loads(entry.value or b"{}")["seq"] == last:
                            break
                    await asyncio.sleep(0.05)
        assert await program.stop() == 0
        shutil.rmtree(program.data / "valkey")
        at = await program.start()
        async with connected(at["http"], at["nats"], at["key"]) as client:
            sent = await _sent(client, range(30, 40))
            await client.until("w", sent[-1]["id"], "succeeded")
            assert _numbers(receiver) == list(range(40))
            assert len(receiver.requests_to("/w")) == 40
            # Its positions go with the webhook.
            assert (await client.http.delete("/v1/webhooks/w")).status_code in (202, 204)
            bucket = await client.nats.jetstream().key_value("GATEWAY_POSITIONS")
            async with asyncio.timeout(PATIENCE):
                while True:
                    try:
                        await bucket.get("w.GATEWAY_EVENTS")
                    except KeyNotFoundError:
                        break
                    await asyncio.sleep(0.05)
        assert await program.stop() == 0
    finally:
        await program.stop()
