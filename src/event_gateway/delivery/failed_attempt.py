"""The record of a failed attempt, with what is stored of the receiver's response."""

from collections.abc import Mapping

from event_gateway.core.text.times import rfc3339
from event_gateway.core.webhook.delivery import Attempt
from event_gateway.delivery.job import Job
from event_gateway.transport.client import Response

KEPT_RESPONSE = 1024  # bytes of a failed attempt's response that are stored, and of its headers


def failed_attempt(
    job: Job, duration: float, error: str, message: str, response: Response | None
) -> Attempt:
    """The latest attempt of a delivery, which took ``duration`` seconds."""
    body = response.body if response else b""
    return Attempt(
        number=len(job.delivery.attempts) + 1,
        time=rfc3339(job.started),
        duration_ms=round(duration * 1000),
        status_code=response.status if response else None,
        error_type=error,
        # The system's message may hold bytes that are no text, and could not be recorded.
        error_message=message[:500].encode("utf-8", "replace").decode(),
        response=body[:KEPT_RESPONSE].decode("utf-8", "replace") or None,
        response_headers=_first_headers(response.headers) or None if response else None,
    )


def _first_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The first headers of a response, as many as fit completely."""
    stored, room = {}, KEPT_RESPONSE
    for name, value in headers.items():
        room -= len(name) + len(value)
        if room < 0:
            break
        stored[name] = value
    return stored
