"""Lifecycle events: CloudEvents about webhooks and streams that the gateway itself publishes.

The gateway publishes them without waiting, on the subject equal to their type.
"""

import itertools
import secrets
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any, ClassVar

import msgspec

from event_gateway.core.text.times import rfc3339

SOURCE = "event-gateway"
_encode = msgspec.json.Encoder().encode


class AttemptTriggered(msgspec.Struct, gc=False):
    """The data of ``webhook.triggered``. It is encoded as it is, in one call."""

    TYPE: ClassVar = "webhook.triggered"
    webhook_id: str
    event_id: str
    event_type: str
    attempt: int


class AttemptSucceeded(msgspec.Struct, gc=False):
    """The data of ``webhook.succeeded``; the duration of the attempt and the time since the receipt
    of the event in milliseconds."""

    TYPE: ClassVar = "webhook.succeeded"
    webhook_id: str
    event_id: str
    event_type: str
    attempt: int
    status_code: int
    duration_ms: int
    latency_ms: int


class AttemptFailed(msgspec.Struct, gc=False):
    """The data of ``webhook.failed``: ``retry_count`` attempts have failed."""

    TYPE: ClassVar = "webhook.failed"
    webhook_id: str
    event_id: str
    error_type: str | None
    error_message: str | None
    retry_count: int
    status_code: int | None
    next_attempt_at: str | None


class _Event(msgspec.Struct, gc=False):
    """An event until it is sent: encoding many in a row takes half the time of one by one. ``at``
    in seconds since the epoch."""

    frame: bytes
    number: int
    at: float
    data: Any

    def __call__(self) -> bytes:
        return self.frame % (self.number, rfc3339(self.at).encode(), _encode(self.data))


class Lifecycle:
    """Publishes lifecycle events. ``post`` publishes a message: it takes the subject and a function
    that makes the payload."""

    def __init__(self, post: Callable[[str, Callable[[], bytes]], None]) -> None:
        self._post = post
        self._count = itertools.count(1)
        process = secrets.token_hex(8)

        @lru_cache(maxsize=4096)
        def frame(event_type: str, kind: str, name: str) -> bytes:
            """The JSON of an event about something of a kind, with placeholders for its number,
            time and data. Cached, since each delivery publishes two or more events."""
            type_json, subject_json = (
                _encode(text).replace(b"%", b"%%") for text in (event_type, f"{kind}/{name}")
            )
            return (
                b'{"specversion":"1.0","id":"%b-%%d","source":"%b","type":%b,"subject":%b,'
                b'"time":"%%b","datacontenttype":"application/json","data":%%b}'
                % (process.encode(), SOURCE.encode(), type_json, subject_json)
            )

        self._frame = frame

    def attempt(self, data: AttemptTriggered | AttemptSucceeded | AttemptFailed, at: float) -> None:
        """Publishes what has become of an attempt at a time, in seconds since the epoch."""
        event_type = data.TYPE
        frame = self._frame(event_type, "webhook", data.webhook_id)
        self._post(event_type, _Event(frame, next(self._count), at, data))

    def webhook(self, action: str, webhook_id: str, data: dict[str, Any]) -> None:
        """Publishes ``webhook.<action>``; the webhook's id is added to ``data``."""
        self._publish(
            f"webhook.{action}", "webhook", webhook_id, {"webhook_id": webhook_id, **data}
        )

    def stream(self, action: str, name: str, data: dict[str, Any]) -> None:
        """Publishes ``stream.<action>``; the stream's name is added to ``data``."""
        self._publish(f"stream.{action}", "stream", name, {"stream": name, **data})

    def _publish(self, event_type: str, kind: str, name: str, data: dict[str, Any]) -> None:
        frame = self._frame(event_type, kind, name)
        self._post(event_type, _Event(frame, next(self._count), time.time(), data))
