"""The history: what was counted, in steps of time, and where nothing is known."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from event_gateway.cli.process.serve import Running
from event_gateway.core.observability.history_points import GatewayPoint, WebhookPoint
from event_gateway.core.observability.history_spans import RINGS, WEBHOOK_RING, HistorySpan
from event_gateway.observability.history import recorder
from event_gateway.state import history
from event_gateway.state.history import HistoryStore
from support.client import Client, event
from support.narrow_callers import NarrowCallers
from support.patience import PATIENCE
from support.receiver import Receiver

ONCE = {"max_attempts": 1}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Points are written within a second. They are of 10 seconds all the same."""
    monkeypatch.setattr(recorder, "INTERVAL", 0.2)


@pytest.fixture
async def redis(gateway: Running) -> AsyncIterator[Redis]:
    async with Redis.from_url(gateway.redis_url) as client:
        yield client


async def _history(client: Client, path: str = "/v1/history", **query: Any) -> dict[str, Any]:
    answer = await client.http.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()  # type: ignore[no-any-return]


async def _until_total(client: Client, path: str = "/v1/history", **total: Any) -> dict[str, Any]:
    """Waits until the totals of the last hour are these: up to a step after they were counted."""
    shown: dict[str, Any] = {}
    try:
        async with asyncio.timeout(PATIENCE):
            while {name: shown.get("total", {}).get(name) for name in total} != total:
                await asyncio.sleep(0.1)
                shown = await _history(client, path)
    except TimeoutError:
        pytest.fail(f"not {total} but {shown.get('total')}")
    return shown


@pytest.mark.usefixtures("quick")
async def test_events_attempts_and_results_are_counted(
    gateway: Running, client: Client, receiver: Receiver, redis: Redis
) -> None:
    receiver.answers["/bad"] = [500]
    for name in ("good", "bad"):
        await client.webhook(
            id=name, url=f"{receiver.url}/{name}", events=["user.*"], retry_policy=ONCE
        )
    for number in range(3):
        await client.send(event("user.a", id=f"e{number}"))
    shown = await _until_total(
        client, received=3, rejected=0, succeeded=3, dead_letters=3, attempts=6, failed_attempts=3,
        success_rate=0.5,
    )  # fmt: skip
    assert shown["step_seconds"] == 10
    assert shown["webhooks"] is None
    series, covered = shown["series"], shown["covered_seconds"]
    assert {len(values) for values in series.values()} == {len(covered)} == {360}
    counted = [index for index, number in enumerate(series["attempts"]) if number]
    assert all(covered[index] == 10 for index in counted)
    assert all(series["latency_p95"][index] > 0 for index in counted)
    assert series["attempts"][0] is None
    assert covered[0] == 0  # nobody counted an hour ago
    assert series["consumer_lag"][counted[-1]] is not None

    good = await _until_total(client, "/v1/webhooks/good/history", succeeded=3, attempts=3)
    assert good["total"]["success_rate"] == 1.0
    assert good["step_seconds"] == 300
    bad = await _history(client, "/v1/webhooks/bad/history")
    assert (bad["total"]["dead_letters"], bad["total"]["latency_p50"]) == (3, None)
    assert bad["series"]["attempts"][0] is None
    lines = await _history(client, "/v1/history/webhooks", id=["bad", "none", "good"])
    assert [item["webhook_id"] for item in lines["items"]] == ["bad", "good"]
    assert [item["total"]["failed_attempts"] for item in lines["items"]] == [3, 0]
    assert {len(item["series"]["attempts"]) for item in lines["items"]} == {
        len(lines["covered_seconds"])
    }

    # Longer steps add up what the shorter ones have.
    minutes = await _history(client, step="1m")
    assert minutes["total"] == shown["total"] | {
        name: minutes["total"][name] for name in ("consumer_lag", "consumer_lag_seconds",
                                                  "subscribers", "waiting", "oldest_seconds")
    }  # fmt: skip

    await client.delete_webhook("good")
    async with asyncio.timeout(PATIENCE):
        while await redis.exists("webhook_history:good"):
            await asyncio.sleep(0.05)
    assert await redis.zscore("webhooks_with_history", "good") is None
    assert (await client.http.get("/v1/webhooks/good/history")).status_code in (404, 409)

    # What Redis loses is a gap, and no zero.
    await redis.flushall()
    gap = (await _history(client))["series"]["attempts"]
    assert all(gap[index] is None for index in counted[:-1])
    assert not any(gap[index] for index in counted)


@pytest.mark.usefixtures("quick")
async def test_a_narrowed_caller_gets_what_is_its_own(
    gateway: Running, client: Client, receiver: Receiver
) -> None:
    callers = NarrowCallers(gateway)
    async with callers.caller("webhooks:manage", namespaces=["acme"]) as caller:
        hook = {"url": f"{receiver.url}/own", "events": ["user.*"], "id": "own"}
        await caller.ask("POST", "/v1/webhooks", 201, json=hook)
        await client.webhook(id="other", url=f"{receiver.url}/other", events=["user.*"])
        await client.send(event("user.a", {"namespace": "acme"}, id="one"))
        await client.send(event("user.a", {"namespace": "beta"}, id="two"))
        await _until_total(client, received=2, succeeded=3)
        shown = await caller.ask("GET", "/v1/history")
        assert shown["webhooks"] == 1
        assert shown["complete"]
        assert (shown["total"]["succeeded"], shown["total"]["received"]) == (1, None)
        assert set(shown["series"]["consumer_lag"]) == {None}
        assert shown["step_seconds"] == 300
        await caller.ask("GET", "/v1/webhooks/other/history", 404)
        lines = await caller.ask("GET", "/v1/history/webhooks", params={"id": ["other", "own"]})
        assert [item["webhook_id"] for item in lines["items"]] == ["own"]


async def test_wrong_spans_are_refused_with_the_way_out(client: Client) -> None:
    for query, text in (
        ({"step": "7s"}, "multiple of 10s"),
        ({"step": "10s", "since": "2020-01-01T00:00:00Z"}, "multiple of 900s"),
        ({"since": "2100-01-01T00:00:00Z"}, "before until"),
        ({"steps": "1m"}, "did you mean"),
        ({"since": "yesterday"}, "RFC 3339"),
        ({"step": "soon"}, "step"),
    ):
        answer = await client.http.get("/v1/history", params=query)
        assert answer.status_code == 422, answer.text
        assert text in answer.text
    assert (await client.http.get("/v1/history/webhooks")).status_code == 422
    many = {"id": [f"w{number}" for number in range(101)]}
    assert (await client.http.get("/v1/history/webhooks", params=many)).status_code == 422


def _span(time: int, ring: int = 0, count: int = 1) -> HistorySpan:
    step = RINGS[ring].step
    return HistorySpan(time - time % step, step, count, RINGS[ring])


async def test_processes_add_to_the_same_points_once_each(redis: Redis) -> None:
    writer, other = HistoryStore(redis, "one"), HistoryStore(redis, "two")
    time = int(await writer.now()) // 900 * 900 - 900

    def point(at: int, received: int, subscribers: int, lag: int = -1) -> GatewayPoint:
        return GatewayPoint(at, received=received, subscribers=subscribers, lag=lag)

    def webhook(at: int, attempts: int) -> tuple[str, WebhookPoint]:
        return "w", WebhookPoint(at, attempts=attempts, latency=[1] * 16)

    for _ in range(2):  # its answer was lost
        await writer.write(1, [point(time, 5, 2, lag=9)], [webhook(time, 4)], incomplete=False)
    await other.write(1, [point(time, 3, 1)], [webhook(time, 2)], incomplete=False)
    await writer.write(2, [point(time + 10, 1, 1, lag=4)], [], incomplete=False)
    first, second = await writer.points(_span(time, count=2))
    assert (first.received, first.subscribers, first.lag, first.covered) == (8, 3, 9, 10)
    assert (second.received, second.subscribers, second.lag) == (1, 1, 4)
    for ring in (1, 2):
        [longer] = await writer.points(_span(time, ring))
        assert (longer.received, longer.subscribers, longer.lag) == (9, 3, 9)
        assert longer.covered == 20  # seconds, however many processes counted
    hour = HistorySpan(time - time % 3600, 300, 24, WEBHOOK_RING)
    stored = (await writer.webhooks(["w"], hour))["w"]
    assert stored.points[time].attempts == 6
    assert stored.points[time].latency == [2] * 16
    assert stored.begins == 0


async def test_a_clock_that_was_set_loses_no_later_points(redis: Redis) -> None:
    store = HistoryStore(redis, "one")
    now = int(await store.now()) // 10 * 10
    ahead, late = now + 86400, now - RINGS[0].seconds
    await store.write(1, [GatewayPoint(ahead, received=7)], [], incomplete=False)
    # The place of a point in the future is taken by a present one, that of a present one is not
    # taken by one from long ago.
    assert ahead // 10 % 360 == now // 10 % 360 == late // 10 % 360
    await store.write(2, [GatewayPoint(now, received=2)], [], incomplete=False)
    await store.write(3, [GatewayPoint(late, received=5)], [], incomplete=False)
    [point] = await store.points(_span(now))
    assert point.received == 2
    assert await store.points(_span(ahead)) == await store.points(_span(late)) == []


async def test_the_webhooks_with_the_latest_attempts_have_a_history(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MAX_WEBHOOKS", 2)
    store = HistoryStore(redis, "one")
    time = int(await store.now()) // 300 * 300

    async def write(number: int, webhook: str, at: int) -> None:
        point = WebhookPoint(at, attempts=1)
        await store.write(number, [], [(webhook, point)], incomplete=False)

    day = HistorySpan(time - 86400, 300, 289, WEBHOOK_RING)

    async def shown() -> dict[str, tuple[int, float | None]]:
        rings = await store.webhooks(["old", "a", "b", "c"], day)
        return {name: (len(ring.points), ring.begins) for name, ring in rings.items()}

    await write(1, "old", time - 7200)
    await write(2, "a", time - 300)
    assert await shown() == {"old": (1, 0), "a": (1, 0), "b": (0, 0), "c": (0, 0)}
    await write(3, "b", time)  # in the place of the one without attempts for an hour
    await write(4, "c", time)  # no place
    unknown = (0, None)
    assert await shown() == {"old": unknown, "a": (1, 0), "b": (1, time), "c": unknown}


async def test_a_renamed_webhook_takes_its_history_along(
    client: Client, redis: Redis, receiver: Receiver
) -> None:
    store = HistoryStore(redis, "one")
    time = int(await store.now()) // 3600 * 3600 - 3600
    hook = {"url": f"{receiver.url}/w", "events": ["user.*"]}
    await client.webhook(id="former", **hook)
    await store.write(1, [], [("former", WebhookPoint(time, attempts=3))], incomplete=False)
    await client.webhook(id="new", renamed_from="former", **hook)
    await store.write(2, [], [("new", WebhookPoint(time, attempts=1))], incomplete=False)
    async with asyncio.timeout(PATIENCE):
        while await redis.exists("webhook_history:former"):
            await asyncio.sleep(0.05)
    ring = (await store.webhooks(["new"], HistorySpan(time, 300, 12, WEBHOOK_RING)))["new"]
    assert ring.points[time].attempts == 4
    assert await redis.zscore("webhooks_with_history", "new") == time
