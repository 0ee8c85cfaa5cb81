"""Alerts of one process: what they do when a clock is set, or when the bucket is full."""

from collections.abc import Iterator
from typing import cast

import msgspec
import pytest

from event_gateway.broker.connection import Broker
from event_gateway.broker.failures import LogFull
from event_gateway.broker.peers import Peers
from event_gateway.broker.status_bucket import StatusBucket
from event_gateway.core.observability.alert import Alert
from event_gateway.core.observability.alert_rules import AlertSettings, Timing
from event_gateway.core.observability.attempt_history import AttemptHistory, TallyRow
from event_gateway.core.observability.steady_time import Elapsed, Waits
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.observability.alerts import evaluation, tally_exchange
from event_gateway.observability.alerts.announcing import AlertAnnouncing
from event_gateway.observability.alerts.book import AlertBook
from event_gateway.observability.alerts.evaluation import WRITES_AT_ONCE
from event_gateway.observability.alerts.readings import Readings
from event_gateway.observability.alerts.tally import AttemptTallies
from event_gateway.observability.announcements import Announcements
from event_gateway.state.queues import Queues

SETTINGS = AlertSettings(
    failures=3, timings={**AlertSettings().timings, "webhook_down": Timing(hold=60, keep=60)}
)
KEY = ("webhook_down", "crm")
WEBHOOKS = {"crm": Webhook(id="crm", url="https://a.example", events=("x.*",))}
HOUR = 3600.0


class _Process:
    """One process of a gateway. ``now`` is its wall clock, ``tick`` the other one."""

    def __init__(self, now: float, tick: float = 50.0) -> None:
        self.now, self.tick = now, tick
        self.history = AttemptHistory(SETTINGS.windows, tick)
        self.book = AlertBook(cast(StatusBucket, None))
        self._revision = 0
        readings = Readings(SETTINGS, self.history, cast(Queues, None), router_lag=lambda: 0.0)
        exchange = tally_exchange.TallyExchange(
            cast(Broker, None), "p", AttemptTallies(), self.history, settings=SETTINGS,
            known=WEBHOOKS, waiting=lambda: (),
        )  # fmt: skip
        self.evaluation = evaluation.AlertEvaluation(
            cast(Broker, None), cast(Peers, None), history=self.history, exchange=exchange,
            readings=readings, book=self.book,
            announcing=AlertAnnouncing(
                self.book, cast(Announcements, None), WEBHOOKS, runbooks=""
            ),
            webhooks=WEBHOOKS, limit_reached=lambda _: None,
        )  # fmt: skip

    def attempts(self, succeeded: int, failed: int) -> None:
        self.history.add(TallyRow("crm", succeeded, failed, failed, 0, "x"), self.tick, 15)

    def passes(self, seconds: float) -> None:
        self.now += seconds
        self.tick += seconds

    def stores(self, alert: Alert) -> None:
        """It hears what is stored."""
        self._revision += 1
        value = msgspec.json.encode(alert)
        self.book.apply("alert.webhook_down.crm", value, self._revision)

    def turn(self, *, leads: bool = True) -> Alert | None:
        """One turn; returns what is stored then."""
        self.history.expire(self.tick, 15)
        self.evaluation.note_turning(self.now, self.tick)
        if leads:
            for change in self.evaluation.changed(KEY, self.now, self.tick):
                assert change.alert is not None
                self.stores(change.alert)
        return self.book.alerts.get(KEY)


def _states(process: _Process, seconds: int) -> Iterator[str]:
    for _ in range(seconds // 5):
        process.passes(5)
        alert = process.turn()
        yield "-" if alert is None else alert.state


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
@pytest.mark.parametrize("after", [0, 5, 30])  # seconds after the beginning
def test_a_clock_that_is_set_neither_fires_an_alert_nor_delays_it(jump: float, after: int) -> None:
    process = _Process(now=1e9)
    process.attempts(0, 3)
    process.turn()
    states = [*_states(process, after)]
    process.now += jump
    states += _states(process, 60 - after)
    assert states == ["pending"] * 11 + ["firing"]
    firing = process.book.alerts[KEY]
    assert firing.fired_at is not None
    assert firing.fired_at >= firing.since
    # The same at its end.
    process.attempts(1, 0)
    process.passes(5)
    process.turn()
    states = [*_states(process, after)]
    process.now += jump
    states += _states(process, 60 - after)
    assert states == ["firing"] * 11 + ["resolved"]
    resolved = process.book.alerts[KEY]
    assert resolved.resolved_at is not None
    assert resolved.resolved_at >= firing.fired_at


@pytest.mark.parametrize("skew", [0.0, HOUR, -HOUR])
def test_the_next_leader_goes_on_whatever_its_clock_says(skew: float) -> None:
    leader, other = _Process(now=1e9), _Process(now=1e9 + skew, tick=9000)
    other.turn(leads=False)
    for process in (leader, other):
        process.attempts(0, 3)
    alert = leader.turn()
    assert alert is not None
    other.stores(alert)
    for _ in range(5):
        other.passes(5)
        other.turn(leads=False)
    states = list(_states(other, 60))
    assert states.index("firing") in (6, 7)  # 60 seconds, of which 25 or 20 have been seen


def test_a_process_that_starts_later_trusts_its_clock_once() -> None:
    def started(seconds: float) -> list[str]:
        process = _Process(now=1e9 + seconds)
        process.stores(Alert(*KEY, "pending", since=1e9))
        process.turn(leads=False)  # before it knows of any attempts
        process.attempts(0, 3)
        return list(_states(process, 60))

    assert started(40).index("firing") == 3
    assert started(-HOUR).index("firing") == 11  # not after an hour


def test_elapsed() -> None:
    elapsed = Elapsed()
    assert elapsed.since("a", 100, now=107, tick=1000) == 7
    assert elapsed.since("a", 100, now=9999, tick=1003) == 10
    assert elapsed.since("a", 105, now=107, tick=1003) == 2  # another beginning
    assert elapsed.since("b", 500, now=107, tick=1003) == 0  # in the future
    assert elapsed.since("c", 100, now=107, tick=1003, trusted=False) == 0
    elapsed.keep({"a"})
    assert elapsed.since("b", 500, now=600, tick=1010) == 100


def test_no_wait_grows_faster_than_time_passes() -> None:
    waits = Waits(least=2)
    assert waits.limited({"a": 5000, "b": 3}, 10) == {"a": 5000, "b": 3}
    assert waits.limited({"a": 5005, "b": 8, "c": 3600}, 15) == {"a": 5005, "b": 8, "c": 7}
    # The clock is set: forward, and back.
    assert waits.limited({"a": 8610, "b": 3613}, 20) == {"a": 5010, "b": 13}
    assert waits.limited({"a": 1410}, 25) == {"a": 1410}
    assert waits.limited({"b": 3623}, 30) == {"b": 7}


def test_ages_are_left_out_while_the_clock_was_set() -> None:
    tallies = AttemptTallies()
    now, tick, oldest = 1e9, 0.0, 1e9 - 10
    exchange = tally_exchange.TallyExchange(
        cast(Broker, None), "p", tallies, AttemptHistory(SETTINGS.windows, 0), settings=SETTINGS,
        known={}, waiting=lambda: [("ordered", oldest)],
    )  # fmt: skip

    def ages(age: float, passed: float, jump: float = 0.0) -> list[float]:
        nonlocal now, tick
        now += passed + jump
        tick += passed
        tallies.of("crm").success(age)
        return [row.age for row in exchange.rows(now, tick)]

    assert ages(3.0, 0) == [3.0, 10]
    assert ages(HOUR + 3, 16, jump=HOUR) == [0.0, 26]
    oldest = 1e9 + 10  # the next event, which came before the clock was set, is late by 10 s
    assert ages(HOUR + 3, 10) == [0.0]
    assert ages(4.0, 60) == [4.0, 60]


async def test_a_full_bucket_hinders_no_other_alert() -> None:
    class _Bucket:
        async def write(self, key: str, value: bytes, revision: int = 0) -> int:
            if "full" in key:
                raise LogFull("maximum bytes exceeded")
            return 1

    process = _Process(now=1e9)
    book = process.book = AlertBook(cast(StatusBucket, _Bucket()))
    process.evaluation._book = book
    webhooks = [*(f"full{number}" for number in range(WRITES_AT_ONCE + 1)), "crm"]
    changes = [
        evaluation.AlertChange(key=("webhook_down", webhook), alert=Alert("webhook_down", webhook,
                                                                          "firing", since=1e9))
        for webhook in webhooks
    ]  # fmt: skip
    await process.evaluation._store(changes)
    assert list(book.alerts) == [KEY]
