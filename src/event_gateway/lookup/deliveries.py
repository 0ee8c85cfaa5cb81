"""Lists deliveries of one, several or all webhooks, in one order.

What changed last comes first: each webhook knows its latest thousand. What waits, and is not among
those, follows in the order of its attempts.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec

from event_gateway.broker.log_reader import LogReader
from event_gateway.core.matching.pattern import takes
from event_gateway.core.webhook.delivery import Status
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.lookup.merged_deliveries import MergedDeliveries, Place
from event_gateway.lookup.read_events import read_events
from event_gateway.state.script_arguments import ListPlace
from event_gateway.state.tracking import TrackedDelivery, Tracking, in_ms

MAX_READ = 20_000  # deliveries that one page may look at
MAX_EVENTS = 2_048  # events that one page may read, to know their types
EVENTS_AT_A_TIME = 256
WAITING = frozenset({Status.PENDING, Status.RETRYING, Status.IN_PROGRESS})

_SCORE = r"^(-?[0-9]{1,16}(\.[0-9]{1,6})?)?$"


class DeliveryQuery(msgspec.Struct, frozen=True):
    """What is listed: a status, a pattern of event types (None: any), and from when until before
    when the delivery changed last, in seconds since the epoch. ``since_by_webhook``: later begins
    of some webhooks."""

    status: Status | None = None
    type: str | None = None
    since: float | None = None
    until: float | None = None
    since_by_webhook: Mapping[str, float] = {}

    def from_ms(self, webhook_id: str) -> int | None:
        """From when on the deliveries of a webhook are listed, in ms; None: all."""
        times = (self.since, self.since_by_webhook.get(webhook_id))
        return max((in_ms(time) for time in times if time is not None), default=None)


class DeliveryPosition(msgspec.Struct, frozen=True, array_like=True):
    """Where a page ends: in the list of waiting deliveries or in that of those that changed last,
    and after which delivery; without a member, before all of its webhook with that score; without a
    score, at the beginning."""

    waits: bool
    score: Annotated[str, msgspec.Meta(pattern=_SCORE)] = ""
    webhook: str = ""
    member: str = ""


class DeliveryPage(msgspec.Struct, frozen=True):
    """A page. ``next``: where the next one begins; None: this is the last."""

    deliveries: list[TrackedDelivery]
    next: DeliveryPosition | None


class DeliveryList:
    """Lists deliveries."""

    def __init__(self, tracking: Tracking, log: LogReader) -> None:
        self._tracking = tracking
        self._log = log

    async def page(
        self,
        webhooks: Mapping[str, Webhook],
        wanted: DeliveryQuery,
        limit: int,
        after: DeliveryPosition | None,
    ) -> DeliveryPage:
        """At most ``limit`` deliveries to some webhooks. A page that has looked at
        :data:`MAX_READ` deliveries, or has read :data:`MAX_EVENTS` events, may have fewer, or none,
        and be followed by another. Raises LogUnavailable, and the exceptions in StateError."""
        if wanted.type is None:
            return await self._of_any_type(webhooks, wanted, limit, after)
        found: list[TrackedDelivery] = []
        for _ in range(MAX_EVENTS // EVENTS_AT_A_TIME):
            page = await self._of_any_type(webhooks, wanted, EVENTS_AT_A_TIME, after)
            for delivery in await self._of_type(page.deliveries, wanted.type):
                if len(found) == limit:
                    return DeliveryPage(found, _after(found[-1]))
                found.append(delivery)
            after = page.next
            if after is None:
                break
        return DeliveryPage(found, after)

    async def total(self, webhook: Webhook, wanted: DeliveryQuery) -> tuple[int, bool]:
        """How many deliveries to one webhook all pages have, of any type, and whether there may be
        fewer. Raises the exceptions in StateError."""
        lists = _lists_of(wanted.status, {webhook.id: webhook})
        since = wanted.from_ms(webhook.id)
        return await self._tracking.count(
            webhook.id,
            status=wanted.status,
            since=None if since is None else since / 1000,
            until=wanted.until,
            recent=any(names for waits, names in lists if not waits),
            queued=any(names for waits, names in lists if waits),
        )

    async def _of_any_type(
        self,
        webhooks: Mapping[str, Webhook],
        wanted: DeliveryQuery,
        limit: int,
        after: DeliveryPosition | None,
    ) -> DeliveryPage:
        found: list[TrackedDelivery] = []
        left = MAX_READ
        for waits, names in _lists_of(wanted.status, webhooks):
            if not names or (after is not None and after.waits and not waits):
                continue
            merged = MergedDeliveries(
                self._tracking,
                waits=waits,
                status=wanted.status,
                until=wanted.until,
                unless_recent=waits and wanted.status is None,
            )
            begin = Place(after.score, after.webhook, after.member) if (
                after is not None and after.waits == waits
            ) else Place()  # fmt: skip
            places = (ListPlace(name, since=wanted.from_ms(name)) for name in names)
            await merged.begin(places, begin)
            taken, place = await merged.take(limit - len(found), left)
            found += taken
            left -= merged.read
            if place is not None:
                return DeliveryPage(found, DeliveryPosition(waits, *place))
        return DeliveryPage(found, None)

    async def _of_type(
        self, deliveries: Sequence[TrackedDelivery], pattern: str
    ) -> list[TrackedDelivery]:
        """Those whose event has a type that the pattern takes; not those that the log has lost."""
        seqs: dict[str, dict[int, bool]] = {}
        for delivery in deliveries:
            seqs.setdefault(delivery.stream, {})[delivery.seq] = False
        for stream, fitting in seqs.items():
            for received in await read_events(self._log, stream, list(fitting)):
                fitting[received.seq] = takes(pattern, received.event.type)
        return [each for each in deliveries if seqs[each.stream][each.seq]]


def _lists_of(
    status: Status | None, webhooks: Mapping[str, Webhook]
) -> list[tuple[bool, list[str]]]:
    """Which lists a status is in, those that changed last before those that wait, each with the
    webhooks that are read. Deliveries of ordered webhooks are not queued."""
    every = list(webhooks)
    queued = [name for name, webhook in webhooks.items() if not webhook.ordered]
    if status is None:
        return [(False, every), (True, queued)]
    if status not in WAITING:
        return [(False, every)]
    ordered = [name for name, webhook in webhooks.items() if webhook.ordered]
    return [(False, ordered), (True, queued)]


def _after(delivery: TrackedDelivery) -> DeliveryPosition:
    return DeliveryPosition(delivery.waits, delivery.score, delivery.webhook_id, delivery.member)
