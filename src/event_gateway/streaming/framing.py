"""The frames of a subscriber: in envelopes, bare CloudEvents, or Server-Sent Events."""

import json
from typing import Any, Protocol

from event_gateway.streaming.outbox import Piece
from event_gateway.streaming.stream_message import StreamMessage


class Framing(Protocol):
    """Encodes what is sent to a subscriber."""

    def event(self, message: StreamMessage) -> Piece:
        """The frame of an event."""

    def notice(self, name: str, members: dict[str, Any]) -> Piece | None:
        """The frame of a notice, such as ``lagging``; None if this framing has no notices."""


class EnvelopeFraming:
    """Frames of a connection with several subscriptions: each names the subscription and the
    stream. ``stream`` is None for subscriptions to subjects."""

    __slots__ = ("_head", "_names")

    def __init__(self, subscription_id: str, stream: str | None) -> None:
        self._names = {"subscription": subscription_id, "stream": stream}
        head = json.dumps({"type": "event", **self._names}, separators=(",", ":"))
        self._head = f'{head[:-1]},"seq":'.encode()

    def event(self, message: StreamMessage) -> Piece:
        """The frame of an event."""
        return self._head, message.enveloped()

    def notice(self, name: str, members: dict[str, Any]) -> Piece:
        """The frame of a notice."""
        return json.dumps(
            {"type": name, **self._names, **members}, separators=(",", ":")
        ).encode(), b""


class BareFraming:
    """Bare CloudEvents (the WebSocket protocol binding of CloudEvents 1.0.2)."""

    __slots__ = ()

    def event(self, message: StreamMessage) -> Piece:
        """The frame of an event."""
        return b"", message.json()

    def notice(self, name: str, members: dict[str, Any]) -> None:
        """There are no frames for notices."""


class SseFraming:
    """Server-Sent Events: a notice has an event name and no id."""

    __slots__ = ()

    def event(self, message: StreamMessage) -> Piece:
        """The event, with its sequence as id."""
        return b"", message.sse()

    def notice(self, name: str, members: dict[str, Any]) -> Piece:
        """The notice as a named event."""
        data = json.dumps(members, separators=(",", ":"))
        return f"event: {name}\ndata: {data}\n\n".encode(), b""
