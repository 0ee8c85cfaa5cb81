"""What became of an event at each webhook: its delivery, or the first condition that failed."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from event_gateway.broker.connection import Broker
from event_gateway.broker.log_search import UNREADABLE
from event_gateway.broker.stream_page import read_page
from event_gateway.core.access.narrowing import is_of
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.streams.definition import LIFECYCLE
from event_gateway.core.streams.known_log import KnownLog
from event_gateway.core.text.times import rfc3339, rfc3339_or_none
from event_gateway.core.webhook.delivery import FINAL
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.lookup.finder import Found, decoded
from event_gateway.lookup.waiting import Turn, Wait, in_order, waits
from event_gateway.state.ledger import Ledger
from event_gateway.state.order import Order
from event_gateway.state.queue_places import QueuePlaces
from event_gateway.state.records import Record

AHEAD = 256  # events behind an ordered webhook's position that are searched for its next one


class FailedCondition(Protocol):
    """A condition that does not hold."""

    @property
    def condition(self) -> str:
        """Its key in the webhook."""
        ...

    @property
    def detail(self) -> str:
        """Why it does not hold."""
        ...


Explain = Callable[[Webhook, Received], FailedCondition | None]


class WebhookAccount:
    """Accounts for an event at webhooks. ``explain``: the first condition of a webhook that does
    not hold of an event; ``logs``: what is known of the streams."""

    def __init__(
        self,
        broker: Broker,
        *,
        ledger: Ledger,
        places: QueuePlaces,
        order: Order,
        explain: Explain,
        logs: Mapping[str, KnownLog],
    ) -> None:
        self._broker = broker
        self._ledger = ledger
        self._places = places
        self._order = order
        self._explain = explain
        self._logs = logs

    async def records(
        self, received: Received, webhooks: Sequence[Webhook], *, own: bool
    ) -> dict[str, Record]:
        """The records of an event's deliveries, by webhook; see :meth:`records_of`."""
        event = received.event
        return await self.records_of(event.id, event.source, webhooks, own=own)

    async def records_of(
        self, event_id: str, source: str | None, webhooks: Sequence[Webhook], *, own: bool
    ) -> dict[str, Record]:
        """The records of the deliveries of an event of this id, by webhook. ``own``: without those
        of former webhooks of an id, which may have had another owner. Raises the exceptions in
        StateError, and NewerFormat."""
        records = await self._ledger.read_of([each.id for each in webhooks], event_id, source)
        return {
            webhook.id: record
            for webhook, record in zip(webhooks, records, strict=True)
            if record is not None and not (own and record.updated_at < webhook.created_at)
        }

    async def account(
        self, found: Found, webhooks: Sequence[Webhook], records: Mapping[str, Record]
    ) -> list[dict[str, Any]]:
        """A row for each webhook, as the API shows it. Raises the exceptions in StateError."""
        received = found.received
        open_ones = [
            webhook.id
            for webhook in webhooks
            if webhook.id in records and records[webhook.id].status not in FINAL
        ]
        places = await self._places.of(received.event.id, received.event.source, open_ones)
        rows = []
        for webhook in webhooks:
            record = records.get(webhook.id)
            if record is not None:
                waiting = waits(webhook, record, places[webhook.id]) if webhook.id in places else []
                if webhook.ordered and waiting:
                    waiting = in_order(webhook, record.seq, await self._turn(webhook, record.seq,
                                       record.stream)) or waiting  # fmt: skip
                rows.append(delivered(webhook, record, waiting))
                continue
            failed = self.mismatch(webhook, received)
            if failed is not None:
                rows.append({
                    "id": webhook.id, "matched": False, "reason": failed, "state": webhook.state,
                })  # fmt: skip
            else:
                rows.append(await self._unrecorded(found, webhook))
            await asyncio.sleep(0)  # expressions may be slow
        return rows

    def mismatch(
        self, webhook: Webhook, received: Received, *, registered: bool = True
    ) -> str | None:
        """The first condition of a webhook that does not hold of an event, as text; None if all
        hold. ``registered``: also that it was registered before the event."""
        if webhook.is_leaving:
            return f"state: the webhook is {webhook.state}, and gets no new events"
        if registered and not webhook.is_older_than(received.stream, received.seq):
            return (
                f"registered: the webhook was registered at {rfc3339(webhook.created_at)}, with "
                f"the log at sequence {webhook.since_of(received.stream)}; it gets later events"
            )
        if registered and received.stream == LIFECYCLE and not webhook.reads_lifecycle:
            return "events: the webhook takes no lifecycle events"
        if webhook.owner and not is_of(received, webhook.owner):
            return "owner: the event is not of a namespace of the webhook's owner"
        failed = self._explain(webhook, received)
        return None if failed is None else f"{failed.condition}: {failed.detail}"

    async def _turn(self, webhook: Webhook, seq: int, stream: str) -> Turn:
        log = self._logs.get(stream, KnownLog(""))
        done = max(await self._order.position(webhook.id, stream, log), webhook.since_of(stream))
        following = None
        if done < seq:
            try:
                page = await read_page(self._broker, stream, from_seq=done + 1, limit=AHEAD)
            except UNREADABLE:
                page = None
            for received in decoded(stream, page.messages) if page is not None else ():
                if self.mismatch(webhook, received) is None:
                    following = received.seq
                    break
        return Turn(done, following)

    async def _unrecorded(self, found: Found, webhook: Webhook) -> dict[str, Any]:
        """A webhook that matches an event and has no delivery of it."""
        received, state = found.received, found.state
        waiting: list[Wait] = []
        unknown = None
        if webhook.ordered:
            turn = await self._turn(webhook, received.seq, received.stream)
            waiting = in_order(webhook, received.seq, turn)
            unknown = "the ordered webhook is past this event, and has no record of it"
        elif received.seq > state.settled and not found.indexed:
            behind = max(received.seq - state.taken, 0)
            waiting = [Wait("not_routed", f"the router has {behind} events to take up to this one")]
        elif received.seq > state.settled:
            waiting = [Wait("routing", "the router has taken the event; the delivery is not "
                            "recorded yet")]  # fmt: skip
        else:
            unknown = (
                "it matches as it is now, and no delivery is recorded: it was changed after the "
                "event was routed, or the record has expired (delivery.keep_records), or the "
                "router has set the event aside (GET /v1/rejected)"
            )
        row: dict[str, Any] = {
            "id": webhook.id, "matched": True, "status": None, "state": webhook.state,
            "waits": msgspec.to_builtins(waiting),
        }  # fmt: skip
        if not waiting:
            row["unknown"] = unknown
        return row


def delivered(webhook: Webhook, record: Record, waiting: Sequence[Wait]) -> dict[str, Any]:
    """The row of a webhook with a delivery."""
    last = record.attempts[-1] if record.attempts else None
    return {
        "id": webhook.id,
        "matched": True,
        "status": record.status.value,
        "state": webhook.state,
        "attempts": len(record.attempts),
        "max_attempts": webhook.retry_policy.max_attempts,
        "run": record.run,
        "repeats": record.run_by or None,
        "updated_at": rfc3339(record.updated_at),
        "next_attempt_at": rfc3339_or_none(record.next_attempt_at),
        "last_error": record.last_error,
        "not_retried": None if last is None else last.not_retried,
        "dead_letter": record.dead_letter or None,
        "waits": msgspec.to_builtins(waiting),
    }
