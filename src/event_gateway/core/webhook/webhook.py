"""The webhook: who wants which events, where they go, and how often it is tried."""

from typing import Any

import msgspec

from event_gateway.core.matching.selection import Selection
from event_gateway.core.streams.definition import EVENTS
from event_gateway.core.webhook.retry_policy import RetryPolicy
from event_gateway.core.webhook.security import Security

MAX_RATE = 10_000  # attempts in a period; Redis keeps each of them
MODES = ("structured", "binary", "batch")


class RateLimit(msgspec.Struct, frozen=True):
    """At most ``events`` attempts begin within ``per`` seconds, in all processes together."""

    events: int
    per: float = 1.0


class Batch(msgspec.Struct, frozen=True):
    """A request has at most ``max_events``, with ``max_bytes`` of data together unless one alone
    has more, and leaves ``max_wait`` seconds after the first of them at the latest."""

    max_events: int = 100
    max_bytes: int = 256 << 10
    max_wait: float = 1.0


class CircuitBreaker(msgspec.Struct, frozen=True):
    """After so many failed attempts in a row none is made for ``open_for`` seconds; then one, to
    see whether the receiver is back."""

    failure_threshold: int = 5
    open_for: float = 30.0


class Verification(msgspec.Struct, frozen=True):
    """A receiver's consent to be sent to (HTTP 1.1 Web Hooks for Event Delivery 1.0.2, section 4):
    when it was given (seconds since the epoch), for which url, to which sender, and how many
    requests a minute it allows (None: any number)."""

    at: float
    url: str
    origin: str
    rate: int | None = None


class Disabled(msgspec.Struct, frozen=True):
    """Why the gateway has stopped delivering, and when (seconds since the epoch)."""

    reason: str
    at: float


class Webhook(Selection, frozen=True):
    """A receiver. ``timeout`` in seconds; ``since`` is the log's sequence at its
    registration, ``since_in`` that of each other stream which is read: only later events are for
    it. ``deleting``: it is on its way out and takes no new events. ``disable_after``: seconds of
    nothing but failures; ``ordered``: in the log's order, with ``ordered_by`` that of events which
    have the same value there; ``disabled``: set by the gateway, ``enabled`` by people; ``verify``:
    it must have agreed before anything is sent, ``verified`` is how it did.
    """

    id: str
    url: str
    events: tuple[str, ...]
    transformation: str = "standard"
    retry_policy: RetryPolicy = RetryPolicy()
    timeout: float = 15.0
    concurrency: int = 32
    rate_limit: RateLimit | None = None
    circuit_breaker: CircuitBreaker = CircuitBreaker()
    disable_after: float = 5 * 86400.0
    ordered: bool = False
    ordered_by: str = ""
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    mode: str = "structured"
    batch: Batch = Batch()
    enrich: bool = True
    security: tuple[Security, ...] = ()
    enabled: bool = True
    description: str | None = None
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)
    managed_by: str = "api"
    since: int = 0
    since_in: dict[str, int] = msgspec.field(default_factory=dict)
    created_at: float = 0.0
    deleting: bool = False
    disabled: Disabled | None = None
    verify: bool = False
    verified: Verification | None = None

    @property
    def active(self) -> bool:
        """Whether attempts are made. What comes in while they are not waits in its queue."""
        return self.enabled and self.disabled is None and self.is_verified

    @property
    def is_verified(self) -> bool:
        """Whether the receiver has accepted deliveries to this URL, or needs no verification."""
        return not self.verify or (self.verified is not None and self.verified.url == self.url)

    @property
    def state(self) -> str:
        """``active``, or why it is not: ``disabled``, ``paused`` or ``unverified``."""
        if self.active:
            return "active"
        return "disabled" if self.disabled else "unverified" if self.enabled else "paused"

    @property
    def limits(self) -> tuple[RateLimit, ...]:
        """The rates that are kept, each of them: its own, and the one that its receiver allows.

        The lower one alone does not do: 200 a minute may still be ten within one second.
        """
        own = () if self.rate_limit is None else (self.rate_limit,)
        allowed = self.verified.rate if self.verify and self.verified is not None else None
        return own if allowed is None else (*own, _a_minute(allowed))

    def is_older_than(self, stream: str, seq: int) -> bool:
        """Whether the webhook was registered before the event at that position was logged."""
        return seq > (self.since if stream == EVENTS else self.since_in.get(stream, 0))


def _a_minute(rate: int) -> RateLimit:
    if rate <= MAX_RATE:
        return RateLimit(rate, 60.0)
    return RateLimit(min(rate // 60, MAX_RATE), 1.0)
