"""Which dead letters a request is about: they pass its filter, and its caller may see them."""

from dataclasses import dataclass

import msgspec

from event_gateway.api.server.pages import time_of
from event_gateway.api.server.problems import Problem
from event_gateway.broker.dead_letters import DeadLetterLog, StoredDeadLetter
from event_gateway.broker.registry import Registry
from event_gateway.core.access.narrowing import is_narrowed, may_read, may_select
from event_gateway.core.access.principal import Principal
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.matching.pattern import check_pattern, matches
from event_gateway.core.text.identifier import ID
from event_gateway.registration.visibility import webhook_of, webhook_or_none
from event_gateway.replay.ownership import is_of_registration, received

SCAN = 5000  # dead letters that a request reads: a page can have fewer than match
READ = 500  # dead letters in one read
MAX_BYTES = 32 * 1024 * 1024  # event data of a response, held in memory


class DeadLetterFilter(msgspec.Struct, frozen=True):
    """The conditions of a request; ``since`` and ``until`` in seconds since the epoch."""

    webhook: str | None
    type: str | None
    reason: str | None
    since: float | None
    until: float | None

    def passes(self, stored: StoredDeadLetter) -> bool:
        """Whether a dead letter (of the right webhook) passes the filter."""
        return (
            (self.type is None or matches(self.type, stored.event.type))
            and (self.reason is None or stored.body.reason == self.reason)
            and (self.since is None or stored.time >= self.since)
            and (self.until is None or stored.time < self.until)
        )


def filter_of(
    webhook: str | None, type: str | None, reason: str | None, since: str | None, until: str | None
) -> DeadLetterFilter:
    """The filter that a request gives. Raises InvalidDefinition."""
    if type is not None:
        check_pattern(type, "type")
    return DeadLetterFilter(
        checked_webhook(webhook), type, reason, time_of("since", since), time_of("until", until)
    )


def checked_webhook(webhook: str | None) -> str | None:
    """An id that may be that of a webhook. Raises InvalidDefinition."""
    if webhook is not None and ID.fullmatch(webhook) is None:
        raise InvalidDefinition("webhook", "is not an id of a webhook")
    return webhook


@dataclass(frozen=True, slots=True)
class DeadLetterSelection:
    """Finds dead letters in the log, for a caller."""

    log: DeadLetterLog
    registry: Registry

    def may_see(self, caller: Principal, stored: StoredDeadLetter) -> bool:
        """Whether a caller may see a dead letter: its webhook, and its event. A former webhook of
        this id may have had another owner."""
        if not is_narrowed(caller):
            return True
        webhook = webhook_or_none(caller, self.registry, stored.body.webhook_id)
        return (
            webhook is not None
            and is_of_registration(webhook, stored)
            and may_read(caller, received(stored))
        )

    async def select(
        self, caller: Principal, filters: DeadLetterFilter, *, from_id: int | None, limit: int
    ) -> tuple[list[StoredDeadLetter], int | None]:
        """At most ``limit`` dead letters that pass the filter and that the caller may see, from an
        id on; and the id at which the next page begins, if there may be more."""
        passing: list[StoredDeadLetter] = []
        size = 0  # bytes of data in them
        scanned, since = 0, filters.since if from_id is None else None
        all_pass = filters.type is None and filters.reason is None and not is_narrowed(caller)
        next_id, remaining = from_id or 1, 1
        while remaining and scanned < SCAN:
            page, last, remaining = await self.log.page(
                webhook_id=filters.webhook,
                from_position=next_id,
                since=since,
                limit=min(READ, limit) if all_pass else READ,
            )
            since = None
            next_id = last + 1
            scanned += len(page)
            for stored in page:
                if filters.until is not None and stored.time >= filters.until:
                    return passing, None
                if filters.passes(stored) and self.may_see(caller, stored):
                    if len(passing) == limit or size > MAX_BYTES:
                        return passing, stored.position
                    passing.append(stored)
                    size += len(stored.event.data)
        return passing, next_id if remaining else None

    async def latest(
        self, caller: Principal, filters: DeadLetterFilter, *, before: int | None, limit: int
    ) -> tuple[list[StoredDeadLetter], int | None]:
        """As :meth:`select`, the newest first: those before an id, and the id before which the
        next page begins."""
        first, last = await self.log.bounds()
        end = last + 1
        if before is not None:
            end = min(before, end)
        elif filters.until is not None:
            end = await self.first_since(filters.until, last)
        passing: list[StoredDeadLetter] = []
        size = scanned = 0
        all_pass = filters.type is None and filters.reason is None and not is_narrowed(caller)
        while end > first and scanned < SCAN:
            letters, begin = await self.log.latest(
                webhook_id=filters.webhook, before=end, floor=first,
                wanted=min(READ, max(limit - len(passing), 1)) if all_pass else READ,
            )  # fmt: skip
            scanned += max(len(letters), 1)
            for stored in letters:
                if filters.since is not None and stored.time < filters.since:
                    return passing, None
                if filters.passes(stored) and self.may_see(caller, stored):
                    if len(passing) == limit or size > MAX_BYTES:
                        return passing, stored.position + 1
                    passing.append(stored)
                    size += len(stored.event.data)
            end = begin
        return passing, end if end > first else None

    async def one_webhook(
        self, caller: Principal, *, webhook_id: str | None, ids: tuple[int, ...]
    ) -> str:
        """The webhook whose dead letters a narrowed caller replays.

        Raises NotRegistered, InvalidDefinition, and a Problem if there is no dead letter of an id.
        """
        if not ids:
            if webhook_id is None:
                raise InvalidDefinition("webhook", "name one of the caller's webhooks")
            return webhook_of(caller, self.registry, webhook_id).id
        webhook_ids = set()
        remaining = iter(ids)
        async for read in self.log.read_all(ids):
            for stored, letter_id in zip(read, remaining, strict=False):
                if stored is None or not self.may_see(caller, stored):
                    raise Problem(404, f"there is no dead letter {letter_id}")
                webhook_ids.add(stored.body.webhook_id)
        if len(webhook_ids) > 1:
            raise InvalidDefinition("ids", "name dead letters of one webhook")
        return webhook_ids.pop()

    async def first_since(self, since: float, last: int) -> int:
        """The id of the first dead letter since a time; ``last + 1`` if there is none."""
        _, letter_id, _ = await self.log.page(webhook_id=None, since=since, limit=1)
        return letter_id or last + 1  # a dead letter that cannot be read has an id all the same

    async def count(self, filters: DeadLetterFilter) -> int:
        """How many dead letters a webhook, or all, have of the filter's times."""
        _, last = await self.log.bounds()
        begin = 1 if filters.since is None else await self.first_since(filters.since, last)
        end = last + 1 if filters.until is None else await self.first_since(filters.until, last)
        if begin >= end:
            return 0
        count = await self._count_from(filters.webhook, begin)
        return count - (await self._count_from(filters.webhook, end) if end <= last else 0)

    async def count_before(self, webhook: str | None, before: int) -> int:
        """How many dead letters have an id below ``before``."""
        total = await self._count_from(webhook, 1)
        return total - await self._count_from(webhook, before)

    async def _count_from(self, webhook: str | None, letter_id: int) -> int:
        page, last, remaining = await self.log.page(
            webhook_id=webhook, from_position=letter_id, limit=1
        )
        return remaining + (1 if page or last >= letter_id else 0)


def narrowed_types(caller: Principal, types: tuple[str, ...]) -> list[str]:
    """The patterns of a replay, within the types of its caller. Raises InvalidDefinition."""
    if not may_select(caller, types):
        allowed = ", ".join(caller.types or ())
        raise InvalidDefinition("types", f"the caller may use types within: {allowed}")
    return list(types or caller.types or ())
