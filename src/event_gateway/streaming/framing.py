"""The frames of a subscriber: in envelopes, bare CloudEvents, or Server-Sent Events."""

import json
from typing import Any, Protocol

from event_gateway.streaming.event_stream import ENDED, named_block, position_block
from event_gateway.streaming.send_buffer import Piece
from event_gateway.streaming.stream_message import StreamMessage


class Framing(Protocol):
    """Encodes what is sent to a subscriber."""

    def event(self, message: StreamMessage) -> Piece:
        """The frame of an event."""

    def notice(self, name: str, members: dict[str, Any]) -> Piece | None:
        """The frame of a notice, such as ``lagging``; None if this framing has no notices."""

    def position(self, seq: int) -> Piece | None:
        """The frame that tells the client to resume behind ``seq``; None if there is none."""


class EnvelopeFraming:
    """Frames of a connection with several subscriptions: each names the subscription and the
    stream. ``stream`` is None for subscriptions to subjects."""

    __slots__ = ("_head", "_names")

    def __init__(self, subscription_id: str, stream: str | None) -> None:
        self._names = {"subscription": subscription_id, "stream": stream}
        self._head = _compact({"type": "event", **self._names})[:-1] + b',"seq":'

    def event(self, message: StreamMessage) -> Piece:
        """The frame of an event."""
        return self._head, message.enveloped()

    def notice(self, name: str, members: dict[str, Any]) -> Piece:
        """The frame of a notice."""
        return _compact({"type": name, **self._names, **members}), b""

    def position(self, seq: int) -> Piece:
        """The frame of a position."""
        return self.notice("position", {"seq": seq})


class BareFraming:
    """Bare CloudEvents (the WebSocket protocol binding of CloudEvents 1.0.2)."""

    __slots__ = ()

    def event(self, message: StreamMessage) -> Piece:
        """The frame of an event."""
        return b"", message.json()

    def notice(self, name: str, members: dict[str, Any]) -> None:
        """There are no frames for notices."""

    def position(self, seq: int) -> None:
        """There is no frame for positions."""


class SseFraming:
    """Server-Sent Events: a notice has an event name and no id."""

    __slots__ = ()

    def event(self, message: StreamMessage) -> Piece:
        """The event, with its sequence as id."""
        return b"", message.sse()

    def notice(self, name: str, members: dict[str, Any]) -> Piece:
        """The notice as a named event."""
        return named_block(name, _compact(members)), b""

    def position(self, seq: int) -> Piece:
        """A block with an id and without data."""
        return position_block(seq), b""

    def ended(self, code: str, *, for_good: bool) -> Piece:
        """The last event. ``for_good``: the client shall not connect again."""
        data = _compact({"code": code})
        return named_block("unsubscribed", data, ENDED if for_good else None), b""


class AloneFraming:
    """The frames of another framing, for a subscriber that may not see every event."""

    __slots__ = ("_framing", "notice", "position")

    def __init__(self, framing: Framing) -> None:
        self._framing = framing
        self.notice = framing.notice
        self.position = framing.position

    def event(self, message: StreamMessage) -> Piece:
        """The frame of an event, whose enrichment names no other event."""
        return self._framing.event(message.alone())


def _compact(members: dict[str, Any]) -> bytes:
    return json.dumps(members, separators=(",", ":")).encode()
