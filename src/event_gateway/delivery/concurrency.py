"""Concurrency limits: a process's share of a webhook's concurrency, and when it is lowered.

A lane starts with a limit of a few attempts. Each success raises the limit by one, up to the share
(``Lane.record_success``); an answer that says the receiver is overloaded halves it
(``Lane.lower_limit``).
"""

import zlib

from event_gateway.core.webhook.error_type import AttemptErrorType
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.transport.client import Failure, Response

START_LIMIT = 4.0
OVERLOAD_STATUSES = frozenset((429, 502, 504))
OVERLOAD_ERRORS = frozenset((AttemptErrorType.CONNECT_TIMEOUT, AttemptErrorType.RESPONSE_TIMEOUT))


def share_of(webhook: Webhook, index: int, processes: int) -> int:
    """How many of the webhook's attempts the process with this index may run at a time.

    The shares of all processes add up to the webhook's concurrency. Whichever process leases an
    ordered webhook has the whole of it.
    """
    if webhook.ordered:
        return webhook.concurrency
    # The remainder goes to other processes for each webhook, so that none gets all remainders.
    position = (index + zlib.crc32(webhook.id.encode())) % processes
    whole, remainder = divmod(webhook.concurrency, processes)
    return whole + (position < remainder)


def is_overloaded(result: Response | Failure) -> bool:
    """Whether the result of an attempt says that the receiver has too much to do."""
    if isinstance(result, Failure):
        return result.error_type in OVERLOAD_ERRORS
    return result.status in OVERLOAD_STATUSES
