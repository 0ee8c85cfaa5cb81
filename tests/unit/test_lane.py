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
