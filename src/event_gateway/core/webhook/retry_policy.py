"""The retry policy: how many attempts the gateway makes, when, and for how long."""

from collections.abc import Iterator

import msgspec

from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.text.units import format_duration

MAX_ATTEMPTS = 100
MAX_DELAY = 7 * 86400.0  # seconds
LONGEST_WAIT = 0.8  # of the log's retention
BACKOFFS = ("exponential", "linear", "fixed")
# The example schedule of Standard Webhooks 1.0 (Deliverability and reliability), in seconds after
# the first attempt and each following one: 10 attempts in 75:35:05 hours.
STANDARD = (5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 50400.0, 72000.0, 86400.0)


class RetryPolicy(msgspec.Struct, frozen=True):
    """How many attempts the gateway makes, and the delays between them in seconds.

    ``schedule`` lists the delays and replaces ``backoff``; its last delay repeats. ``jitter`` is
    the part of a delay (0 to 1) that is added to it at random. ``max_age``: seconds from the log
    time of an event to the end of its deliveries; None: :func:`longest_wait`.
    """

    max_attempts: int = 3
    backoff: str = "exponential"
    initial_delay: float = 1.0
    multiplier: float = 2.0
    max_delay: float = 3600.0
    max_age: float | None = None
    schedule: tuple[float, ...] = ()
    jitter: float = 0.0

    def delay(self, failed: int) -> float:
        """Seconds to wait after the ``failed``-th failed attempt (1, 2, …), jitter aside."""
        if self.schedule:
            return self.schedule[min(failed, len(self.schedule)) - 1]
        if self.backoff == "fixed":
            delay = self.initial_delay
        elif self.backoff == "linear":
            delay = self.initial_delay * failed
        else:
            # The exponent is capped so that a float cannot overflow; max_delay rules long before.
            delay = self.initial_delay * self.multiplier ** min(failed - 1, 64)
        return min(delay, self.max_delay)

    @property
    def span(self) -> float:
        """Seconds from the first attempt to the last, with the most jitter."""
        return sum(map(self.delay, range(1, self.max_attempts))) * (1 + self.jitter)

    def has_times_of(self, other: "RetryPolicy") -> bool:
        """Whether the attempts have the times of another policy."""
        return (
            self.max_attempts == other.max_attempts
            and self.jitter == other.jitter
            and all(self.delay(n) == other.delay(n) for n in range(1, self.max_attempts))
        )

    def bounded(self, requested: float, failed: int) -> float:
        """The seconds to wait if a receiver has requested ``requested`` after the ``failed``-th
        failed attempt: at most ``max_delay`` or twice the planned delay, whichever is longer."""
        return min(requested, max(self.max_delay, 2 * self.delay(failed)))


def longest_wait(retention: float) -> float:
    """The longest time in seconds that a delivery may wait; ``retention`` of the log in seconds.

    The remaining time is for writing the dead letter before the log drops the event.
    """
    return LONGEST_WAIT * retention


def retry_problems(policy: RetryPolicy, retention: float) -> Iterator[InvalidDefinition]:
    """All reasons why a policy cannot be used; ``retention`` of the log in seconds."""
    if policy.backoff not in BACKOFFS:
        yield InvalidDefinition(
            "retry_policy.backoff",
            f"{policy.backoff!r} is unknown; there are: {', '.join(BACKOFFS)}",
        )
    if not 1 <= policy.max_attempts <= MAX_ATTEMPTS:
        yield InvalidDefinition(
            "retry_policy.max_attempts", f"must be between 1 and {MAX_ATTEMPTS}"
        )
    if not 0 < policy.initial_delay <= policy.max_delay <= MAX_DELAY:
        yield InvalidDefinition(
            "retry_policy.initial_delay", "must be above 0 and not above max_delay (at most 7d)"
        )
    if not 1 <= policy.multiplier <= 100:
        yield InvalidDefinition("retry_policy.multiplier", "must be between 1 and 100")
    if not 0 <= policy.jitter <= 1:
        yield InvalidDefinition("retry_policy.jitter", "must be between 0 and 1")
    if len(policy.schedule) > MAX_ATTEMPTS:
        yield InvalidDefinition("retry_policy.schedule", f"has at most {MAX_ATTEMPTS} delays")
    for position, delay in enumerate(policy.schedule):
        if not 0 < delay <= MAX_DELAY:
            yield InvalidDefinition(
                f"retry_policy.schedule[{position}]", "must be above 0 and at most 7d"
            )
    longest = longest_wait(retention)
    if policy.max_age is not None and not 1 <= policy.max_age <= longest:
        yield InvalidDefinition(
            "retry_policy.max_age",
            f"{format_duration(policy.max_age)} is not between 1s and {format_duration(longest)}, "
            f"which is 80% of ingest.retention ({format_duration(retention)})",
        )
