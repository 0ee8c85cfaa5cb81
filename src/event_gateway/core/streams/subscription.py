"""What a subscriber requests, and how its subscription is shown."""

from typing import Any

import msgspec

from event_gateway.core.matching.selection import Selection
from event_gateway.core.streams.start import Start


class SubscribeRequest(msgspec.Struct, frozen=True):
    """A named stream, or subjects of the log; from which message on; and which of its events.

    ``start_given`` is the start as the client wrote it, ``durable`` the name under which its
    position is stored, ``take_over`` whether to end the subscription that holds that name.
    """

    stream: str | None = None
    subjects: tuple[str, ...] = ()
    start: Start = Start()
    start_given: Any = "new"
    durable: str | None = None
    take_over: bool = False
    selection: Selection = Selection()


class Subscription(msgspec.Struct, frozen=True):
    """A live subscription, as other processes see it in Redis. ``stream`` is empty if it receives
    subjects; ``since`` in seconds since the epoch."""

    id: str
    stream: str
    principal: str
    since: float
    start: str
    durable: str = ""
