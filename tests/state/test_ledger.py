"""The ledger on a real Valkey: what it writes, refuses, takes and looks up."""

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import pytest
import uvloop
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from event_gateway.core.cloudevents.event import Event, Received
from event_gateway.core.errors import ServerRefused
from event_gateway.core.webhook.delivery import Attempt, Delivery, Status
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.state import ledger as ledger_module
from event_gateway.state import pending_changes as pending_module
from event_gateway.state.connection import connect
from event_gateway.state.ledger import Ledger
from event_gateway.state.pending_changes import CALL_RECORDS
from event_gateway.state.queues import Queues
from event_gateway.state.reported_lanes import LaneReports
from event_gateway.state.script_arguments import LeaseRequest
from event_gateway.state.scripts import parts
from event_gateway.tasks import Supervisor
from support.answer_loss import AnswerLoss, losing_answers
from support.patience import PATIENCE

pytestmark = pytest.mark.shared

REQUEST = LeaseRequest("w", 5, 10_000, 20_000)
WEBHOOK = Webhook("w", "http://x", ("a.*",))


@pytest.fixture
async def ledger(redis: Redis) -> AsyncIterator[Ledger]:
    result = Ledger(redis, 60.0, LaneReports(), Supervisor())
    await result.start()
    yield result
    await result.stop()


@pytest.fixture
def queues(redis: Redis, ledger: Ledger) -> Queues:
    return Queues(redis, ledger, count_cancelled=lambda webhook_id, count: None)


def delivery(ledger: Ledger, event_id: str = "e", seq: int = 1, source: str = "s") -> Delivery:
    return Delivery("w", event_id, source, "LOG", seq, ledger.token())


def _event(event_id: str, source: str, seq: int, at: float = 1e9) -> Received:
    return Received(Event(event_id, source, "t"), "LOG", seq, at)


async def written(ledger: Ledger) -> None:
    async with asyncio.timeout(PATIENCE):
        while ledger.unconfirmed:
            await asyncio.sleep(0.001)


async def test_a_delivery_that_succeeds_at_once_is_one_write(ledger: Ledger, redis: Redis) -> None:
    first, called = delivery(ledger), []
    await redis.config_resetstat()
    ledger.submit(first, Status.IN_PROGRESS, wait=25, fresh=True, recorded=lambda: called.append(1))
    first.attempts = [Attempt(1, "2026-01-01T00:00:00Z", 5, 200)]
    ledger.submit(first, Status.SUCCEEDED, wait=None)
    assert not called
    await written(ledger)
    assert called == [1]
    scripts = await redis.info("commandstats")
    calls = [scripts.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("evalsha", "eval")]
    assert sum(calls) - scripts.get("cmdstat_script|load", {}).get("calls", 0) == 1
    record = await ledger.read("w", "e", None)
    assert record is not None
    assert (record.status, record.seq, record.attempts) == (Status.SUCCEEDED, 1, first.attempts)
    assert await redis.zcard("queue:w") == await redis.zcard("due") == 0
    assert 0 < await redis.ttl("delivery:w:e") <= 7 * 86400
    assert ledger.highest_recorded("LOG") == int(await redis.hget("high", "LOG") or 0) == 1


async def test_the_start_of_an_attempt_is_written_after_a_while(
    ledger: Ledger, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless the attempt ends before, which is written at once."""
    monkeypatch.setattr(pending_module, "HOLD", 10 * PATIENCE)
    ends, lasts = delivery(ledger, "ends"), delivery(ledger, "lasts", 2)
    heard: list[str] = []
    for started in (ends, lasts):
        ledger.submit(
            started, Status.IN_PROGRESS, wait=25, fresh=True,
            recorded=functools.partial(heard.append, started.event_id),
        )  # fmt: skip
    ends.attempts = [Attempt(1, "2026-01-01T00:00:00Z", 5, 500, "ServerError")]
    ledger.submit(ends, Status.RETRYING, wait=60, succeeded=False)
    async with asyncio.timeout(PATIENCE):
        while heard != ["ends"]:
            await asyncio.sleep(0.001)
    assert await redis.hget("delivery:w:ends", "status") == b"retrying"
    assert await redis.exists("delivery:w:lasts") == 0
    assert ledger.unconfirmed == 1
    assert ledger.call_once_written("w", Event("lasts", "s", "t"), lambda: heard.append("again"))

    lasts.attempts = [Attempt(1, "2026-01-01T00:00:00Z", 5, 200)]
    ledger.submit(lasts, Status.SUCCEEDED, wait=None, succeeded=True)
    await written(ledger)
    assert heard == ["ends", "lasts", "again"]
    assert not ledger.call_once_written("w", Event("lasts", "s", "t"), heard.clear)


async def test_the_start_of_an_attempt_that_goes_on_is_written(
    ledger: Ledger, redis: Redis
) -> None:
    for number in range(3):
        started = delivery(ledger, f"e{number}", number + 1)
        ledger.submit(started, Status.IN_PROGRESS, wait=25, fresh=True)
    await written(ledger)
    for number in range(3):
        assert await redis.hget(f"delivery:w:e{number}", "status") == b"in_progress"
    assert await redis.zcard("queue:w") == 3


async def test_a_change_comes_while_the_time_of_another_has_come(
    servers: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the loop that the gateway runs on, which has another kind of timer for that."""
    monkeypatch.setattr(pending_module, "HOLD", 0.0001)

    async def on_uvloop() -> None:
        client = await connect(servers[1])
        ledger = Ledger(client, 60.0, LaneReports(), Supervisor())
        await ledger.start()
        for number in range(100):
            started, ended = (delivery(ledger, f"{number}{kind}", number) for kind in "ab")
            ledger.submit(started, Status.IN_PROGRESS, wait=25, fresh=True)
            ledger.submit(ended, Status.SUCCEEDED, wait=None, fresh=True, succeeded=True)
            await asyncio.sleep(0.0005)
        await written(ledger)
        await ledger.stop()
        await client.aclose()

    await asyncio.to_thread(uvloop.run, on_uvloop())


async def test_a_delivery_that_is_not_final_is_queued_and_never_expires(
    ledger: Ledger, queues: Queues, redis: Redis
) -> None:
    ledger.submit(delivery(ledger), Status.RETRYING, wait=3, fresh=True)
    await written(ledger)
    assert await redis.zcard("queue:w") == 1
    assert await redis.ttl("delivery:w:e") == -1
    assert await queues.due(0, 10) == []
    due, after, seen, all_due = await queues.due_since(0, 10)
    assert (due, all_due) == ([], 0)
    assert after is not None
    assert 0 < after <= 3
    assert await queues.take([REQUEST]) == []
    async with asyncio.timeout(PATIENCE):
        while not (due := await queues.due(0, 10)):
            await asyncio.sleep(0.05)
    assert due == ["w"]
    due, after, seen, all_due = await queues.due_since(seen, 10)
    assert (due, after, all_due) == (["w"], None, 1)
    due, after, later, all_due = await queues.due_since(seen + 1, 10)
    assert (due, after, all_due) == ([], None, 1)
    assert seen <= later <= seen + 1000 * PATIENCE
    (result,) = await queues.take([REQUEST])
    assert (result.event_id, result.seq, result.probe) == ("e", 1, False)
    # It is under a lease now: no other process gets it.
    assert await queues.take([REQUEST]) == []
    assert await queues.due(0, 10) == []


async def test_a_process_that_lost_its_lease_can_only_record_success(
    ledger: Ledger, queues: Queues
) -> None:
    old = delivery(ledger)
    ledger.submit(old, Status.IN_PROGRESS, wait=0.0, fresh=True)
    await written(ledger)
    await asyncio.sleep(0.005)
    (result,) = await queues.take([REQUEST])
    ledger.submit(old, Status.RETRYING, wait=60)
    await written(ledger)
    record = await ledger.read("w", "e", None)
    assert record is not None
    assert record.status is Status.IN_PROGRESS
    ledger.submit(old, Status.SUCCEEDED, wait=None)
    await written(ledger)
    ledger.submit(result, Status.RETRYING, wait=1)
    await written(ledger)
    record = await ledger.read("w", "e", None)
    assert record is not None
    assert record.status is Status.SUCCEEDED, "a final state was left"


async def test_the_same_id_of_two_sources_is_two_deliveries(
    ledger: Ledger, queues: Queues, redis: Redis
) -> None:
    ledger.submit(delivery(ledger, source="a"), Status.SUCCEEDED, wait=None, fresh=True)
    ledger.submit(delivery(ledger, seq=2, source="b"), Status.PENDING, wait=0, fresh=True)
    await written(ledger)
    first, other = await ledger.read("w", "e", "a"), await ledger.read("w", "e", "b")
    assert first is not None
    assert other is not None
    assert (first.status, other.status) == (Status.SUCCEEDED, Status.PENDING)
    assert await ledger.read("w", "e", "c") is None
    await asyncio.sleep(0.005)
    (result,) = await queues.take([REQUEST])
    assert (result.event_id, result.source) == ("e", "b")
    known = [_event("e", "a", 1), _event("e", "b", 2), _event("e", "b", 3), _event("f", "a", 1)]
    assert await ledger.known([(WEBHOOK, each) for each in known]) == [True, True, False, False]


async def test_an_event_published_again_is_known_for_a_while(ledger: Ledger, redis: Redis) -> None:
    """By its source and id, whatever its sequence; but not if its record is of another run."""
    first = delivery(ledger)
    first.event_at = 1_000_000.0
    ledger.submit(first, Status.SUCCEEDED, wait=None, fresh=True)
    await written(ledger)
    again = [_event("e", "s", 2, 1_000_000.0 + seconds) for seconds in (-1.0, 0.0, 119.9, 120.1)]
    looked_up = [(WEBHOOK, each) for each in again]
    assert await ledger.known(looked_up) == [False, True, True, False]
    # A webhook of the same id that was registered later did not get the first one.
    later = Webhook("w", "http://x", ("a.*",), since_in={"LOG": 1})
    assert await ledger.known([(later, each) for each in again]) == [False] * 4
    await redis.hset("delivery:w:e", "repeats", "replay")
    assert await ledger.known(looked_up) == [False] * 4


async def test_an_event_published_again_later_is_another_run(ledger: Ledger) -> None:
    ledger.submit(delivery(ledger), Status.SUCCEEDED, wait=None, fresh=True)
    await written(ledger)
    again = delivery(ledger, seq=2)
    for status, wait in ((Status.IN_PROGRESS, 25), (Status.RETRYING, 5), (Status.SUCCEEDED, None)):
        ledger.submit(again, status, wait=wait, fresh=status is Status.IN_PROGRESS)
        await written(ledger)
        record = await ledger.read("w", "e", None)
        assert record is not None
        assert (record.status, record.run, record.seq) == (status, 2, 2)


async def test_a_success_after_the_cancellation_is_counted_once(
    ledger: Ledger, queues: Queues
) -> None:
    running, waiting = delivery(ledger), delivery(ledger, "other", 2)
    ledger.submit(running, Status.IN_PROGRESS, wait=25, fresh=True)
    ledger.submit(waiting, Status.RETRYING, wait=60, fresh=True)
    await written(ledger)
    assert await queues.cancel("w", "discarded") == 0
    assert (await queues.state(WEBHOOK)).total.cancelled == 2
    ledger.submit(running, Status.SUCCEEDED, wait=None, succeeded=True)
    await written(ledger)
    record = await ledger.read("w", "e", None)
    assert record is not None
    assert record.status == Status.SUCCEEDED
    state = await queues.state(WEBHOOK)
    for counts in (state.total, state.day):
        assert (counts.cancelled, counts.attempts, counts.succeeded) == (1, 1, 1)


async def test_the_oldest_event_of_a_queue(ledger: Ledger, queues: Queues) -> None:
    assert (await queues.state(WEBHOOK)).oldest is None
    # The oldest has failed most often: its next attempt is the last of all.
    for number in range(250):
        each = delivery(ledger, f"e{number}", number + 1)
        each.event_at = 1_700_000_000.5 - number
        ledger.submit(each, Status.RETRYING, wait=60 + number, fresh=True)
    await written(ledger)
    assert (await queues.state(WEBHOOK)).oldest == 1_700_000_000.5 - 249
    figures, empty = await queues.figures(["w", "other"], 1)
    age = time.time() - (1_700_000_000.5 - 249)
    # Each waits for a retry that is planned: none is due.
    assert (figures.depth, round((figures.oldest - age) / 60), figures.lag) == (250, 0, 0.0)
    assert empty == (0, 0.0, 0.0, "closed")


async def test_how_long_deliveries_have_been_due(
    ledger: Ledger, queues: Queues, redis: Redis
) -> None:
    """Of one that was not attempted yet since its event came, of a retry since its time."""
    planned, waiting = delivery(ledger, "planned", 1), delivery(ledger, "waiting", 2)
    planned.event_at = waiting.event_at = time.time() - 100
    ledger.submit(planned, Status.RETRYING, wait=3600, fresh=True)
    await written(ledger)
    assert ((await queues.figures(["w"], 1))[0].lag, (await queues.late(0, 9, 2.0))[0]) == (0, {})
    ledger.submit(waiting, Status.PENDING, wait=0, fresh=True)
    await written(ledger)
    (figures,) = await queues.figures(["w"], 1)
    late, more = await queues.late(0, 9, 2.0)
    assert (round(figures.lag / 60), round(late["w"] / 60), more) == (2, 2, False)
    assert (await queues.late(0, 9, 1e4))[0] == {}
    await redis.sadd("paused", "w")
    assert (await queues.figures(["w"], 1))[0].lag == 0


async def test_cancelling_a_queue_in_chunks(ledger: Ledger, queues: Queues, redis: Redis) -> None:
    for number in range(7):
        ledger.submit(delivery(ledger, f"e{number}"), Status.RETRYING, wait=60, fresh=True)
    await written(ledger)
    assert [each.depth for each in await queues.figures(["w"], 1)] == [7]
    assert [await queues.cancel("w", "gone", 3) for _ in range(3)] == [4, 1, 0]
    record = await ledger.read("w", "e3", None)
    assert record is not None
    assert (record.status, record.last_error) == (Status.CANCELLED, "gone")
    assert await redis.zcard("due") == 0


async def test_a_server_that_evicts_is_refused(redis: Redis, servers: tuple[str, str]) -> None:
    await redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(ServerRefused, match="noeviction"):
            await connect(servers[1])
    finally:
        await redis.config_set("maxmemory-policy", "noeviction")


async def test_a_new_lease_is_not_overwritten_by_the_previous_process(
    ledger: Ledger, redis: Redis
) -> None:
    former, newer = delivery(ledger), delivery(ledger)  # the same event, a token each
    ledger.submit(newer, Status.IN_PROGRESS, wait=10.0, fresh=True)
    await written(ledger)
    heard = []
    ledger.submit(newer, Status.SUCCEEDED, wait=None, succeeded=True)
    ledger.submit(former, Status.PENDING, wait=0.0, recorded=lambda: heard.append(True))
    await written(ledger)
    record = await ledger.read("w", "e", None)
    assert record is not None
    assert (record.status, heard) == (Status.SUCCEEDED, [True])


@contextlib.asynccontextmanager
async def _losing_answers(url: str) -> AsyncIterator[tuple[AnswerLoss, Ledger]]:
    """A ledger whose Redis loses answers when it is told to."""
    async with losing_answers(url) as (relay, client):
        through = Ledger(client, 60.0, LaneReports(), Supervisor())
        try:
            await through.start()
            yield relay, through
        finally:
            await through.stop()


async def test_a_write_whose_answer_was_lost_is_done_once(
    ledger: Ledger, redis: Redis, servers: tuple[str, str]
) -> None:
    """Redis has written and counted; the gateway does not know, and sends the same write again."""
    async with _losing_answers(servers[1]) as (relay, through):
        tried, first_answer_lost = delivery(through), []
        through.submit(tried, Status.IN_PROGRESS, wait=25, fresh=True)
        await written(through)
        relay.to_lose = 2
        tried.attempts = [Attempt(1, "2026-01-01T00:00:00Z", 5, 500, "ServerError")]
        through.submit(
            tried, Status.FAILED, wait=10, succeeded=False, written=first_answer_lost.append
        )
        async with asyncio.timeout(PATIENCE):
            while relay.lost < 2:
                await asyncio.sleep(0.001)
        assert not through.reachable
        # A former primary may confirm what is being written.
        assert not through.call_once_written("w", Event("e", "s", "t"), first_answer_lost.clear)
        # What comes meanwhile is written after it, and wins.
        tried.attempts = [*tried.attempts, Attempt(2, "2026-01-01T00:00:01Z", 5, 200)]
        through.submit(tried, Status.SUCCEEDED, wait=None, succeeded=True)
        await written(through)
        counts = await redis.hgetall("stats:w")
        assert (counts[b"attempts"], counts[b"succeeded"]) == (b"2", b"1")
        assert counts[b"delivered"] == b"1"
        record = await ledger.read("w", "e", "s")
        assert record is not None
        assert (record.status, len(record.attempts)) == (Status.SUCCEEDED, 2)
        assert relay.lost == 2


async def test_a_refused_change_is_refused_again_when_the_answer_was_lost(
    ledger: Ledger, redis: Redis, servers: tuple[str, str]
) -> None:
    async with _losing_answers(servers[1]) as (relay, through):
        ours = delivery(ledger)
        ledger.submit(ours, Status.IN_PROGRESS, wait=25, fresh=True)
        await written(ledger)
        answers: list[bool] = []
        late, other = delivery(through), delivery(through, "other")
        relay.to_lose = 1
        through.submit(other, Status.FAILED, wait=10, fresh=True, written=answers.append)
        through.submit(late, Status.FAILED, wait=10, written=answers.append)
        await written(through)
        assert (answers, relay.lost) == ([True, False], 1)


async def test_a_final_record_has_no_token_and_refuses_what_its_lease_writes_later(
    ledger: Ledger, redis: Redis
) -> None:
    at_once, leased = delivery(ledger, "at once"), delivery(ledger, "leased")
    ledger.submit(at_once, Status.SUCCEEDED, wait=None, succeeded=True, fresh=True)
    ledger.submit(leased, Status.RETRYING, wait=25, fresh=True)
    await written(ledger)
    assert await redis.hget("delivery:w:leased", "token") == leased.token.encode()
    ledger.submit(leased, Status.SUCCEEDED, wait=None, succeeded=True)
    await written(ledger)
    answers: list[bool] = []
    for late in (at_once, leased):
        assert await redis.hget(f"delivery:w:{late.event_id}", "token") == b""
        ledger.submit(late, Status.PENDING, wait=0, written=answers.append)
    await written(ledger)
    assert answers == [False, False]
    assert await redis.exists("queue:w") == 0


@pytest.mark.parametrize("passed", [0, 1, 2, 3])
async def test_a_batch_whose_calls_were_done_in_part_is_done_once(
    ledger: Ledger, redis: Redis, servers: tuple[str, str], passed: int
) -> None:
    """A batch of four calls. The connection is lost when some have been passed on."""
    async with _losing_answers(servers[1]) as (relay, through):
        answers: dict[int, bool] = {}
        leased = [5, 70, 110]  # by another process, to which these changes are refused
        for number in leased:
            ledger.submit(delivery(ledger, f"e{number}"), Status.IN_PROGRESS, wait=25, fresh=True)
        await written(ledger)
        relay.passes = passed
        for number in range(112):
            ours = delivery(through, f"e{number}", seq=number + 1)
            ours.attempts = [Attempt(1, "2026-01-01T00:00:00Z", 5, 500, "ServerError")]
            through.submit(
                ours, Status.FAILED, wait=10, fresh=number not in leased, succeeded=False,
                written=functools.partial(answers.__setitem__, number),
            )  # fmt: skip
        through.change_lane("w", "open", 30)
        await written(through)
        assert relay.passes is None
        assert [number for number, was_written in answers.items() if not was_written] == leased
        assert len(answers) == 112
        counts = await redis.hgetall("stats:w")
        assert counts[b"attempts"] == b"112"
        assert await redis.zcard("queue:w") == 112
        assert await redis.hget("breaker:w", "state") == b"open"


async def test_a_call_whose_predecessor_was_not_done_writes_nothing(
    ledger: Ledger, redis: Redis
) -> None:
    """It would stand for the one before it when the batch is sent again."""
    for number in range(40):
        ledger.submit(delivery(ledger, f"e{number}"), Status.PENDING, wait=0, fresh=True)
    batch = ledger._pending.take(256)
    first, second = ledger._arguments(batch)
    with pytest.raises(ResponseError, match="GAP"):
        await ledger._write([second])
    assert await redis.exists("queue:w") == 0
    await ledger._write([first, second])
    assert await redis.zcard("queue:w") == 40


async def test_a_batch_for_many_webhooks_is_one_round_trip_of_several_calls(
    ledger: Ledger, redis: Redis
) -> None:
    await redis.script_flush()  # as if another server had taken over
    await redis.config_resetstat()
    for number in range(200):
        of_webhook = Delivery(f"w{number}", "e", "s", "LOG", number, ledger.token())
        ledger.submit(of_webhook, Status.PENDING, wait=0, fresh=True)
    await written(ledger)
    assert await redis.zcard("due") == 200
    calls = (await redis.info("commandstats"))["cmdstat_evalsha"]
    assert (calls["calls"], calls["failed_calls"] + calls["rejected_calls"]) == (14, 7)


async def test_the_timestamp_of_a_record_is_iso_8601(ledger: Ledger, redis: Redis) -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    ledger.submit(delivery(ledger), Status.PENDING, wait=25, fresh=True)
    await written(ledger)
    raw = await redis.hget("delivery:w:e", "timestamp")
    assert isinstance(raw, bytes)
    assert before <= datetime.fromisoformat(raw.decode()) <= datetime.now(UTC)
    assert raw.endswith(b"Z")
    assert await redis.hget("delivery:w:e", "v") == b"3"
    record = await ledger.read("w", "e", "s")
    assert record is not None
    assert record.updated_at == pytest.approx(time.time(), abs=PATIENCE)
    # Records of the formats before it have milliseconds.
    await redis.hset("delivery:w:e", mapping={"v": 2, "timestamp": 1_767_225_600_250})
    record = await ledger.read("w", "e", "s")
    assert record is not None
    assert record.updated_at == 1_767_225_600.25


@pytest.mark.parametrize(
    "text",
    ["1970-01-01T00:00:00.000Z", "2000-02-29T23:59:59.999Z", "2023-12-31T23:59:59.999Z",
     "2024-01-01T00:00:00.000Z", "2024-02-29T12:00:00.001Z", "2024-03-01T00:00:00.000Z",
     "2026-11-28T17:36:00.123Z", "2099-12-31T10:20:30.456Z", "2100-03-01T00:00:00.000Z"],
)  # fmt: skip
async def test_times_as_text(redis: Redis, text: str) -> None:
    shared = next(text for name, text in parts("ledger/write.lua") if "timestamp" in name)
    milliseconds = round(datetime.fromisoformat(text).timestamp() * 1000)
    asked = redis.register_script(f"{shared}\nreturn iso8601(tonumber(ARGV[1]))")
    assert (await asked(args=[milliseconds])).decode() == text


async def test_what_is_pending_is_written_at_once_when_nothing_follows(
    redis: Redis, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "GATHER", 10 * PATIENCE)  # else it would wait for more
    monkeypatch.setattr(ledger_module, "QUIET", 0.0)
    ledger.submit(delivery(ledger), Status.SUCCEEDED, wait=None, fresh=True, succeeded=True)
    await asyncio.sleep(0.01)
    assert ledger.unconfirmed == 1
    ledger.nothing_follows()
    await written(ledger)
    assert await redis.hget("delivery:w:e", "status") == b"succeeded"


async def test_with_a_write_a_moment_ago_changes_gather_all_the_same(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "GATHER", 0.05)
    monkeypatch.setattr(ledger_module, "QUIET", 10 * PATIENCE)
    heard: list[str] = []
    for event_id in ("a", "b"):
        ledger.submit(
            delivery(ledger, event_id), Status.SUCCEEDED, wait=None, fresh=True,
            recorded=functools.partial(heard.append, event_id),
        )  # fmt: skip
        ledger.nothing_follows()
        await asyncio.sleep(0)
        assert heard == []
    await written(ledger)
    assert heard == ["a", "b"]


async def test_successes_that_nothing_waits_for_share_a_write(
    redis: Redis, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "SHARED", 10 * PATIENCE)
    monkeypatch.setattr(ledger_module, "QUIET", 0.0)

    async def end_two() -> None:
        for event_id in ("a", "b"):
            ledger.submit(
                delivery(ledger, event_id), Status.SUCCEEDED, wait=None, fresh=True, patient=True
            )
            ledger.nothing_follows()
        await asyncio.sleep(0.01)
        assert ledger.unconfirmed == 2

    await end_two()
    ledger.change_lane("w", "pause")
    await written(ledger)
    await end_two()
    ledger.submit(delivery(ledger, "c"), Status.PENDING, wait=0.0, fresh=True)
    await written(ledger)
    await end_two()
    monkeypatch.setattr(ledger_module, "SHARED", 0.0)  # the last write is long ago by that
    ledger.nothing_follows()
    await written(ledger)


async def test_successes_wait_for_others_for_a_moment_only(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "GATHER", 10 * PATIENCE)
    monkeypatch.setattr(ledger_module, "SHARED", 0.05)
    ledger.submit(
        delivery(ledger), Status.SUCCEEDED, wait=None, fresh=True, succeeded=True, patient=True
    )
    ledger.nothing_follows()
    await written(ledger)


def _end(ledger: Ledger, *event_ids: str) -> None:
    for event_id in event_ids:
        ledger.submit(
            delivery(ledger, event_id), Status.SUCCEEDED, wait=None, fresh=True, patient=True
        )


async def test_successes_share_a_write_while_other_attempts_run(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody says then that nothing follows."""
    monkeypatch.setattr(ledger_module, "SHARED", 10 * PATIENCE)
    urgent_changes: list[Callable[[], None]] = [
        lambda: ledger.submit(delivery(ledger, "u"), Status.PENDING, wait=0.0, fresh=True),
        lambda: ledger.change_lane("w", "pause"),
        lambda: _end(ledger, *(str(number) for number in range(CALL_RECORDS - 2))),
    ]
    for urgent in urgent_changes:
        _end(ledger, "a")
        await asyncio.sleep(0.01)
        _end(ledger, "b")
        await asyncio.sleep(0.01)
        assert ledger.unconfirmed == 2
        urgent()
        await written(ledger)


async def test_where_many_events_come_successes_do_not_wait_for_more(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "SHARED", 10 * PATIENCE)
    _end(ledger, *(str(number) for number in range(CALL_RECORDS + 1)))
    await written(ledger)
    _end(ledger, "a")
    await written(ledger)
