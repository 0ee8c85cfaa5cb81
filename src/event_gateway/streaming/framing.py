"""How a subscriber's frames look: in an envelope, bare, or as Server-Sent Events."""

import json
from typing import Any, Protocol

from event_gateway.streaming.outbox import Piece
from event_gateway.streaming.stream_message import StreamMessage


class Framing(Protocol):
    """Makes a subscriber's frames."""

    def event(self, message: StreamMessage) -> Piece:
        """An event."""

    def notice(self, what: str, more: dict[str, Any]) -> Piece | None:
        """What there is to say of the subscription; None where that cannot be said."""


class EnvelopeFraming:
    """Frames of a connection with several subscriptions, each with its own and its stream's name.

    ``stream`` is None for subjects without one.
    """

    __slots__ = ("_head", "_who")

    def __init__(self, subscription_id: str, stream: str | None) -> None:
        self._who = {"subscription": subscription_id, "stream": stream}
        head = json.dumps({"type": "event", **self._who}, separators=(",", ":"))
        self._head = f'{head[:-1]},"seq":'.encode()

    def event(self, message: StreamMessage) -> Piece:
        """An event in its envelope."""
        return self._head, message.enveloped()

    def notice(self, what: str, more: dict[str, Any]) -> Piece:
        """A frame of that type."""
        return json.dumps({"type": what, **self._who, **more}, separators=(",", ":")).encode(), b""


class BareFraming:
    """Nothing but CloudEvents (the WebSocket protocol binding of CloudEvents 1.0.2)."""

    __slots__ = ()

    def event(self, message: StreamMessage) -> Piece:
        """The event alone."""
        return b"", message.json()

    def notice(self, what: str, more: dict[str, Any]) -> None:
        """There is no frame for it."""


class SseFraming:
    """Server-Sent Events: what is no event of the stream has a name of its own and no id."""

    __slots__ = ()

    def event(self, message: StreamMessage) -> Piece:
        """The event under its sequence."""
        return b"", message.sse()

    def notice(self, what: str, more: dict[str, Any]) -> Piece:
        """An event of that name."""
        data = json.dumps(more, separators=(",", ":"))
        return f"event: {what}\ndata: {data}\n\n".encode(), b""
