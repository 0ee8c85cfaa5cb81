"""Retries, dead letters, and what the gateway tells of them."""

import asyncio
import json
import time
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from support.client import Client, connected, event
from support.program import LOOPBACK, Program
from support.receiver import Receiver

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
    got = await receiver.until(3)
    gaps = [later.time - earlier.time for earlier, later in pairwise(got)]
    assert gaps[0] >= 1.0
    assert gaps[1] >= 2.0
    assert len({one.json["id"] for one in got}) == 1

    record = await client.until("flaky", sent["id"], "succeeded")
    assert record["next_attempt_at"] is None
    history = [(one["number"], one["status_code"], one.get("error_type")) for one in
               record["attempts"]]  # fmt: skip
    assert history == [(1, 500, "ServerError"), (2, 500, "ServerError"), (3, 200, None)]
    assert record["attempts"][0]["response"] == "answer 500"

    told = await client.told(6, "webhook.triggered", "webhook.failed", "webhook.succeeded")
    assert [one["type"].removeprefix("webhook.") for one in told] == [
        "triggered", "failed", "triggered", "failed", "triggered", "succeeded",
    ]  # fmt: skip


async def test_lifecycle_events_in_order_and_with_their_data(
    client: Client, receiver: Receiver
) -> None:
    receiver.answers["/flaky"] = [500, 200]
    created = await client.webhook(id="flaky", url=f"{receiver.url}/flaky", events=["user.*"])
    sent = event("user.authenticated")
    await client.send(sent)
    told = await client.told(5, "webhook.registered", "webhook.triggered", "webhook.failed",
                             "webhook.succeeded")  # fmt: skip
    assert [one["type"].removeprefix("webhook.") for one in told] == [
        "registered", "triggered", "failed", "triggered", "succeeded",
    ]  # fmt: skip
    for one in told:
        assert (one["specversion"], one["source"], one["subject"]) == (
            "1.0", "event-gateway", "webhook/flaky",
        )  # fmt: skip
        assert one["data"]["webhook_id"] == "flaky"
    registered, triggered, failed, again, succeeded = (one["data"] for one in told)
    assert registered == {"webhook_id": "flaky", "url": created["url"], "events": ["user.*"]}
    about = {"webhook_id": "flaky", "event_id": sent["id"]}
    assert triggered == about | {"event_type": "user.authenticated", "attempt": 1}
    assert again == about | {"event_type": "user.authenticated", "attempt": 2}
    assert failed.pop("next_attempt_at").endswith("Z")
    assert failed == about | {
        "error_type": "ServerError", "error_message": "HTTP 500", "retry_count": 1,
        "status_code": 500,
    }  # fmt: skip
    assert succeeded.pop("duration_ms") < 1000 <= succeeded.pop("latency_ms")
    assert succeeded == about | {
        "event_type": "user.authenticated", "attempt": 2, "status_code": 200,
    }  # fmt: skip
    # They are kept in a stream of their own, too.
    kept = await client.all_of("GATEWAY_LIFECYCLE")
    assert [json.loads(one.data)["id"] for one in kept][-5:] == [one["id"] for one in told]


async def test_a_receiver_that_never_takes_it(client: Client, receiver: Receiver) -> None:
    receiver.answers["/dead"] = [503]
    policy = {"max_attempts": 3, "initial_delay": "100ms"}
    await client.webhook(id="dead", url=f"{receiver.url}/dead", events=["audit.>"],
                         retry_policy=policy)  # fmt: skip
    sent = event("audit.events.login", {"actor": "m.okafor"}, subject="user/m.okafor")
    await client.send(sent)
    record = await client.until("dead", sent["id"], "dead_letter")
    assert [one["status_code"] for one in record["attempts"]] == [503, 503, 503]
    assert record["last_error"] == "ServerError: HTTP 503"
    assert len(receiver.got) == 3

    (letter,) = await client.all_of("GATEWAY_DEAD_LETTERS")
    assert letter.subject == "eg.dead.dead"
    kept: dict[str, Any] = json.loads(letter.data)
    assert kept["reason"] == "ServerError"
    assert kept["attempts"] == record["attempts"]
    assert kept["event"] == sent
    (told,) = await client.told(1, "webhook.dead_lettered")
    assert told["data"] == {
        "webhook_id": "dead", "event_id": sent["id"], "reason": "ServerError", "attempts": 3,
    }  # fmt: skip
    failed = [one["data"]["next_attempt_at"] for one in await client.told(3, "webhook.failed")]
    assert [one is None for one in failed] == [False, False, True]


@pytest.mark.parametrize(("status", "error"), [(404, "ClientError"), (302, "Redirect")])
async def test_every_other_answer_is_retried(
    client: Client, receiver: Receiver, status: int, error: str
) -> None:
    receiver.answers["/hook"] = [status, 204]
    policy = {"initial_delay": "50ms"}
    await client.webhook(id="w", url=f"{receiver.url}/hook", events=["user.*"], retry_policy=policy)
    sent = event("user.authenticated")
    await client.send(sent)
    record = await client.until("w", sent["id"], "succeeded")
    assert [one.get("error_type") for one in record["attempts"]] == [error, None]


async def test_a_dead_receiver_slows_nobody(client: Client, receiver: Receiver) -> None:
    receiver.answers["/dead"] = [500]
    await client.webhook(id="dead", url=f"{receiver.url}/dead", events=["user.*"],
                         circuit_breaker={"failure_threshold": 1000})  # fmt: skip
    await client.webhook(id="well", url=f"{receiver.url}/well", events=["user.*"])
    sent = [event("user.authenticated", {"n": n}) for n in range(300)]
    await client.send(sent)
    await receiver.until(300, "/well")
    assert {one.json["id"] for one in receiver.at("/well")} == {one["id"] for one in sent}
    for one in sent[::50]:
        await client.until("dead", one["id"], "dead_letter")
    letters = await client.all_of("GATEWAY_DEAD_LETTERS")
    for _ in range(100):
        if len(letters) == 300:
            break
        letters = await client.all_of("GATEWAY_DEAD_LETTERS")
    assert {json.loads(one.data)["event"]["id"] for one in letters} == {one["id"] for one in sent}


async def test_a_secret_that_is_missing_waits(
    client: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    security = {"auth_type": "bearer_token", "secret_name": "later"}
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], security=security)
    sent = event("user.authenticated")
    await client.send(sent)
    record = await client.until("w", sent["id"], "pending")
    assert record["last_error"] == "SecretMissing: later"
    assert record["attempts"] == []
    assert not receiver.got


async def test_nothing_is_tried_beyond_its_max_age(client: Client, receiver: Receiver) -> None:
    receiver.answers["/w"] = [500]
    policy = {"max_attempts": 50, "backoff": "fixed", "initial_delay": "100ms", "max_age": "1s"}
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], retry_policy=policy)
    sent = event("user.x")
    await client.send(sent)
    logged = time.time()  # or earlier
    record = await client.until("w", sent["id"], "dead_letter")
    attempts = [_at(one["time"]) for one in record["attempts"]]
    assert 2 <= len(attempts) == len(receiver.got) <= 10
    assert attempts[-1] <= logged + 1
    (told,) = await client.told(1, "webhook.dead_lettered")
    assert (told["data"]["reason"], told["data"]["attempts"]) == ("Expired", len(attempts))
    (kept,) = await client.all_of("GATEWAY_DEAD_LETTERS")
    assert json.loads(kept.data)["event"]["id"] == sent["id"]
    refused = await client.http.post(
        "/v1/webhooks",
        json={"id": "x", "url": "https://x.y/", "events": ["a"], "retry_policy": {"max_age": "6d"}},
    )
    assert refused.status_code == 422
    assert "5d14h24m" in refused.json()["detail"]


async def test_what_became_too_old_while_nobody_ran_is_a_dead_letter(
    tmp_path: Path, receiver: Receiver
) -> None:
    receiver.answers["/w"] = [500]
    policy = {"initial_delay": "2s", "max_age": "3s"}
    webhook = {"url": f"{receiver.url}/w", "events": ["user.*"], "retry_policy": policy}
    program = Program(tmp_path, LOOPBACK | {"webhooks": {"w": webhook}})
    sent = event("user.x")
    try:
        at = await program.start()
        async with connected(at["http"], at["nats"], at["key"]) as client:
            await client.send(sent)
            await client.until("w", sent["id"], "retrying")
        assert await program.stop() == 0
        await asyncio.sleep(2.5)
        at = await program.start()
        async with connected(at["http"], at["nats"], at["key"]) as client:
            record = await client.until("w", sent["id"], "dead_letter")
            assert len(record["attempts"]) == 1
            (kept,) = await client.all_of("GATEWAY_DEAD_LETTERS")
        assert await program.stop() == 0
    finally:
        await program.stop()
    assert json.loads(kept.data)["reason"] == "Expired"
    assert len(receiver.got) == 1


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
async def test_when_it_is_tried_again(
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


async def test_a_receiver_that_wants_no_more_of_it(client: Client, receiver: Receiver) -> None:
    receiver.answers["/w"] = [500]
    receiver.headers["/w"] = {"webhook-delivery": "abort-message"}
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"])
    sent = event("user.a")
    await client.send(sent)
    record = await client.until("w", sent["id"], "dead_letter")
    assert len(record["attempts"]) == len(receiver.at("/w")) == 1
