"""The four alerts: when their conditions hold, and what readings make of an alert."""

import itertools
import random
from typing import cast

import pytest
from msgspec.structs import replace

from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.observability.alert import KEPT, MAX_PAST, Alert, is_outdated, resolve
from event_gateway.core.observability.alert import step as step_of
from event_gateway.core.observability.alert_rules import (
    CLEAR,
    NAMES,
    UNKNOWN,
    AlertSettings,
    Reading,
    Timing,
    breaker_open,
    error_rate,
    lag,
    most_webhooks,
    webhook_down,
)
from event_gateway.core.observability.attempt_history import (
    MAX_WEBHOOKS,
    AttemptHistory,
    AttemptWindow,
    Count,
    Streak,
    TallyRow,
)
from event_gateway.core.observability.silence import Silence, check_silence, silence_of
from event_gateway.core.webhook.webhook import Disabled, Webhook
from event_gateway.observability.alerts.announcing import received_about_alerts
from event_gateway.observability.alerts.readings import Readings
from event_gateway.state.queues import Queues

SETTINGS = AlertSettings()
KEY = ("webhook_down", "crm")
HOLDS = Reading(True, 20, 20, "20 attempts in a row failed")


def row(webhook: str, succeeded: int, failed: int, trailing: int = 0, age: float = 0) -> TallyRow:
    return TallyRow(webhook, succeeded, failed, trailing or failed, age, "ServerError")


def test_window_counts_what_is_in_it() -> None:
    """Held against the naive answer, with random tallies."""
    random_tallies = random.Random(5)
    window, seconds = AttemptWindow(50, 0), 50
    given: list[tuple[float, TallyRow]] = []
    for now in range(400):
        for _ in range(random_tallies.randrange(3)):
            tally = row(random_tallies.choice("abc"), *random_tallies.choices(range(9), k=2))
            given.append((now, tally))
            window.add(tally, now)
        window.expire(now)
        # A slot is a tenth of the window, and leaves it as a whole.
        least = [tally for at, tally in given if now - at < seconds - seconds / 10]
        most = [tally for at, tally in given if now - at < seconds]
        for webhook in "abc":
            count = window.counts.get(webhook, Count())
            for field in ("succeeded", "failed"):
                counted = getattr(count, field)
                low, high = (
                    sum(getattr(tally, field) for tally in within if tally.webhook == webhook)
                    for within in (least, most)
                )
                assert low <= counted <= high
        assert window.total.attempts == sum(count.attempts for count in window.counts.values())
    window.expire(1000)
    assert (window.counts, window.total.attempts) == ({}, 0)


def test_history_is_bounded() -> None:
    history = AttemptHistory((300.0,), 0)
    for number in range(MAX_WEBHOOKS + 50):
        history.add(row(f"w{number}", 0, 1, age=1), 1, 15)
    window = history.windows[300.0]
    assert len(window.counts) == len(history.streaks) == MAX_WEBHOOKS
    assert window.total.failed == MAX_WEBHOOKS + 50  # over all, every attempt counts
    history.add(row("w1", 1, 0), 2, 15)
    history.expire(400, 15)
    assert not window.counts
    assert history.age("w2", 400, 15) == 0
    assert "w1" not in history.streaks


def test_what_is_deleted_is_forgotten() -> None:
    history = AttemptHistory((300.0,), 0)
    for webhook in ("crm", "gone"):
        history.add(row(webhook, 0, 3), 1, 15)
    history.forget_others({"crm"})
    assert history.streaks.keys() == history.take_changed() == {"crm"}


def test_failures_in_a_row_over_all_processes() -> None:
    history = AttemptHistory((300.0,), 0)
    history.add(row("crm", 0, 7), 10, 15)
    history.add(row("crm", 0, 6), 11, 15)
    assert history.streaks["crm"] == Streak(13, 10, "ServerError")
    history.add(TallyRow("crm", 1, 5, 2, 0.5, "TlsError"), 12, 15)
    assert history.streaks["crm"] == Streak(2, 12, "TlsError")
    history.add(row("crm", 3, 0), 13, 15)
    assert "crm" not in history.streaks
    assert history.take_changed() == {"crm"}
    assert history.take_changed() == set()


def test_age_is_the_greatest_of_late() -> None:
    history = AttemptHistory((300.0,), 0)
    history.add(row("crm", 1, 0, age=40), 10, 15)
    history.add(row("crm", 1, 0, age=3), 12, 15)
    assert history.age("crm", 20, 15) == 40
    history.add(row("crm", 1, 0, age=2), 30, 15)
    assert history.age("crm", 31, 15) == 2
    assert history.age("other", 31, 15) == 0


@pytest.mark.parametrize(
    ("count", "complete", "holds"),
    [
        (Count(19, 1), True, False),  # 5%, and not over 5%
        (Count(18, 2), False, True),
        (Count(0, 19), True, False),  # fewer than 20 attempts
        (Count(0, 19), False, None),  # there may have been more before the start
        (None, True, False),
        (None, False, None),
    ],
)
def test_error_rate(count: Count | None, complete: bool, holds: bool | None) -> None:
    assert error_rate(SETTINGS, count, complete=complete).holds is holds


def test_error_rate_says_what_it_counted() -> None:
    reading = error_rate(SETTINGS, Count(10, 30), complete=True)
    assert (reading.value, reading.threshold) == (0.75, 0.05)
    assert reading.detail == (
        "75.0% of the attempts of the last 5m failed (30 of 40), more than 5.00%"
    )


@pytest.mark.parametrize(
    ("count", "streak", "holds"),
    [
        (Count(0, 20), Streak(20, 990, "x"), True),  # N in a row
        (Count(100, 20), Streak(20, 990, "x"), True),
        (Count(0, 19), Streak(19, 990, "x"), None),  # not for a whole window yet
        (Count(0, 3), Streak(3, 700, "x"), True),  # every attempt of the window, at least 3
        (Count(0, 2), Streak(9, 700, "x"), None),
        (Count(1, 9), Streak(9, 700, "x"), False),  # a success is in the window
        (None, Streak(20, 100, "x"), True),  # it stays down while it gets no events
        (Count(1, 0), None, False),
        (None, None, None),  # such as after a restart
    ],
)
def test_webhook_down(count: Count | None, streak: Streak | None, holds: bool | None) -> None:
    assert webhook_down(SETTINGS, count, streak, now=1000).holds is holds


def test_lag_breaker_and_most_webhooks() -> None:
    assert lag(SETTINGS, 30, "an event has waited").holds is False
    late = lag(SETTINGS, 31.4, "an event has waited")
    assert late == Reading(True, 31.4, 30, "an event has waited 31s, longer than 30s")
    assert lag(SETTINGS, None, "").holds is None
    assert [breaker_open(is_open).holds for is_open in (True, False, None)] == [True, False, None]
    assert [most_webhooks(*each, "").holds for each in ((1, 1), (2, 4), (2, 5))] == [
        False, True, False,
    ]  # fmt: skip


def step(
    alert: Alert | None, key: tuple[str, str | None], reading: Reading, timing: Timing, now: float
) -> Alert | None:
    """A step where both clocks agree."""
    since = None if alert is None else alert.turning_since
    return step_of(alert, key, reading, timing, now, 0.0 if since is None else now - since)


def readings(alert: Alert | None, timing: Timing, *given: tuple[float, Reading]) -> list[str]:
    states: list[str] = []
    for now, reading in given:
        alert = step(alert, KEY, reading, timing, now)
        states.append("-" if alert is None else alert.state)
    return states


def test_pending_firing_resolved() -> None:
    timing = Timing(hold=10, keep=60)
    given = [(0, HOLDS), (9, HOLDS), (10, HOLDS), (20, CLEAR), (79, CLEAR), (80, CLEAR)]
    assert readings(None, timing, *given) == [
        "pending", "pending", "firing", "firing", "firing", "resolved",
    ]  # fmt: skip


def test_a_condition_that_comes_and_goes_fires_once() -> None:
    """Hysteresis: what flaps is one episode."""
    timing = Timing(keep=60)
    flapping = [(now, CLEAR if now % 20 else HOLDS) for now in range(0, 200, 10)]
    assert readings(None, timing, *flapping) == ["firing"] * 20
    assert readings(None, Timing(hold=15), *flapping) == ["pending", "-"] * 10


def test_what_is_not_known_changes_nothing() -> None:
    timing = Timing(keep=60)
    firing = step(None, KEY, HOLDS, timing, 0)
    assert firing is not None
    assert step(firing, KEY, UNKNOWN, timing, 1e6) is firing
    assert step(None, KEY, UNKNOWN, timing, 0) is None
    clearing = step(firing, KEY, CLEAR, timing, 10)
    assert step(clearing, KEY, UNKNOWN, timing, 1e6) is clearing


def test_episodes_are_remembered() -> None:
    timing, alert = Timing(keep=0), None
    for number, now in zip(range(MAX_PAST + 5), itertools.count(0, 10), strict=False):
        alert = step(alert, KEY, HOLDS, timing, now)
        assert alert is not None
        assert alert.since == alert.fired_at == now
        assert len(alert.past) == min(number, MAX_PAST)
        alert = step(alert, KEY, CLEAR, timing, now + 5)
        assert alert is not None
    assert alert is not None
    assert (alert.state, alert.past[0].resolved_at - alert.past[0].fired_at) == ("resolved", 5)
    pending = step(alert, KEY, HOLDS, Timing(hold=10), 500)
    assert pending is not None
    again = step(pending, KEY, CLEAR, timing, 505)
    assert again is not None
    assert (again.state, again.since, again.to_announce) == ("resolved", alert.since, False)
    assert not is_outdated(alert, 1000)
    assert is_outdated(alert, 1000 + KEPT)


def test_an_episode_has_one_event_id_for_each_state() -> None:
    firing = step(None, KEY, HOLDS, Timing(), 1.25)
    assert firing is not None
    assert firing.event_id == "alert-webhook_down-crm-1250-firing"
    ended = resolve(firing, 9, "the webhook was deleted")
    assert ended is not None
    assert ended.event_id == "alert-webhook_down-crm-1250-resolved"
    assert (firing.to_announce, ended.to_announce) == (True, False)  # nobody heard of it
    over_all = step(None, ("delivery_lag", None), HOLDS, Timing(), 1.25)
    assert over_all is not None
    assert over_all.event_id == "alert-delivery_lag-1250-firing"
    pending = step(None, KEY, HOLDS, Timing(hold=5), 1)
    assert pending is not None
    assert resolve(pending, 2, "deleted") is None


def test_silences() -> None:
    def silence(name: str | None, webhook: str | None, until: float = 100) -> Silence:
        return Silence(f"{name}/{webhook}", name, webhook, until, 0, "ann")

    alert = Alert("webhook_down", "crm", "firing", 0)
    over_all = Alert("webhook_down", None, "firing", 0)
    by_name, by_webhook = silence("webhook_down", None), silence(None, "crm", 200)
    both = silence("delivery_lag", "crm")
    silences = [both, by_name, by_webhook]
    assert silence_of(silences, alert, 50) is by_webhook  # the longest
    assert silence_of(silences, over_all, 50) is by_name
    assert silence_of(silences, alert, 200) is None
    for name in NAMES:
        check_silence(silence(name, None), 50)
    for wrong in (silence(None, None), silence("none", None), silence(None, "crm", 50)):
        with pytest.raises(InvalidDefinition):
            check_silence(wrong, 50)


@pytest.mark.parametrize(("pattern", "received"), [
    ("gateway.alert.*", "alerts"), ("gateway.>", "alerts"),
    ("gateway.health.recovered", "events about the health"),
    ("webhook.>", None), (">", None), ("*.alert.firing", None),
])  # fmt: skip
def test_what_a_webhook_gets_of_what_an_alert_makes(pattern: str, received: str | None) -> None:
    webhook = Webhook(id="a", url="https://a.example", events=("x.*", pattern))
    assert received_about_alerts(webhook) == received


def test_what_is_not_known_after_a_restart_counts_over_all_while_its_alert_fires() -> None:
    webhooks = {
        name: Webhook(id=name, url="https://a.example", events=("x.*",)) for name in ("a", "b")
    }
    readings = Readings(
        SETTINGS, AttemptHistory(SETTINGS.windows, 0), cast(Queues, None),
        router_lag=lambda: 0.0,
    )  # fmt: skip
    for fires, expected in ((True, True), (False, False)):
        for webhook in webhooks.values():
            assert readings.about("webhook_down", webhook, 15, 1, fires=fires) == UNKNOWN
        assert readings.over_all("webhook_down", 1).holds is expected
    off = replace(webhooks["a"], disabled=Disabled("gone", 1.0))
    readings.about("webhook_down", off, 15, 1, fires=True)
    assert not readings.over_all("webhook_down", 1).holds
