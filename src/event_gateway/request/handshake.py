"""The verification handshake: asks a receiver whether it wants events, and at which rate.

HTTP 1.1 Web Hooks for Event Delivery 1.0.2 (CloudEvents), section 4. The asynchronous form, with a
callback, is not supported: it needs an address at which receivers reach the gateway.
"""

import functools
import time
from dataclasses import dataclass

from msgspec.structs import replace

from event_gateway.core.webhook.error_type import AttemptErrorType
from event_gateway.core.webhook.webhook import RateLimit, Verification, Webhook
from event_gateway.request.builder import RequestBuilders
from event_gateway.request.receiver_client import ReceiverClient
from event_gateway.transport.client import Failure, Response

TIMEOUT = 10.0  # seconds for the whole handshake; the webhook's own timeout if that is shorter
MAX_SHOWN = 200  # characters shown of a receiver's header
MAX_RATE_DIGITS = 12


@dataclass(frozen=True, slots=True)
class HandshakeResult:
    """The result of a handshake: ``verified``, or an error. ``allowed_rate`` is in requests a
    minute, or the receiver's own text if that is no number; ``status_code`` is None without a
    response."""

    verified: Verification | None = None
    status_code: int | None = None
    allowed_origin: str | None = None
    allowed_rate: int | str | None = None
    error_type: str | None = None
    error_message: str | None = None

    @property
    def error(self) -> str:
        """The error in one line; empty if the receiver is verified."""
        return f"{self.error_type}: {self.error_message}" if self.error_type else ""


async def request_verification(
    receivers: ReceiverClient, builders: RequestBuilders, webhook: Webhook, origin: str
) -> HandshakeResult:
    """Sends one verification request to a webhook's receiver on behalf of ``origin``.

    Redirects are not followed."""
    lines = f"WebHook-Request-Origin: {origin}\r\n"
    if webhook.rate_limit is not None:
        lines += f"WebHook-Request-Rate: {_per_minute(webhook.rate_limit)}\r\n"
    # The request leaves out an earlier verification, which may have been for another origin.
    builder = builders.for_webhook(replace(webhook, verified=None))
    options = functools.partial(builder.options, lines.encode())
    result = await receivers.request(builder, options, min(TIMEOUT, webhook.timeout))
    if isinstance(result, Failure):
        return HandshakeResult(error_type=result.error_type, error_message=result.message)
    return _result_of(result, webhook, origin)


def _result_of(response: Response, webhook: Webhook, origin: str) -> HandshakeResult:
    """Only the headers count: a receiver that does not know the handshake may answer any status."""
    allowed = response.headers.get("webhook-allowed-origin", "").strip()
    written = response.headers.get("webhook-allowed-rate", "").strip()
    rate: int | str | None = written[:MAX_SHOWN] or None
    if written.isascii() and written.isdecimal() and len(written) <= MAX_RATE_DIGITS:
        rate = int(written)
    refused = None
    # Host names are compared without case (RFC 4343).
    if not allowed:
        refused = f"the answer (HTTP {response.status}) has no WebHook-Allowed-Origin"
    elif allowed != "*" and allowed.lower() != origin.lower():
        refused = f"WebHook-Allowed-Origin is {allowed[:MAX_SHOWN]!r}, neither {origin} nor *"
    elif rate == 0 or (isinstance(rate, str) and rate != "*"):
        refused = f"WebHook-Allowed-Rate is {rate!r}, neither a whole number above 0 nor *"
    verified = None
    if refused is None:
        per_minute = rate if isinstance(rate, int) else None
        verified = Verification(time.time(), webhook.url, origin, per_minute)
    return HandshakeResult(
        verified,
        response.status,
        allowed[:MAX_SHOWN] or None,
        rate,
        None if refused is None else AttemptErrorType.CONSENT_REFUSED,
        refused,
    )


def _per_minute(limit: RateLimit) -> int:
    return max(1, int(limit.events * 60 / limit.per))
