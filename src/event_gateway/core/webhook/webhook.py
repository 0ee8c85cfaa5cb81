"""The webhook: who wants which events, where they go, and how often it is tried."""

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import msgspec

from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.matching.path import parse_path
from event_gateway.core.matching.pattern import check_pattern
from event_gateway.core.matching.selection import Selection, selection_problems
from event_gateway.core.streams.definition import EVENTS
from event_gateway.core.text.identifier import ID
from event_gateway.core.webhook.retry_policy import RetryPolicy, retry_problems
from event_gateway.core.webhook.security import Security
from event_gateway.core.webhook.security_rules import security_problems

RefusesUrl = Callable[[str], str | None]  # why a URL must not be sent to; None where it may be

MAX_PATTERNS = 100
MAX_HEADERS = 32
MAX_RATE = 10_000  # attempts in a period; each of them is kept track of
MAX_DISABLE_AFTER = 366 * 86400.0  # seconds
MODES = ("structured", "binary", "batch")
MAX_BATCH = 1000  # events of one request
MAX_BATCH_BYTES = 16 << 20
MAX_BATCH_WAIT = 5.0  # seconds; what waits is held by its process for 10
# What the gateway itself sets on a delivery, and what would change how the request is framed.
RESERVED_HEADERS = frozenset(
    (
        "host", "content-length", "content-type", "transfer-encoding", "connection", "upgrade",
        "te", "trailer", "expect", "user-agent", "keep-alive", "proxy-connection", "webhook-id",
        "webhook-timestamp", "webhook-signature", "traceparent", "tracestate",
        "x-event-gateway-attempt",
        "webhook-request-origin", "webhook-request-rate", "webhook-request-callback",
    )
)  # fmt: skip
# What proves who is asking is a secret, and comes by name.
SECRET_HEADERS = frozenset(("authorization", "proxy-authorization"))


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

    def problems(
        self, transformations: frozenset[str], retention: float, refuses_url: RefusesUrl
    ) -> Iterator[InvalidDefinition]:
        """All that stands against registering it, with the keys.

        ``retention``: for how many seconds the log keeps events.
        """
        if ID.fullmatch(self.id) is None:
            yield InvalidDefinition("id", f"{self.id!r} is not of the form {ID.pattern}")
        yield from _caught(_check_url, self.url, refuses_url)
        if not 1 <= len(self.events) <= MAX_PATTERNS:
            yield InvalidDefinition("events", f"a webhook has 1 to {MAX_PATTERNS} event patterns")
        for position, pattern in enumerate(self.events[:MAX_PATTERNS]):
            yield from _caught(check_pattern, pattern, f"events[{position}]")
        yield from selection_problems(self)
        if self.transformation not in transformations:
            known = ", ".join(sorted(transformations))
            yield InvalidDefinition(
                "transformation", f"{self.transformation!r} is unknown; there are: {known}"
            )
        if self.mode not in MODES:
            yield InvalidDefinition(
                "mode", f"{self.mode!r} is unknown; there are: {', '.join(sorted(MODES))}"
            )
        elif self.mode == "binary" and self.transformation != "standard":
            yield InvalidDefinition(
                "mode", "binary is for the event itself: the transformation must be standard"
            )
        yield from retry_problems(self.retry_policy, retention)
        if not 0.1 <= self.timeout <= 300:
            yield InvalidDefinition("timeout", "must be between 100ms and 5m")
        if not 1 <= self.concurrency <= 1024:
            yield InvalidDefinition("concurrency", "must be between 1 and 1024")
        yield from _batch_problems(self)
        yield from _lane_problems(self)
        yield from _caught(_check_headers, self.headers)
        yield from security_problems(
            self.security,
            lambda url, key: _check_url(url, refuses_url, key),
            RESERVED_HEADERS,
            frozenset(name.lower() for name in self.headers),
            any_file=self.managed_by == "file",
        )


def _a_minute(rate: int) -> RateLimit:
    if rate <= MAX_RATE:
        return RateLimit(rate, 60.0)
    return RateLimit(min(rate // 60, MAX_RATE), 1.0)


def _caught(check: Callable[..., object], *about: Any) -> Iterator[InvalidDefinition]:
    try:
        check(*about)
    except InvalidDefinition as problem:
        yield problem


def _lane_problems(webhook: Webhook) -> Iterator[InvalidDefinition]:
    rate, breaker = webhook.rate_limit, webhook.circuit_breaker
    if rate is not None and not 1 <= rate.events <= MAX_RATE:
        yield InvalidDefinition("rate_limit.events", f"must be between 1 and {MAX_RATE}")
    if rate is not None and not 0.1 <= rate.per <= 86400:
        yield InvalidDefinition("rate_limit.per", "must be between 100ms and 1d")
    if not 1 <= breaker.failure_threshold <= 10000:
        yield InvalidDefinition("circuit_breaker.failure_threshold", "must be between 1 and 10000")
    if not 0.1 <= breaker.open_for <= 86400:
        yield InvalidDefinition("circuit_breaker.open_for", "must be between 100ms and 1d")
    if webhook.ordered_by:
        yield from _caught(_check_order, webhook.ordered_by)
    if not 1 <= webhook.disable_after <= MAX_DISABLE_AFTER:
        yield InvalidDefinition("disable_after", "must be between 1s and 1y")


def _batch_problems(webhook: Webhook) -> Iterator[InvalidDefinition]:
    batch = webhook.batch
    if webhook.mode == "batch" and webhook.ordered:
        yield InvalidDefinition("mode", "batch keeps no order: it cannot be ordered, too")
    if not 1 <= batch.max_events <= MAX_BATCH:
        yield InvalidDefinition("batch.max_events", f"must be between 1 and {MAX_BATCH}")
    if not 1 <= batch.max_bytes <= MAX_BATCH_BYTES:
        yield InvalidDefinition("batch.max_bytes", "must be between 1 byte and 16MiB")
    if not 0 <= batch.max_wait <= MAX_BATCH_WAIT:
        yield InvalidDefinition("batch.max_wait", "must be at most 5s")


def _check_order(by: str) -> None:
    if parse_path(by, "ordered.by").many:
        raise InvalidDefinition("ordered.by", "must name one value, not any ([*])")


def _check_url(url: str, refuses_url: RefusesUrl, key: str = "url") -> None:
    if any(not 0x20 < ord(c) < 0x7F for c in url):
        raise InvalidDefinition(key, "holds a space, a control or a non-ASCII character")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # it is not repeated: what was taken for a port may be a password
        raise InvalidDefinition(key, "is no URL: its host or its port is none") from None
    if parts.scheme not in ("http", "https"):
        raise InvalidDefinition(key, "must begin with https:// (or http://)")
    if not parts.hostname or port == 0:
        raise InvalidDefinition(key, "names no host to send to")
    if parts.username is not None or parts.password is not None:
        raise InvalidDefinition(key, "must not hold credentials; use security with a secret_name")
    if parts.fragment or url.endswith("#"):
        raise InvalidDefinition(key, "must not hold a fragment (#…)")
    if len(url) > 2048:
        raise InvalidDefinition(key, "is longer than 2048 characters")
    reason = refuses_url(url)
    if reason is not None:
        raise InvalidDefinition(key, reason)


def _check_headers(headers: dict[str, str]) -> None:
    if len(headers) > MAX_HEADERS:
        raise InvalidDefinition("headers", f"a webhook has at most {MAX_HEADERS} headers")
    for name, value in headers.items():
        token = name.replace("-", "").replace("_", "")
        if not token.isascii() or not token.isalnum() or len(name) > 128:
            # Only its beginning is repeated: behind a colon, or a scheme, may stand a secret.
            begins = re.split(r"[^A-Za-z0-9_-]", name[:64], maxsplit=1)[0]
            raise InvalidDefinition("headers", f"what begins with {begins!r} is no header name")
        if name.lower() in RESERVED_HEADERS or name.lower().startswith("ce-"):
            raise InvalidDefinition(f"headers.{name}", "is set by the gateway itself")
        if name.lower() in SECRET_HEADERS:
            raise InvalidDefinition(
                f"headers.{name}", "would keep a secret in clear; use security with a secret_name"
            )
        if len(value) > 4096 or not value.isascii() or not value.isprintable():
            raise InvalidDefinition(
                f"headers.{name}", "must be printable ASCII of at most 4096 characters"
            )
