"""Every key in Redis after a run of everything is declared; a deleted webhook leaves what is."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from event_gateway.cli.process.serve import Running
from event_gateway.config.model import Config
from event_gateway.core.webhook.delivery import FINAL
from event_gateway.observability.history import recorder
from event_gateway.registration import keys as api_keys
from event_gateway.state.key_family import Deletion, Expiry, KeyFamily
from event_gateway.state.keys import DAY, FAMILIES, family_of
from support.client import Client, event
from support.fixtures import Start
from support.patience import PATIENCE
from support.receiver import Receiver

LATER = {"max_attempts": 9, "backoff": "fixed", "initial_delay": "1h"}
# Present for moments only, while a replay runs or the log is read again.
FLEETING = {"replay_lease", "replaying", "rereading", "reread", "reset", "signed_request"}
# Present where more webhooks have attempts than have a history.
FLEETING |= {"history_incomplete"}


@pytest.fixture
async def running(start: Start, monkeypatch: pytest.MonkeyPatch) -> Running:
    monkeypatch.setattr(api_keys, "WRITE_INTERVAL", 0.2)
    monkeypatch.setattr(recorder, "INTERVAL", 0.2)
    return await start({"streams": {"work": {"subjects": ["user.*"]}}})  # type: ignore[no-any-return]


@pytest.fixture
async def redis(running: Running) -> AsyncIterator[Redis]:
    async with Redis.from_url(running.redis_url, decode_responses=True) as client:
        yield client


async def _until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await condition():
            await asyncio.sleep(0.05)


async def _everything(client: Client, receiver: Receiver) -> None:
    """Uses every feature that stores data in Redis, with events of two sources."""
    receiver.answers["/dead"] = receiver.answers["/shut"] = receiver.answers["/late"] = [500]
    receiver.answers["/throttled"] = [503]
    receiver.headers["/throttled"] = {"Retry-After": "3600"}
    definitions: dict[str, dict[str, Any]] = {
        "well": {"rate_limit": {"events": 100, "per": "1s"}},
        "dead": {"retry_policy": {"max_attempts": 1}},
        "late": {"retry_policy": LATER},
        "shut": {
            "retry_policy": LATER, "circuit_breaker": {"failure_threshold": 1, "open_for": "1h"},
        },
        "throttled": {"retry_policy": LATER},
        "paused": {"enabled": False},
        "inorder": {"ordered": True},
        "wrong": {"expression": "event.data.missing > 2"},
    }  # fmt: skip
    for webhook, more in definitions.items():
        await client.webhook(id=webhook, url=f"{receiver.url}/{webhook}", events=["user.*"], **more)
    first = event("user.a", {"n": 1}, id="first", subject="s", correlationid="c")
    other = event("user.a", {"n": 2}, id="first", source="other", subject="s", causationid="first")
    last = event("user.a", {"n": 3}, id="last", subject="s")
    long = event("other", subject="s" * 5000)  # too long to be remembered
    for sent in (long, first, other, last):
        await client.send(sent)
    for webhook, status in (
        ("well", "succeeded"), ("dead", "dead_letter"), ("late", "retrying"), ("shut", "pending"),
        ("paused", "pending"), ("inorder", "succeeded"), ("throttled", "pending"),
    ):  # fmt: skip
        await client.until(
            webhook, "last", status, "retrying" if webhook in ("shut", "throttled") else status
        )

    async def replayed(path: str, **expected: Any) -> None:
        answer = await client.http.post(path, json=expected)
        assert answer.status_code == 202, answer.text
        await _until(lambda: _has_ended(client, answer.json()["id"]))

    # By hand, from the log, and from dead letters, with the receiver up and down.
    answer = await client.http.post("/v1/deliveries/well/last/retry")
    assert answer.status_code == 202, answer.text
    await replayed("/v1/replays", webhook="well", from_seq=1)
    await replayed("/v1/dead-letters/replay", webhook="dead")
    await client.lifecycle_events(1, "webhook.recovered", "webhook.disabled", "webhook.failed")
    once = {"Idempotency-Key": "one"}
    answer = await client.http.post("/v1/tokens", json={"streams": ["work"]}, headers=once)
    assert answer.status_code == 201, answer.text
    answer = await client.http.post("/v1/deliveries/late/last/cancel")
    assert answer.status_code == 200, answer.text
    source = {"name": "gh", "type": "github", "secret_name": "missing"}
    answer = await client.http.post("/v1/sources", json=source)
    assert answer.status_code == 201, answer.text
    answer = await client.http.post("/v1/sources/gh", content=b"{}")
    assert answer.status_code == 401, answer.text


async def _has_ended(client: Client, replay: str) -> bool:
    return bool((await client.http.get(f"/v1/replays/{replay}")).json()["state"] != "running")


async def _described(redis: Redis, key: str) -> tuple[KeyFamily | None, str, int, dict[Any, Any]]:
    async with redis.pipeline(transaction=True) as pipe:
        pipe.type(key)
        pipe.pttl(key)
        kind, ttl = await pipe.execute()
    family = family_of(key)
    ends = family is not None and family.name in ("delivery", "replay")
    fields = await redis.hgetall(key) if ends and kind == "hash" else {}
    return family, kind, ttl, fields


def _longest(family: KeyFamily) -> float:
    """The longest time to live of a key of the family, in seconds."""
    config = Config()
    records = max(config.delivery.keep_records, config.ingest.retention)
    dead_letters = config.dead_letters.retention
    if family.ttl is not None:
        return family.ttl
    return {"recent": records, "responses": records, "responded": records,
            "delivery": records, "dead_letters_in_use": dead_letters,
            "found": config.ingest.retention + 2 * DAY,
            "used_dead_letters": dead_letters, "rate": 61.0}.get(family.name, 60.0)  # fmt: skip


async def _assert_declared(redis: Redis, key: str) -> str:
    family, kind, ttl, fields = await _described(redis, key)
    if kind == "none":
        return ""  # it has expired, or was deleted, meanwhile
    assert family is not None, f"{key} is of no family"
    assert kind == family.type, key
    expires = family.expiry is Expiry.ALWAYS
    if family.name == "delivery":
        expires = fields["status"] in FINAL
    elif family.name == "replay":
        expires = "ended_at" in fields
    else:
        assert family.expiry is not Expiry.ONCE_ENDED, key
    if expires:
        assert 0 < ttl <= _longest(family) * 1000, (key, ttl)
    else:
        assert ttl == -1, (key, ttl)
    return family.name


async def test_every_key_is_declared_and_a_deleted_webhook_leaves_only_declared_keys(
    running: Running, connect: Start, receiver: Receiver, redis: Redis
) -> None:
    client = await connect(running)
    async with client.websocket() as socket:
        mine = await socket.request(action="subscribe", stream="work", durable="reader")
        assert "subscription" in mine, mine
        await _everything(client, receiver)
        await _until(lambda: redis.exists("checkpoint"))
        await _until(lambda: redis.keys("expression:wrong:*"))
        await _until(lambda: redis.exists("position:inorder"))
        await _until(lambda: redis.exists("keys_used"))
        await _until(lambda: redis.exists("webhook_history:inorder"))
        await _until(lambda: redis.keys("source:gh:*"))
        seen = {await _assert_declared(redis, key) async for key in redis.scan_iter()}
    assert {family.name for family in FAMILIES} - seen <= FLEETING

    webhooks = ["well", "dead", "late", "shut", "throttled", "paused", "inorder", "wrong"]
    for webhook in webhooks:
        assert (await client.http.delete(f"/v1/webhooks/{webhook}")).status_code in (202, 204)
    left: list[str] = []

    async def gone() -> bool:
        left[:] = [item for webhook in webhooks for item in await _left(redis, webhook)]
        return not left

    try:
        await _until(gone)
    except TimeoutError:
        pytest.fail(f"left in Redis: {left}")
    for webhook in webhooks:
        for status in ("pending", "retrying", "in_progress", "failed"):
            keys = [key async for key in redis.scan_iter(f"delivery:{webhook}:*")]
            assert [key for key in keys if await redis.hget(key, "status") == status] == []
    assert {await _assert_declared(redis, key) async for key in redis.scan_iter()}


async def _left(redis: Redis, webhook: str) -> list[str]:
    """The keys of a deleted webhook that Redis still has and should not have."""
    left = []
    for family in FAMILIES:
        if "webhook" in family.placeholders:
            rest = ["*" for _ in family.placeholders[1:]]
            keys = [key async for key in redis.scan_iter(family.key(webhook, *rest))]
            stays = family.expiry is not Expiry.NEVER and family.at_deletion is Deletion.NONE
            left += [] if stays else keys
        elif family.at_deletion is not Deletion.NONE or family.name == "due":
            member: Any = {
                "hash": redis.hexists, "set": redis.sismember, "zset": redis.zscore,
            }[family.type]  # fmt: skip
            if await member(family.key(), webhook):
                left.append(f"{family.key()}: {webhook}")
    return left
