"""Lifecycle events that are announced once, whatever the number of processes that want to.

The leader decides that something begins or ends, and every process may become the leader. So an
announcement goes hand in hand with a state in the status bucket, in this order: the state is
written with ``announced: false``, the event is published, the state is written with
``announced: true``. The event's id is made of what it is about. A leader that finds a state which
another process has not finished announces it with the same id.
"""

from typing import Any

import msgspec

from event_gateway.broker.lifecycle_log import LifecycleLog
from event_gateway.core.text.times import rfc3339
from event_gateway.observability.lifecycle import SOURCE

_encode = msgspec.json.Encoder().encode


class Announcements:
    """Publishes lifecycle events and waits until NATS has stored them."""

    def __init__(self, log: LifecycleLog) -> None:
        self._log = log

    async def announce(
        self,
        event_type: str,
        subject: str,
        data: dict[str, Any],
        event_id: str,
        *,
        at: float,
        perhaps_published: bool = False,
    ) -> None:
        """Publishes an event, such as ``gateway.health.degraded`` with the subject ``gateway``.

        ``at``: when it happened, in seconds since the epoch. NATS drops a second one with the same
        id for two minutes. ``perhaps_published``: another process may have published it longer ago;
        then the log is searched first. Raises LogUnavailable: then the caller tries again later.
        """
        if perhaps_published and await self._log.holds(event_type, event_id):
            return
        event = {
            "specversion": "1.0", "id": event_id, "source": SOURCE, "type": event_type,
            "subject": subject, "time": rfc3339(at), "datacontenttype": "application/json",
            "data": data,
        }  # fmt: skip
        await self._log.append(event_type, _encode(event), event_id)
