"""New runs of deliveries, for retries by hand and replays, with their deadlines."""

import time
from collections.abc import Mapping

from event_gateway.broker.dead_letters import StoredDeadLetter
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.state.runs import NewRun

NO_DEADLINE = 9e12  # seconds since the epoch
USABLE = 0.95  # part of a stream's retention after which an event is about to be dropped


class NewRuns:
    """Makes new runs. The ``max_age`` of a run counts from now, but its deadline lies before the
    time at which the stream drops the event.

    ``retention`` and ``dead_letter_retention``: seconds for which the log and the dead-letter
    stream store messages. ``external_retention``: the same by external stream; 0: without a limit.
    """

    def __init__(
        self,
        *,
        retention: float,
        dead_letter_retention: float,
        external_retention: Mapping[str, float],
    ) -> None:
        self._external_retention = external_retention
        self.configure(retention=retention, dead_letter_retention=dead_letter_retention)

    def configure(self, *, retention: float, dead_letter_retention: float) -> None:
        """Applies a changed configuration."""
        self._retention = retention
        self._dead_letter_retention = dead_letter_retention

    def of_event(self, webhook: Webhook, received: Received) -> NewRun:
        """A new run with an event of the log."""
        event = received.event
        retention = self._external_retention.get(received.stream, self._retention)
        latest = received.time + USABLE * retention if retention else NO_DEADLINE
        return NewRun(
            webhook.id, event.id, event.source, received.stream, received.seq, time.time(), latest,
            ordered=webhook.ordered,
        )  # fmt: skip

    def of_dead_letter(
        self, webhook: Webhook, dead_letter: StoredDeadLetter, *, once: bool
    ) -> NewRun:
        """A new run with the event that a dead letter holds.

        ``once``: the run starts only if no run was started from this dead letter before.
        """
        body, event = dead_letter.body, dead_letter.event
        return NewRun(
            webhook.id, event.id, event.source, body.stream, body.seq, time.time(),
            dead_letter.time + USABLE * self._dead_letter_retention, dead_letter.position,
            once=once, ordered=webhook.ordered,
        )  # fmt: skip
