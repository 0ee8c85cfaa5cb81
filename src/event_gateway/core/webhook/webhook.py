"""The webhook: a receiver, the events that it gets, and how the gateway delivers them."""

from collections.abc import Mapping
from typing import Any

import msgspec

from event_gateway.core.cloudevents.reserved_types import is_lifecycle
from event_gateway.core.matching.selection import Selection
from event_gateway.core.streams.definition import EVENTS, LIFECYCLE
from event_gateway.core.streams.known_log import KnownLog
from event_gateway.core.webhook.retry_policy import RetryPolicy
from event_gateway.core.webhook.security import Security

STATES = ("active", "paused", "disabled", "unverified", "orphaned", "renamed")

MAX_RATE = 10_000  # attempts in a period; Redis keeps each of them
MODES = ("structured", "binary", "batch")
REQUEST_METHODS = ("POST", "PUT", "PATCH")
# The sequence of an event that is matched as if it came now.
AFTER_EVERY_REGISTRATION = 1 << 62


class Tls(msgspec.Struct, frozen=True, omit_defaults=True):
    """TLS to the receiver. ``ca``: path of a PEM file with the only authorities that may have
    issued the receiver's certificate; empty for the gateway's own and the system's."""

    ca: str = ""


class RateLimit(msgspec.Struct, frozen=True):
    """All processes together start at most ``events`` attempts within ``per`` seconds."""

    events: int
    per: float = 1.0


class Batch(msgspec.Struct, frozen=True):
    """Limits of a batch request: its events, the bytes of their data (a larger event is sent
    alone), and the seconds that the first event waits for more."""

    max_events: int = 100
    max_bytes: int = 256 << 10
    max_wait: float = 1.0


class CircuitBreaker(msgspec.Struct, frozen=True):
    """After ``failure_threshold`` failed attempts in a row the circuit breaker opens: the gateway
    makes no attempt for ``open_for`` seconds, and then a single one (half-open)."""

    failure_threshold: int = 5
    open_for: float = 30.0


class Verification(msgspec.Struct, frozen=True):
    """A receiver has accepted deliveries (HTTP 1.1 Web Hooks for Event Delivery 1.0.2, section 4).

    ``at`` in seconds since the epoch; ``url`` and ``origin`` are those of the handshake; ``rate``
    is the number of requests a minute that the receiver allows (None: any number)."""

    at: float
    url: str
    origin: str
    rate: int | None = None


class Disabled(msgspec.Struct, frozen=True):
    """Why the gateway disabled the webhook, and when (seconds since the epoch)."""

    reason: str
    at: float


class Webhook(Selection, frozen=True, gc=False):
    """A receiver and the selection of its events. The stored JSON has the fields of both side by
    side, which is why this extends :class:`Selection`.

    ``owner``: the namespaces that the webhook belongs to; it gets no other events. Empty: it is the
    operators'. ``events``: patterns of event types. ``timeout`` in seconds. ``since``: the last
    sequence of the log at the registration, ``since_in`` that of other streams; the webhook gets
    later events only. ``since_in`` has the log of lifecycle events once a pattern names some.
    ``deleting``: the webhook is being deleted and gets no new events. ``disable_after``: seconds of
    nothing but failures, after which the gateway sets ``disabled``; ``enabled`` is set by users.
    ``content_type`` replaces the content type of the transformation.
    ``ordered``: events are delivered in the order of the log; with ``ordered_by`` those that have
    the same value at this path. ``verify``: the receiver must complete the handshake first;
    ``verified``: its result. ``renamed_from``: the id whose place this webhook took when it was
    registered under its own; ``formerly``: all ids that it has had; ``waits_for``: it gets no event
    before the webhook of this id has made place for it; ``takes_over``: it gets events already, and
    that webhook is to be marked as renamed to it; ``renamed_to``: it makes place for that
    webhook since ``renamed_at``. ``message_name``: the id from which message ids are made, if it is
    not ``id``. ``orphaned_at``: since when the configuration file does not name it any more, while
    deliveries wait for it (0: it does). ``retry_on``: the failures that are retried, by status or
    class of statuses, and ``network``; None: every failure but 410.
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
    method: str = "POST"
    content_type: str | None = None
    tls: Tls = Tls()
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
    retry_on: tuple[str, ...] | None = None
    owner: tuple[str, ...] = ()
    renamed_from: str | None = None
    formerly: tuple[str, ...] = ()
    waits_for: str = ""
    takes_over: str = ""
    renamed_to: str = ""
    renamed_at: float = 0.0
    message_name: str = ""
    orphaned_at: float = 0.0

    @property
    def active(self) -> bool:
        """Whether the gateway makes attempts. While it does not, deliveries wait in the queue."""
        return self.enabled and self.disabled is None and self.is_verified and not self.is_leaving

    @property
    def is_leaving(self) -> bool:
        """Whether it gets no new events any more: it is being deleted, was renamed, or the
        configuration file does not name it."""
        return self.deleting or bool(self.renamed_to) or bool(self.orphaned_at)

    @property
    def is_verified(self) -> bool:
        """Whether the receiver has accepted deliveries to this URL, or needs no verification."""
        return not self.verify or (self.verified is not None and self.verified.url == self.url)

    @property
    def state(self) -> str:
        """``active``, or why it is not: ``disabled``, ``paused``, ``unverified``, ``orphaned`` (the
        configuration file does not name it any more), or ``renamed``."""
        if self.renamed_to:
            return "renamed"
        if self.orphaned_at:
            return "orphaned"
        if self.active:
            return "active"
        return "disabled" if self.disabled else "unverified" if self.enabled else "paused"

    @property
    def limits(self) -> tuple[RateLimit, ...]:
        """The rate limits that apply: that of the webhook, and that of the receiver's handshake.

        Both apply, as the lower one does not imply the other: 200 a minute may be 10 in a second.
        """
        own = () if self.rate_limit is None else (self.rate_limit,)
        allowed = self.verified.rate if self.verify and self.verified is not None else None
        return own if allowed is None else (*own, _a_minute(allowed))

    def is_older_than(self, stream: str, seq: int) -> bool:
        """Whether the webhook was registered before the event at that position was logged."""
        return seq > (self.since if stream == EVENTS else self.since_in.get(stream, 0))

    def counted_in(self, logs: Mapping[str, KnownLog]) -> "Webhook":
        """The webhook with the sequences of its registration as they count in the present logs."""
        since = self.since
        if EVENTS in logs:
            since = logs[EVENTS].lowered(since, self.created_at)
        since_in = {
            stream: logs[stream].lowered(seq, self.created_at) if stream in logs else seq
            for stream, seq in self.since_in.items()
        }
        if since == self.since and since_in == self.since_in:
            return self
        return msgspec.structs.replace(self, since=since, since_in=since_in)

    @property
    def names_lifecycle(self) -> bool:
        """Whether a pattern takes lifecycle events."""
        return any(is_lifecycle(pattern) for pattern in self.events)

    @property
    def reads_lifecycle(self) -> bool:
        """Whether the webhook gets lifecycle events: it is known from which position on."""
        return LIFECYCLE in self.since_in and self.names_lifecycle and not self.is_leaving

    def since_of(self, stream: str) -> int:
        """The last sequence of a stream at the registration."""
        return self.since if stream == EVENTS else self.since_in.get(stream, 0)


def _a_minute(rate: int) -> RateLimit:
    if rate <= MAX_RATE:
        return RateLimit(rate, 60.0)
    return RateLimit(min(rate // 60, MAX_RATE), 1.0)
