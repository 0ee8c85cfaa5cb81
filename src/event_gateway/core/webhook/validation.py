"""The rules for webhooks: every reason why a webhook cannot be registered."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.matching.path import parse_path
from event_gateway.core.matching.pattern import check_pattern
from event_gateway.core.matching.selection import selection_problems
from event_gateway.core.text.endpoint_url import parse_endpoint_url
from event_gateway.core.text.identifier import ID
from event_gateway.core.text.json_values import check_bounds
from event_gateway.core.transformation.definition import content_type_problems
from event_gateway.core.webhook.headers import header_problems, normal
from event_gateway.core.webhook.ownership import ownership_problems
from event_gateway.core.webhook.retry_on import retry_on_problems
from event_gateway.core.webhook.retry_policy import retry_problems
from event_gateway.core.webhook.security_rules import PATH_RULE, leads_out, security_problems
from event_gateway.core.webhook.webhook import MAX_RATE, MODES, REQUEST_METHODS, Webhook

RefusesUrl = Callable[[str], str | None]  # why requests to a URL are refused; None: they are not

MAX_PATH = 2048  # characters
MAX_URL = 2048  # characters
MAX_PATTERNS = 100
MAX_METADATA = 65_536  # bytes, as JSON
MAX_DISABLE_AFTER = 366 * 86400.0  # seconds
MAX_BATCH = 1000  # events of one request
MAX_BATCH_BYTES = 16 << 20
MAX_BATCH_WAIT = 5.0  # seconds; a process returns waiting deliveries to the queue after 10


def webhook_problems(
    webhook: Webhook, transformations: frozenset[str], retention: float, refuses_url: RefusesUrl
) -> Iterator[InvalidDefinition]:
    """All reasons why a webhook cannot be registered, each with its key.

    ``transformations``: the names that are defined; ``retention``: the seconds for which the log
    stores events; ``refuses_url``: returns why requests to a URL are refused, or None.
    """
    if ID.fullmatch(webhook.id) is None:
        yield InvalidDefinition("id", f"{webhook.id!r} is not of the form {ID.pattern}")
    yield from _caught(_check_url, webhook.url, refuses_url)
    if not 1 <= len(webhook.events) <= MAX_PATTERNS:
        yield InvalidDefinition("events", f"a webhook has 1 to {MAX_PATTERNS} event patterns")
    for position, pattern in enumerate(webhook.events[:MAX_PATTERNS]):
        yield from _caught(check_pattern, pattern, f"events[{position}]")
    yield from selection_problems(webhook)
    yield from ownership_problems(webhook)
    if not webhook.owner and webhook.transformation not in transformations:
        known = ", ".join(sorted(transformations))
        yield InvalidDefinition(
            "transformation", f"{webhook.transformation!r} is unknown; there are: {known}"
        )
    if webhook.mode not in MODES:
        yield InvalidDefinition(
            "mode", f"{webhook.mode!r} is unknown; there are: {', '.join(sorted(MODES))}"
        )
    elif webhook.mode == "binary" and webhook.transformation != "standard":
        yield InvalidDefinition(
            "mode", "binary sends the event itself: the transformation must be standard"
        )
    if webhook.content_type is not None:
        yield from content_type_problems(webhook.content_type)
        if webhook.mode == "binary":
            yield InvalidDefinition("content_type", "is that of the event's data in mode binary")
    if webhook.method not in REQUEST_METHODS:
        yield InvalidDefinition("method", f"must be one of {', '.join(REQUEST_METHODS)}")
    yield from retry_problems(webhook.retry_policy, retention)
    yield from retry_on_problems(webhook.retry_on)
    if not 0.1 <= webhook.timeout <= 300:
        yield InvalidDefinition("timeout", "must be between 100ms and 5m")
    if not 1 <= webhook.concurrency <= 1024:
        yield InvalidDefinition("concurrency", "must be between 1 and 1024")
    yield from _batch_problems(webhook)
    yield from _lane_problems(webhook)
    yield from header_problems(webhook.headers)
    yield from _tls_problems(webhook)
    yield from _caught(_check_metadata, webhook.metadata)
    former = webhook.renamed_from
    if former is not None and ID.fullmatch(former) is None:
        yield InvalidDefinition("renamed_from", f"{former[:64]!r} is not of the form {ID.pattern}")
    elif former == webhook.id:
        yield InvalidDefinition("renamed_from", "is the webhook's own id")
    yield from security_problems(
        webhook.security,
        lambda url, key: _check_url(url, refuses_url, key),
        frozenset(normal(name) for name in webhook.headers),
        any_file=webhook.managed_by == "file",
    )


def _caught(check: Callable[..., object], *arguments: Any) -> Iterator[InvalidDefinition]:
    """The problem that ``check`` raises, if any."""
    try:
        check(*arguments)
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
        yield InvalidDefinition("mode", "batch cannot be combined with ordered")
    if not 1 <= batch.max_events <= MAX_BATCH:
        yield InvalidDefinition("batch.max_events", f"must be between 1 and {MAX_BATCH}")
    if not 1 <= batch.max_bytes <= MAX_BATCH_BYTES:
        yield InvalidDefinition("batch.max_bytes", "must be between 1 byte and 16MiB")
    if not 0 <= batch.max_wait <= MAX_BATCH_WAIT:
        yield InvalidDefinition("batch.max_wait", "must be at most 5s")


def _tls_problems(webhook: Webhook) -> Iterator[InvalidDefinition]:
    ca = webhook.tls.ca
    if len(ca) > MAX_PATH or not ca.isprintable():
        yield InvalidDefinition("tls.ca", f"must be printable, of at most {MAX_PATH} characters")
    elif ca and webhook.managed_by != "file" and leads_out(ca):
        yield InvalidDefinition("tls.ca", PATH_RULE)
    if ca and any(method.ca for method in webhook.security):
        yield InvalidDefinition("tls.ca", "is given in security, too; give it once")


def _check_order(by: str) -> None:
    if parse_path(by, "ordered.by").many:
        raise InvalidDefinition("ordered.by", "must lead to a single value, without [*]")


def _check_metadata(metadata: dict[str, Any]) -> None:
    check_bounds(metadata, "metadata")
    if len(msgspec.json.encode(metadata)) > MAX_METADATA:
        raise InvalidDefinition("metadata", f"is larger than {MAX_METADATA} bytes as JSON")


def _check_url(url: str, refuses_url: RefusesUrl, key: str = "url") -> None:
    if len(url) > MAX_URL:
        raise InvalidDefinition(key, f"is longer than {MAX_URL} characters")
    try:
        parse_endpoint_url(url)
    except ValueError as error:
        raise InvalidDefinition(key, str(error)) from None
    reason = refuses_url(url)
    if reason is not None:
        raise InvalidDefinition(key, reason)
