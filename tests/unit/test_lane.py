"""When deliveries wait in the queue for longer."""

from typing import Any, cast

from event_gateway.core.webhook.webhook import Webhook
from event_gateway.delivery.lane import Lane


def _lane(**webhook: Any) -> Lane:
    return Lane(Webhook("w", "http://localhost/", ("a",), **webhook), cast(Any, None))


def test_deliveries_wait_for_a_lane_that_takes_none_or_few() -> None:
    disabled, failing, tripped, throttled = _lane(enabled=False), _lane(), _lane(), _lane()
    failing.record_failure()
    tripped.trip()
    throttled.throttle()
    for lane in (disabled, failing, tripped, throttled):
        assert lane.lets_wait
    throttled.end_throttle()
    tripped.reset()
    for lane in (throttled, tripped, _lane()):
        assert not lane.lets_wait


def test_deliveries_do_not_wait_where_another_process_has_the_share() -> None:
    lane = _lane(concurrency=1)
    lane.set_share(1, 2)
    assert not lane.accepts
    assert not lane.lets_wait


def test_what_follows_of_a_lanes_state_is_up_to_date() -> None:
    lane = _lane(concurrency=2)
    assert lane.accepts
    assert not lane.paced
    lane.record_failure()
    assert lane.accepts
    assert lane.paced
    lane.record_success()
    assert not lane.paced
    lane.trip()
    assert not lane.accepts
    assert lane.paced
    lane.reset()
    assert lane.accepts
    assert not lane.paced
    lane.throttle()
    assert not lane.accepts
    lane.end_throttle()
    assert lane.accepts
    lane.await_disabling()
    assert not lane.accepts
    lane.configure(lane.webhook)  # the registry has not disabled it
    assert lane.accepts
    lane.set_share(0, 4)
    lane.set_share(0, 1)
    assert lane.accepts


def test_after_a_success_one_failure_is_not_enough_to_be_failing() -> None:
    lane = _lane()
    lane.record_success()
    lane.record_failure()
    assert not lane.failing
    lane.record_failure()
    assert lane.failing
    lane.record_failure()
    assert lane.failing
    lane.forget_failures()
    assert not lane.failing
    assert not lane.paced
