"""Retries, dead letters, and their lifecycle events."""

import asyncio
import json
import time
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from support.client import Client, connected, event
from support.patience import PATIENCE, allowance
from support.program import LOOPBACK, Program
from support.receiver import Receiver

pytestmark = pytest.mark.shared

# A retry is never early, and late at most by this: the gathering of writes, the look into the
# queue, and what else runs on the machine.
LATE = 0.5  # seconds within which the gateway plans the next attempt, once one has ended


def _at(text: str) -> float:
    """Seconds since the epoch."""
    return datetime.fromisoformat(text).timestamp()


async def test_a_receiver_that_fails_twice(client: Client, receiver: Receiver) -> None:
    receiver.answers["/flaky"] = [500, 500, 200]
    await client.webhook(id="flaky", url=f"{receiver.url}/flaky", events=["terminus.commit.*"])
    sent = event("terminus.commit.created", {"commit_id": "c1"})
    await client.send(sent)

    waiting = await client.until("flaky", sent["id"], "retrying")
    assert waiting["next_attempt_at"] > waiting["updated_at"]
    assert waiting["last_error"] == "ServerError: HTTP 500"
    requests = await receiver.until(3)
    gaps = [later.time - earlier.time for earlier, later in pairwise(requests)]
    assert gaps[0] >= 1.0
    assert gaps[1] >= 2.0
    assert len({request.json["id"] for request in requests}) == 1

    record = await client.until("flaky", sent["id"], "succeeded")
    assert record["next_attempt_at"] is None
    history = [(attempt["number"], attempt["status_code"], attempt.get("error_type")) for attempt in
               record["attempts"]]  # fmt: skip
    assert history == [(1, 500, "ServerError"), (2, 500, "ServerError"), (3, 200, None)]
    assert record["attempts"][0]["response"] == "answer 500"

    events = await client.lifecycle_events(
        6, "webhook.triggered", "webhook.failed", "webhook.succeeded"
    )
    assert [item["type"].removeprefix("webhook.") for item in events] == [
        "triggered", "failed", "triggered", "failed", "triggered", "succeeded",
    ]  # fmt: skip


async def test_a_second_attempt_that_takes_long_is_in_progress(
    client: Client, receiver: Receiver
) -> None:
    receiver.answers["/slow"] = [500, 200]
    await client.webhook(
        id="slow", url=f"{receiver.url}/slow", events=["user.*"], timeout="2m"
    )  # fmt: skip
    sent = event("user.a")
    await client.send(sent)
    await receiver.until(1)
    receiver.holds["/slow"] = asyncio.Event()
    await receiver.until(2)
    running = await client.until("slow", sent["id"], "in_progress")
    assert len(running["attempts"]) == 1
    receiver.holds["/slow"].set()
    record = await client.until("slow", sent["id"], "succeeded")
    assert len(record["attempts"]) == 2


async def test_lifecycle_events_in_order_and_with_their_data(
    client: Client, receiver: Receiver
) -> None:
    receiver.answers["/flaky"] = [500, 200]
    created = await client.webhook(id="flaky", url=f"{receiver.url}/flaky", events=["user.*"])
    sent = event("user.authenticated")
    await client.send(sent)
    events = await client.lifecycle_events(
        5, "webhook.registered", "webhook.triggered", "webhook.failed", "webhook.succeeded"
    )
    assert [item["type"].removeprefix("webhook.") for item in events] == [
        "registered", "triggered", "failed", "triggered", "succeeded",
    ]  # fmt: skip
    for item in events:
        assert (item["specversion"], item["source"], item["subject"]) == (
            "1.0", "event-gateway", "webhook/flaky",
        )  # fmt: skip
        assert item["data"]["webhook_id"] == "flaky"
    registered, triggered, failed, again, succeeded = (item["data"] for item in events)
    assert registered == {"webhook_id": "flaky", "url": created["url"], "events": ["user.*"]}
    about = {"webhook_id": "flaky", "event_id": sent["id"]}
    assert triggered == about | {"event_type": "user.authenticated", "attempt": 1}
    assert again == about | {"event_type": "user.authenticated", "attempt": 2}
    assert failed.pop("next_attempt_at").endswith("Z")
    assert failed == about | {
        "error_type": "ServerError", "error_message": "HTTP 500", "retry_count": 1,
        "status_code": 500,
    }  # fmt: skip
    # The latency is counted from the event on, the duration from the attempt: a second later.
    assert succeeded.pop("latency_ms") - succeeded.pop("duration_ms") >= 1000
    assert succeeded == about | {
        "event_type": "user.authenticated", "attempt": 2, "status_code": 200,
    }  # fmt: skip
    # They are also stored in a stream of their own.
    messages = await client.stream_messages("GATEWAY_LIFECYCLE")
    assert [json.loads(item.data)["id"] for item in messages][-5:] == [
        item["id"] for item in events
    ]


async def test_a_receiver_that_always_fails(client: Client, receiver: Receiver) -> None:
    receiver.answers["/dead"] = [503]
    policy = {"max_attempts": 3, "initial_delay": "100ms"}
    await client.webhook(id="dead", url=f"{receiver.url}/dead", events=["audit.>"],
                         retry_policy=policy)  # fmt: skip
    sent = event("audit.events.login", {"actor": "m.okafor"}, subject="user/m.okafor")
    await client.send(sent)
    record = await client.until("dead", sent["id"], "dead_letter")
    assert [attempt["status_code"] for attempt in record["attempts"]] == [503, 503, 503]
    assert record["last_error"] == "ServerError: HTTP 503"
    assert len(receiver.requests) == 3

    *_, letter = await client.stream_messages("GATEWAY_DEAD_LETTERS")
    assert letter.subject == "eg.dead.dead"
    stored: dict[str, Any] = json.loads(letter.data)
    assert stored["reason"] == "ServerError"
    assert stored["attempts"] == record["attempts"]
    assert stored["event"] == sent
    (event_,) = await client.lifecycle_events(1, "webhook.dead_lettered")
    assert event_["data"] == {
        "webhook_id": "dead", "event_id": sent["id"], "reason": "ServerError", "attempts": 3,
    }  # fmt: skip
    failed = [
        item["data"]["next_attempt_at"]
        for item in await client.lifecycle_events(3, "webhook.failed")
    ]
    assert [item is None for item in failed] == [False, False, True]


@pytest.mark.parametrize(("status", "error"), [(404, "ClientError"), (302, "Redirect")])
async def test_every_other_status_is_retried(
    client: Client, receiver: Receiver, status: int, error: str
) -> None:
    receiver.answers["/hook"] = [status, 204]
    policy = {"initial_delay": "50ms"}
    await client.webhook(id="w", url=f"{receiver.url}/hook", events=["user.*"], retry_policy=policy)
    sent = event("user.authenticated")
    await client.send(sent)
    record = await client.until("w", sent["id"], "succeeded")
    assert [attempt.get("error_type") for attempt in record["attempts"]] == [error, None]


@pytest.mark.alone
async def test_a_dead_receiver_does_not_delay_others(client: Client, receiver: Receiver) -> None:
    receiver.answers["/dead"] = [500]
    await client.webhook(id="dead", url=f"{receiver.url}/dead", events=["user.*"],
                         circuit_breaker={"failure_threshold": 1000})  # fmt: skip
    await client.webhook(id="well", url=f"{receiver.url}/well", events=["user.*"])
    sent = [event("user.authenticated", {"n": n}) for n in range(120)]
    await client.send(sent)
    await receiver.until(120, "/well")
    assert {request.json["id"] for request in receiver.requests_to("/well")} == {
        item["id"] for item in sent
    }
    for item in sent[::20]:
        await client.until("dead", item["id"], "dead_letter")
    async with asyncio.timeout(PATIENCE):
        js = client.nats.jetstream()
        while (await js.stream_info("GATEWAY_DEAD_LETTERS")).state.messages < 120:
            await asyncio.sleep(0.05)
    letters = await client.stream_messages("GATEWAY_DEAD_LETTERS")
    assert {json.loads(letter.data)["event"]["id"] for letter in letters} == {
        item["id"] for item in sent
    }


async def test_a_delivery_with_a_missing_secret_is_retried(
    client: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    security = {"auth_type": "bearer_token", "secret_name": "later"}
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], security=security)
    sent = event("user.authenticated")
    await client.send(sent)
    record = await client.until("w", sent["id"], "pending")
    assert record["last_error"] == "SecretMissing: later"
    assert record["attempts"] == []
    assert not receiver.requests


@pytest.mark.alone
async def test_no_attempt_is_made_after_max_age(client: Client, receiver: Receiver) -> None:
    await client.webhook(id="first", url=f"{receiver.url}/first", events=["first.*"])
    began = time.monotonic()
    await client.send(first := event("first.x"))
    await client.until("first", first["id"], "succeeded")
    max_age = allowance(1, time.monotonic() - began, 20)
    receiver.answers["/w"] = [500]
    policy = {
        "max_attempts": 50, "backoff": "fixed", "initial_delay": f"{100 * max_age}ms",
        "max_age": f"{max_age}s",
    }  # fmt: skip
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], retry_policy=policy)
    sent = event("user.x")
    await client.send(sent)
    logged = time.time()  # or earlier
    record = await client.until("w", sent["id"], "dead_letter", timeout=max_age + PATIENCE)
    attempts = [_at(attempt["time"]) for attempt in record["attempts"]]
    assert 2 <= len(attempts) == len(receiver.requests_to("/w")) <= 10
    assert attempts[-1] <= logged + max_age
    (event_,) = await client.lifecycle_events(1, "webhook.dead_lettered")
    assert (event_["data"]["reason"], event_["data"]["attempts"]) == ("Expired", len(attempts))
    (message,) = await client.stream_messages("GATEWAY_DEAD_LETTERS")
    assert json.loads(message.data)["event"]["id"] == sent["id"]
    refused = await client.http.post(
        "/v1/webhooks",
        json={"id": "x", "url": "https://x.y/", "events": ["a"], "retry_policy": {"max_age": "6d"}},
    )
    assert refused.status_code == 422
    assert "5d14h24m" in refused.json()["detail"]


async def test_a_delivery_that_expired_during_downtime_is_a_dead_letter(
    tmp_path: Path, receiver: Receiver
) -> None:
    receiver.answers["/w"] = [500]
    # On a busy machine the first attempt, and the end of the program, take seconds.
    policy = {"initial_delay": "6s", "max_age": "12s"}
    webhook = {"url": f"{receiver.url}/w", "events": ["user.*"], "retry_policy": policy}
    program = Program(tmp_path, LOOPBACK | {"webhooks": {"w": webhook}})
    sent = event("user.x")
    try:
        at = await program.start()
        async with connected(at["http"], at["nats"], at["key"]) as client:
            await client.send(sent)
            expired_at = time.monotonic() + 12
            await client.until("w", sent["id"], "retrying")
        assert await program.stop() == 0
        await asyncio.sleep(expired_at - time.monotonic())
        at = await program.start()
        async with connected(at["http"], at["nats"], at["key"]) as client:
            record = await client.until("w", sent["id"], "dead_letter")
            assert len(record["attempts"]) == 1
            (message,) = await client.stream_messages("GATEWAY_DEAD_LETTERS")
        assert await program.stop() == 0
    finally:
        await program.stop()
    assert json.loads(message.data)["reason"] == "Expired"
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    ("policy", "headers", "planned"),
    [
        ({"schedule": ["100ms", "700ms", "300ms"]}, {}, [(0.1, 0.1), (0.7, 0.7), (0.3, 0.3)]),
        ({"initial_delay": "100ms", "backoff": "linear"}, {}, [(0.1, 0.1), (0.2, 0.2)]),
        ({"initial_delay": "400ms", "backoff": "fixed", "jitter": 1}, {}, [(0.4, 0.8)] * 2),
        ({"initial_delay": "100ms"}, {"Retry-After": "1"}, [(1, 1), (1, 1)]),
        ({"initial_delay": "100ms", "max_delay": "400ms"}, {"Retry-After": "99"}, [(0.4, 0.4)] * 2),
        ({"initial_delay": "700ms"}, {"Retry-After": "0"}, [(0.7, 0.7), (1.4, 1.4)]),
    ],
)
async def test_the_delays_between_attempts(
    client: Client, receiver: Receiver, policy: dict[str, Any], headers: dict[str, str],
    planned: list[tuple[float, float]],
) -> None:  # fmt: skip
    receiver.answers["/w"] = [503]
    receiver.headers["/w"] = headers
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], retry_policy=policy)
    sent = event("user.a")
    await client.send(sent)
    record = await client.until("w", sent["id"], "dead_letter")
    assert len(record["attempts"]) == len(planned) + 1
    for (before, after), (earliest, latest) in zip(
        pairwise(record["attempts"]), planned, strict=True
    ):
        ended = _at(before["time"]) + before["duration_ms"] / 1000
        assert earliest - 0.01 <= _at(before["next_attempt_at"]) - ended < latest + LATE
        assert _at(after["time"]) >= _at(before["next_attempt_at"]) - 0.01


@pytest.mark.alone
async def test_only_what_retry_on_names_is_retried(client: Client, receiver: Receiver) -> None:
    policy = {"initial_delay": "50ms"}
    receiver.answers |= {"/refused": [404], "/flaky": [503, 200], "/batch": [413, 404]}
    batch = {"mode": "batch", "batch": {"max_wait": "500ms", "max_events": 2}}
    for name, settings in {"refused": {}, "flaky": {}, "batch": batch}.items():
        await client.webhook(
            id=name, url=f"{receiver.url}/{name}", events=["user.*"], retry_policy=policy,
            retry_on=["5xx", "network"], **settings,
        )  # fmt: skip
    sent = [event("user.a"), event("user.b")]
    await client.send(sent)
    why = "retry_on does not name the status 404"
    for item in sent:
        record = await client.until("refused", item["id"], "dead_letter")
        (attempt,) = record["attempts"]
        assert (attempt["not_retried"], attempt.get("next_attempt_at")) == (why, None)
        await client.until("flaky", item["id"], "succeeded")
        # What a receiver says to a batch is not about each of its events.
        record = await client.until("batch", item["id"], "dead_letter")
        tried = [
            (attempt["status_code"], attempt.get("not_retried")) for attempt in record["attempts"]
        ]
        assert tried == [(413, None), (404, why)]
    letters = await client.stream_messages("GATEWAY_DEAD_LETTERS")
    assert [json.loads(letter.data)["attempts"][-1]["not_retried"] for letter in letters] == [
        why
    ] * 4


async def test_a_receiver_that_aborts_a_delivery(client: Client, receiver: Receiver) -> None:
    receiver.answers["/w"] = [500]
    receiver.headers["/w"] = {"webhook-delivery": "abort-message"}
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"])
    sent = event("user.a")
    await client.send(sent)
    record = await client.until("w", sent["id"], "dead_letter")
    assert len(record["attempts"]) == len(receiver.requests_to("/w")) == 1
