"""A delivery together with its event, on its way through this process."""

from collections.abc import Callable

import msgspec

from event_gateway.core.cloudevents.event import Received
from event_gateway.core.webhook.delivery import Delivery, Outcome


class Job(msgspec.Struct):
    """A delivery with its event at hand.

    ``on_recorded`` is called once the ledger has recorded a state of the delivery. ``on_outcome``
    is set for deliveries of ordered webhooks, which are not in the queue: it receives each outcome
    once that is recorded. ``started`` is the Unix time of the attempt, ``url`` the endpoint URL it
    was sent to. ``paced``: the attempt counts as one of those for failing lanes.
    ``waiting_since``: when the job entered the backlog, on the event loop's clock.
    ``span``: the id of the attempt's span, empty if it is not recorded; ``request_trace``: the
    traceparent of the request, if that holds several events and traces are on.
    """

    delivery: Delivery
    received: Received
    on_recorded: Callable[[], None] | None = None
    on_outcome: Callable[[Outcome], None] | None = None
    started: float = 0.0
    paced: bool = False
    url: str = ""
    waiting_since: float = 0.0
    span: str = ""
    request_trace: str = ""
