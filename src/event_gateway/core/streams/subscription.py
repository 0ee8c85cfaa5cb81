"""What a subscriber asks for, and how its subscription is shown."""

from typing import Any

import msgspec

from event_gateway.core.matching.selection import Selection
from event_gateway.core.streams.start import Start


class SubscribeRequest(msgspec.Struct, frozen=True):
    """A named stream, or subjects of the log; from where on; and what of it.

    ``asked`` is the start in the client's own words, ``durable`` the name under which its position
    is kept.
    """

    stream: str | None = None
    subjects: tuple[str, ...] = ()
    start: Start = Start()
    asked: Any = "new"
    durable: str | None = None
    take_over: bool = False
    selection: Selection = Selection()


class Subscription(msgspec.Struct, frozen=True):
    """A live subscriber, as others can see it. ``stream`` is empty where it listens to subjects;
    ``since`` in seconds since the epoch."""

    id: str
    stream: str
    principal: str
    since: float
    start: str
    durable: str = ""
