"""Which failures are retried, where a webhook says so: ``retry_on: ["5xx", 429, network]``."""

import re
from collections.abc import Iterator

from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.webhook.error_type import AttemptErrorType

MAX_ENTRIES = 100
NETWORK = "network"  # the receiver gave no response

_CLASSES = ("3xx", "4xx", "5xx")
_STATUS = re.compile(r"[1-9][0-9]{2}")
_NETWORK_ERRORS = frozenset(
    (
        AttemptErrorType.NAME_RESOLUTION,
        AttemptErrorType.CONNECTION_REFUSED,
        AttemptErrorType.CONNECTION_RESET,
        AttemptErrorType.CONNECT_TIMEOUT,
        AttemptErrorType.TLS_ERROR,
        AttemptErrorType.RESPONSE_TIMEOUT,
        AttemptErrorType.PROTOCOL_ERROR,
        AttemptErrorType.RESPONSE_TOO_LARGE,
    )
)


def not_retried(retry_on: tuple[str, ...], status: int | None, error_type: str) -> str | None:
    """Why a failed attempt is not retried; None if ``retry_on`` names the failure.

    A failure of the gateway itself, such as a transformation that fails, says nothing about the
    receiver: it is not subject to ``retry_on``.
    """
    if status is not None:
        named = str(status) in retry_on or f"{status // 100}xx" in retry_on
        return None if named else f"retry_on does not name the status {status}"
    if error_type not in _NETWORK_ERRORS or NETWORK in retry_on:
        return None
    return "retry_on does not name network"


def retry_on_problems(retry_on: tuple[str, ...] | None) -> Iterator[InvalidDefinition]:
    """All reasons why a list cannot be used."""
    if retry_on is None:
        return
    if not 1 <= len(retry_on) <= MAX_ENTRIES:
        yield InvalidDefinition(
            "retry_on",
            f"has 1 to {MAX_ENTRIES} entries; without retries set retry_policy.max_attempts to 1",
        )
    for position, entry in enumerate(retry_on[:MAX_ENTRIES]):
        reason = _refused(entry)
        if reason is not None:
            yield InvalidDefinition(f"retry_on[{position}]", f"{entry!r} {reason}")


def _refused(entry: str) -> str | None:
    if entry == NETWORK or entry in _CLASSES:
        return None
    if entry in ("1xx", "2xx") or (_STATUS.fullmatch(entry) and not 300 <= int(entry) <= 599):
        return "is no failure: statuses from 300 to 599 are"
    if entry == "410":
        return "cannot be retried: the receiver is gone, and the webhook is disabled"
    if _STATUS.fullmatch(entry):
        return None
    return f"is neither a status such as 429, nor {', '.join(_CLASSES)} or {NETWORK}"
