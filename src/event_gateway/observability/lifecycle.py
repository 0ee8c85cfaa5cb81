"""Lifecycle events: what the gateway itself tells on the bus, as CloudEvents.

They are published without waiting, on the subject equal to their type.
"""

import itertools
import secrets
import time
from collections.abc import Callable
from typing import Any

import msgspec

from event_gateway.core.times import rfc3339

SOURCE = "event-gateway"
_encode = msgspec.json.Encoder().encode


class _LifecycleEvent(msgspec.Struct):
    specversion: str
    id: str
    source: str
    type: str
    subject: str
    time: str
    datacontenttype: str
    data: dict[str, Any]


class Lifecycle:
    """Publishes lifecycle events through ``post(subject, payload)``."""

    def __init__(self, post: Callable[[str, bytes], None]) -> None:
        self._post = post
        self._process = secrets.token_hex(8)
        self._count = itertools.count(1)

    def webhook(self, what: str, webhook_id: str, data: dict[str, Any]) -> None:
        """``webhook.<what>``; ``data`` gets the webhook's id."""
        self._publish(f"webhook.{what}", f"webhook/{webhook_id}", {"webhook_id": webhook_id} | data)

    def stream(self, what: str, name: str, data: dict[str, Any]) -> None:
        """``stream.<what>``; ``data`` gets the stream's name."""
        self._publish(f"stream.{what}", f"stream/{name}", {"stream": name} | data)

    def _publish(self, event_type: str, subject: str, data: dict[str, Any]) -> None:
        event = _LifecycleEvent(
            "1.0",
            f"{self._process}-{next(self._count)}",
            SOURCE,
            event_type,
            subject,
            rfc3339(time.time()),
            "application/json",
            data,
        )
        self._post(event_type, _encode(event))
