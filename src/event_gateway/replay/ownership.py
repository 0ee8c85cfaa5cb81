"""Which dead letters are those of a webhook with an owner: its own, and of its namespaces."""

import msgspec

from event_gateway.broker.dead_letters import StoredDeadLetter
from event_gateway.core.access.narrowing import is_of
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.text.times import rfc3339
from event_gateway.core.webhook.webhook import Webhook


class _Registered(msgspec.Struct):
    created_at: str = ""


def is_own(webhook: Webhook, stored: StoredDeadLetter) -> bool:
    """Whether a dead letter under the id of this webhook is its own.

    A former webhook of the id may have had another owner; the dead letter names the registration
    of its webhook. For a webhook without an owner, every dead letter under its id counts.
    """
    if not webhook.owner:
        return True
    return is_of(received(stored), webhook.owner) and is_of_registration(webhook, stored)


def is_of_registration(webhook: Webhook, stored: StoredDeadLetter) -> bool:
    """Whether a dead letter is of this registration of its webhook's id."""
    try:
        former = msgspec.json.decode(stored.body.webhook, type=_Registered | None)
    except msgspec.DecodeError:
        return False
    if former is None or not former.created_at:  # the definition did not fit into the message
        return stored.time >= webhook.created_at
    return former.created_at == rfc3339(webhook.created_at)


def received(stored: StoredDeadLetter) -> Received:
    """The event of a dead letter, as conditions read events."""
    return Received(stored.event, stored.body.stream, stored.body.seq, stored.time)
