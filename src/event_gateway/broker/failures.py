"""What it means when NATS does not do what it was asked for: it is full, away, or forbids it."""

import asyncio

from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NatsTimeout
from nats.js.errors import APIError, NoStreamResponseError

from event_gateway.broker.connection import Broker

# The server's error codes for used-up storage: of a stream, of the account, of the server.
FULL = frozenset({10002, 10023, 10028, 10047, 10077, 10122})


class LogUnavailable(NatsError):
    """NATS cannot be reached, or does not answer."""


class NotTaken(LogUnavailable):
    """An event was not appended, and will not be: it was not sent to NATS, or refused."""


class NotConfirmed(LogUnavailable):
    """NATS did not confirm an event that was sent to it. It may be stored or not; the caller can
    send it again: the gateway recognises it by its source and id."""


class LogFull(LogUnavailable):
    """A stream refuses new messages and never drops old ones for them: it is at its limit, or the
    disk is full."""


def is_full(error: BaseException) -> bool:
    """Whether NATS says in an answer that its storage is used up."""
    return isinstance(error, APIError) and error.err_code in FULL


def failure(broker: Broker, error: BaseException) -> LogUnavailable:
    """The error to raise in place of one of NATS or its client."""
    if is_full(error):
        assert isinstance(error, APIError)
        return LogFull(str(error.description))
    # A server on a full disk gives no answer at all.
    if isinstance(error, (asyncio.TimeoutError, NatsTimeout, NoRespondersError)):
        if shortage := broker.shortage():
            return LogFull(shortage)
        if denied := broker.violations.during_call():
            return LogUnavailable(denied)
    if isinstance(error, NoStreamResponseError):
        return (
            LogFull(shortage)
            if (shortage := broker.shortage())
            else LogUnavailable(
                "no stream of NATS takes it: the stream was deleted, or JetStream is disabled"
            )
        )
    if isinstance(error, APIError):
        return LogUnavailable(str(error.description))
    return LogUnavailable(str(error) or type(error).__name__)
