"""Which failures are retried, the standard schedule, and the warnings about retries."""

from pathlib import Path
from typing import Any

import pytest

from event_gateway.config.request_bodies import InvalidBody, webhook_from_json
from event_gateway.config.response_bodies import webhook_to_json
from event_gateway.core.webhook.delivery import Attempt, DeadLetter, Retry, decide, error_for_status
from event_gateway.core.webhook.error_type import AttemptErrorType
from event_gateway.core.webhook.retry_policy import RetryPolicy
from event_gateway.core.webhook.retry_warnings import retry_warnings
from event_gateway.core.webhook.webhook import Webhook
from support.in_process import check

DAY = 86400.0
WEEK = 7 * DAY


def _webhook(**fields: Any) -> Webhook:
    body = {"id": "w", "url": "https://example.com/", "events": ["a.b"]} | fields
    return webhook_from_json(body, frozenset(["standard"]), WEEK, lambda _: None)


def _codes(webhook: Webhook, retention: float = WEEK) -> list[str]:
    return [warning.code for warning in retry_warnings(webhook, retention)]


@pytest.mark.parametrize(
    ("retry_on", "failure", "retried"),
    [
        (None, 404, True), (["5xx"], 503, True), (["5xx"], 404, False), (["5XX"], 503, True),
        ([429], 429, True), (["429"], 429, True), ([429], 428, False), (["4xx"], 410, False),
        (None, 410, False), (["3xx"], 302, True), (["5xx"], 302, False),
        (["5xx"], AttemptErrorType.CONNECTION_REFUSED, False),
        (["network"], AttemptErrorType.CONNECTION_REFUSED, True),
        (["network"], AttemptErrorType.RESPONSE_TIMEOUT, True), (["network"], 500, False),
        # Failures of the gateway, not of the receiver.
        (["5xx"], AttemptErrorType.TRANSFORMATION_ERROR, True),
        (["5xx"], AttemptErrorType.AUTH_ERROR, True),
    ],
)  # fmt: skip
def test_retry_on(
    retry_on: list[Any] | None, failure: int | AttemptErrorType, retried: bool
) -> None:
    webhook = _webhook(retry_on=retry_on)
    status = failure if isinstance(failure, int) else None
    error = failure if isinstance(failure, AttemptErrorType) else error_for_status(failure)
    attempt = Attempt(1, "", 1, status, str(error), "no")
    outcome = decide(webhook.retry_policy, [attempt], DAY, retry_on=webhook.retry_on)
    assert isinstance(outcome, Retry if retried else DeadLetter)
    if isinstance(outcome, DeadLetter):
        named = "410" if failure == 410 else "retry_on"
        assert outcome.not_retried is not None
        assert named in outcome.not_retried


@pytest.mark.parametrize(
    ("retry_on", "reason"),
    [
        ([], "max_attempts"), ([200], "no failure"), (["2xx"], "no failure"),
        (["600"], "no failure"),
        ([410], "gone"), (["timeout"], "network"), (["50x"], "network"), ([True], "text"),
        ([5.5], "text"), ("5xx", "list"), ([[]], "text"), ([*range(300, 401)], "100"),
        ([-500], "network"),
    ],
)  # fmt: skip
def test_a_list_that_cannot_be_used(retry_on: Any, reason: str) -> None:
    with pytest.raises(InvalidBody) as refused:
        _webhook(retry_on=retry_on)
    assert all(key.startswith("retry_on") for key, _ in refused.value.problems)
    assert reason in refused.value.detail


def test_what_is_shown_can_be_sent_back() -> None:
    for fields in ({"retry_on": ["5XX", "429", 408, 429, "network"]}, {"retry_policy": "standard"}):
        webhook = _webhook(**fields)
        shown = webhook_to_json(webhook)
        assert _webhook(**{key: shown[key] for key in fields}) == webhook
    assert webhook_to_json(_webhook())["retry_on"] is None
    shown = webhook_to_json(_webhook(retry_on=["5XX", "429", 408, 429, "network"]))
    assert shown["retry_on"] == ["5xx", 429, 408, "network"]


def test_the_standard_schedule() -> None:
    # Standard Webhooks 1.0: the time since the start of each attempt, as hours, minutes, seconds.
    table = ("00:00:00", "00:00:05", "00:05:05", "00:35:05", "02:35:05", "07:35:05", "17:35:05",
             "31:35:05", "51:35:05", "75:35:05")  # fmt: skip
    policy = _webhook(retry_policy="standard").retry_policy
    times = [0.0]
    for failed in range(1, policy.max_attempts):
        times.append(times[-1] + policy.delay(failed))
    hours = [[int(part) for part in row.split(":")] for row in table]
    assert times == [3600 * hour + 60 * minute + second for hour, minute, second in hours]
    assert policy.span == times[-1]
    for wrong in ("Standard", "exponential", "", 3, ["standard"]):
        with pytest.raises(InvalidBody, match="retry_policy"):
            _webhook(retry_policy=wrong)


def test_warnings_about_retries() -> None:
    (warning,) = retry_warnings(_webhook(), WEEK)
    assert warning.code == "short_retries"
    assert "3s" in warning.detail
    assert "retry_policy: standard" in warning.detail
    standard = _webhook(retry_policy="standard")
    assert _codes(standard) == []
    assert _codes(standard, 3 * DAY) == ["retries_after_max_age"]
    assert _codes(_webhook(retry_policy={"schedule": ["2d"], "max_age": "1d"})) == [
        "retries_after_max_age"
    ]
    (warning,) = retry_warnings(_webhook(retry_policy={"max_attempts": 1}), WEEK)
    assert "0s after its first attempt (1 attempt)" in warning.detail
    assert _codes(_webhook(retry_policy={"schedule": ["4s", "5s"]})) == ["short_retries"]
    # A policy that somebody has chosen is theirs; max_age alone makes no more attempts.
    assert _codes(_webhook(retry_policy={"max_attempts": 5})) == []
    assert _codes(_webhook(retry_policy={"max_age": "1d"})) == ["short_retries"]
    assert _codes(_webhook(retry_policy={"max_delay": "5m", "jitter": 0})) == ["short_retries"]
    ordered = _webhook(retry_policy="standard", ordered={"by": "data.account"})
    (warning,) = retry_warnings(ordered, WEEK)
    assert warning.code == "ordered_retries_block"
    assert "of the same data.account are not" in warning.detail
    assert _codes(_webhook(retry_policy={"max_attempts": 8}, ordered=True)) == []
    limited = _webhook(retry_policy="standard", retry_on=["5xx"])
    assert _codes(limited) == ["retry_on_without_network"]
    assert RetryPolicy(max_attempts=1).span == 0


def test_check_warns_of_short_retries(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    webhook = "webhooks:\n  w:\n    url: https://x.y/\n    events: [user.*]\n"
    path.write_text(webhook)
    done = check(path)
    assert done.status == 0
    assert f"{path}:2: webhooks.w.retry_policy: " in done.err
    assert "retry_policy: standard" in done.err
    path.write_text(webhook + "    retry_policy: standard\n    retry_on: [5xx, 429, network]\n")
    assert "retry" not in check(path).err
    path.write_text(webhook + "    retry_policy: standart\n    retry_on: [5xx, 200]\n")
    done = check(path)
    assert done.status == 2
    assert "webhooks.w.retry_policy: 'standart' is unknown" in done.err
