"""Retries that may not be what the owner of a webhook expects."""

from collections.abc import Iterator

from event_gateway.core.errors import DefinitionWarning
from event_gateway.core.text.units import format_duration
from event_gateway.core.webhook.retry_on import NETWORK
from event_gateway.core.webhook.retry_policy import RetryPolicy, longest_wait
from event_gateway.core.webhook.webhook import Webhook

SHORT_SPAN = 10.0  # seconds of retries: a receiver that restarts takes longer
LONG_BLOCK = 3600.0  # seconds of retries after which the owner of an ordered webhook is warned
_DEFAULT = RetryPolicy()


def retry_warnings(webhook: Webhook, retention: float) -> Iterator[DefinitionWarning]:
    """The warnings about a webhook's retries; ``retention`` of the log in seconds."""
    policy = webhook.retry_policy
    longest = longest_wait(retention)
    max_age = min(policy.max_age or longest, longest)
    if policy.span < SHORT_SPAN:
        default = ", the default" if policy.has_times_of(_DEFAULT) else ""
        times = "1 attempt" if policy.max_attempts == 1 else f"{policy.max_attempts} attempts"
        yield DefinitionWarning(
            "short_retries",
            "retry_policy",
            f"a delivery is given up about {format_duration(policy.span)} after its first attempt "
            f"({times}{default}); retry_policy: standard retries for over 3 days",
        )
    if policy.span > max_age:
        yield DefinitionWarning(
            "retries_after_max_age",
            "retry_policy",
            f"{policy.max_attempts} attempts take {format_duration(int(policy.span))}, and none "
            f"is made later than {format_duration(max_age)} after the receipt of the event "
            "(max_age, at most 80% of ingest.retention): such a delivery ends as Expired before",
        )
    if webhook.ordered and policy.span >= LONG_BLOCK:
        which = f"of the same {webhook.ordered_by} " if webhook.ordered_by else ""
        yield DefinitionWarning(
            "ordered_retries_block",
            "retry_policy",
            f"while a delivery is retried, for up to {format_duration(int(policy.span))}, later "
            f"events {which}are not delivered, as the webhook is ordered",
        )
    if webhook.retry_on is not None and NETWORK not in webhook.retry_on:
        yield DefinitionWarning(
            "retry_on_without_network",
            "retry_on",
            "connections that fail and responses that do not come in time are not retried, as the "
            "list does not name network",
        )
