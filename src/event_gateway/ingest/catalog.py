"""The catalog: event types, and what becomes of events that do not hold to theirs."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import structlog

from event_gateway.broker.event_log import ORIGIN_HEADER
from event_gateway.broker.registry import Registry, RegistryConflict
from event_gateway.core.cloudevents.event import DataKind, Event, Received
from event_gateway.core.cloudevents.reserved_types import check_reserved
from event_gateway.core.errors import Conflict, InvalidDefinition, InvalidEvent, Unknown
from event_gateway.core.schema.event_schema import EventSchema, Violation
from event_gateway.core.schema.event_type import MAX_TOTAL, MAX_TYPES, EventType, compiled
from event_gateway.observability.lifecycle_types import LIFECYCLE_TYPES
from event_gateway.observability.metrics import Metrics

log = structlog.get_logger(__name__)

PER_TURN = 100  # types compared in one turn of the event loop
QUIET = 60.0  # seconds between two warnings about events of one type


class _Rule:
    """A type's schema in force. ``since``: when the broker took it; ``schema`` is made of the type
    when an event of it first comes, None for good where that fails."""

    __slots__ = ("event_type", "made", "schema", "since")

    def __init__(self, event_type: EventType, since: float) -> None:
        self.event_type, self.since = event_type, since
        self.schema: EventSchema | None = None
        self.made = False

    def violation(self, event: Event, received: Received | None = None) -> Violation | None:
        if not self.made:
            self.made = True
            try:
                assert isinstance(self.event_type.schema, msgspec.Raw)
                self.schema = compiled(self.event_type.schema)
            except InvalidDefinition as error:
                log.error("a schema cannot be used, events of its type pass",
                          type=event.type, error=str(error))  # fmt: skip
        return None if self.schema is None else _violation(self.schema, event, received)


class Catalog:
    """The types that are registered, the gateway's own, and the check of events against them.

    ``enforce`` is for types that say nothing; ``strict``: types that are not registered are treated
    by it, too.
    """

    def __init__(self, registry: Registry, metrics: Metrics, *, enforce: str, strict: bool) -> None:
        self._registry = registry
        self._metrics = metrics
        self._enforce = enforce
        self._strict = strict
        # Since when that is so, as far as this process knows.
        self._since = time.time()
        self._rules: dict[str, _Rule] = {}
        self._sizes: dict[str, int] = {}
        self._total = 0
        self._told: dict[str, float] = {}
        registry.on_event_type.append(self._changed)

    def configure(self, enforce: str, strict: bool) -> None:
        """Takes up what the configuration says by now."""
        if (enforce, strict) != (self._enforce, self._strict):
            self._enforce, self._strict, self._since = enforce, strict, time.time()

    # What is registered.

    def names(self, owner: str | None = None) -> list[str]:
        """The names of all types, the gateway's own included; of an owner's where one is given."""
        known = [*self._registry.event_types.values(), *LIFECYCLE_TYPES.values()]
        return [one.type for one in known if owner is None or one.owner == owner]

    def find(self, name: str) -> EventType:
        """The type of that name. Raises Unknown."""
        found = self._registry.event_types.get(name) or LIFECYCLE_TYPES.get(name)
        if found is None:
            raise Unknown(f"there is no event type {name}")
        return found

    def size(self, name: str) -> int:
        """How many bytes a type has, about."""
        return self._sizes.get(name, 1024)

    def in_force(self, event_type: EventType) -> str:
        """What becomes of events that do not hold: ``off``, ``warn`` or ``reject``."""
        return event_type.enforce or self._enforce

    async def create(self, event_type: EventType) -> EventType:
        """Registers a type. Raises InvalidDefinition, Conflict, and what BrokerError names."""
        if event_type.type in self._registry.event_types:
            raise Conflict(f"the event type {event_type.type} exists already")
        return (await self.put(event_type))[0]

    async def put(self, event_type: EventType) -> tuple[EventType, bool]:
        """Puts a type in the place of the one of its name, or registers it; and whether it is new.

        One that says the same is left as it is. Raises InvalidDefinition, Conflict, and what
        BrokerError names.
        """
        event_type.check()
        former = self._registry.event_types.get(event_type.type)
        if former is not None and former.same(event_type):
            return former, False
        changed = _dated(event_type, former)
        await self._write([(changed, former)])
        return changed, former is None

    async def take(self, types: Sequence[EventType], *, dry_run: bool) -> dict[str, list[str]]:
        """Registers what comes from a document, and gives the names by what became of them.

        What a document does not say of a type that is registered stays as it is. Raises Conflict,
        and what BrokerError names; then some are written, and it can be done again.
        """
        outcome: dict[str, list[str]] = {"created": [], "changed": [], "unchanged": []}
        changes: list[tuple[EventType, EventType | None]] = []
        for count, event_type in enumerate(types):
            if count % PER_TURN == 0:
                await asyncio.sleep(0)
            former = self._registry.event_types.get(event_type.type)
            if former is not None:
                event_type = _over(event_type, former)
            if former is not None and former.same(event_type):
                outcome["unchanged"].append(event_type.type)
                continue
            outcome["created" if former is None else "changed"].append(event_type.type)
            changes.append((_dated(event_type, former), former))
        if not dry_run:
            await self._write(changes)
        return outcome

    async def remove(self, name: str) -> None:
        """Forgets a type: its events pass, unless the catalog is strict.

        Raises Unknown, Conflict, and what BrokerError names.
        """
        found = self.find(name)
        if found.managed_by == "gateway":
            raise Conflict(f"the event type {name} is the gateway's own")
        try:
            await self._registry.remove_event_type(found)
        except RegistryConflict:
            raise Conflict(f"the event type {name} was changed in between") from None

    async def _write(self, changes: list[tuple[EventType, EventType | None]]) -> None:
        known = self._registry.event_types
        total = self._total
        for event_type, _ in changes:
            total += len(msgspec.json.encode(event_type)) - self._sizes.get(event_type.type, 0)
        if len(known.keys() | {one.type for one, _ in changes}) > max(MAX_TYPES, len(known)):
            raise Conflict(f"there are at most {MAX_TYPES} event types")
        if total > max(MAX_TOTAL, self._total):
            raise Conflict(f"all event types together have at most {MAX_TOTAL} bytes")
        try:
            await self._registry.put_event_types(changes)
        except RegistryConflict as error:
            raise Conflict(f"an event type was changed in between: {error}") from None

    def _changed(self, name: str, event_type: EventType | None, at: float) -> None:
        self._total -= self._sizes.pop(name, 0)
        self._told.pop(name, None)
        former = self._rules.pop(name, None)
        if event_type is None:
            return
        self._sizes[name] = size = len(msgspec.json.encode(event_type))
        self._total += size
        if event_type.schema is msgspec.UNSET:
            return
        if former is not None and _same_rule(former.event_type, event_type):
            former.event_type = event_type
            self._rules[name] = former
        else:
            self._rules[name] = _Rule(event_type, at)

    # What becomes of events.

    def admit(self, event: Event) -> None:
        """Whether an event may come in. Raises InvalidEvent (``reserved``, ``schema``)."""
        check_reserved(event)
        rule = self._rules.get(event.type)
        if rule is not None or self._strict:
            self._judge(event, rule)

    def admit_captured(self, received: Received, headers: Mapping[str, str] | None) -> None:
        """The same of an event in the log. What came over HTTP was judged before it was answered,
        and what came before the rule is not judged by it."""
        event = received.event
        check_reserved(event)
        rule = self._rules.get(event.type)
        if rule is None and not self._strict:
            return
        if headers and ORIGIN_HEADER in headers:
            return
        if rule is None or rule.since <= received.time:
            self._judge(event, rule, received)

    def admitted(self, received: Received, headers: Mapping[str, str] | None) -> None:
        """The same for who reads the log behind the router: nothing is counted, nothing logged.

        What came before the configuration was as it is now may have been taken then, and passes.
        """
        event = received.event
        check_reserved(event)
        rule = self._rules.get(event.type)
        if (rule is None and not self._strict) or (headers and ORIGIN_HEADER in headers):
            return
        by_default = rule is None or rule.event_type.enforce is None
        since = max(rule.since if rule else 0.0, self._since if by_default else 0.0)
        if since > received.time:
            return
        if rule is None:
            if self._enforce == "reject" and not self._is_registered(event):
                raise _unregistered(event)
        elif self.in_force(rule.event_type) == "reject":
            found = rule.violation(event, received)
            if found is not None:
                raise _refusal(event.type, found)

    def _judge(self, event: Event, rule: _Rule | None, received: Received | None = None) -> None:
        if rule is None:
            self._judge_unregistered(event)
            return
        enforce = self.in_force(rule.event_type)
        if enforce == "off":
            return
        found = rule.violation(event, received)
        if found is not None:
            self._metrics.schema_violation(event.type, enforce)
            if enforce == "reject":
                raise _refusal(event.type, found)
            self._tell(event.type, found)

    def _judge_unregistered(self, event: Event) -> None:
        if self._enforce == "off" or self._is_registered(event):
            return
        self._metrics.schema_violation("unregistered", self._enforce)
        refusal = _unregistered(event)
        if self._enforce == "reject":
            raise refusal
        # All of them share one warning: whoever publishes chooses how many there are.
        self._tell("", Violation("", refusal.detail))

    def _is_registered(self, event: Event) -> bool:
        return event.type in self._registry.event_types

    def _tell(self, event_type: str, found: Violation) -> None:
        now = time.monotonic()
        if now - self._told.get(event_type, -QUIET) >= QUIET:
            self._told[event_type] = now
            log.warning("an event does not hold to its schema, and is taken all the same",
                        type=event_type, path=found.path, detail=found.detail)  # fmt: skip


def _dated(event_type: EventType, former: EventType | None) -> EventType:
    now = time.time()
    since = now if former is None else former.created_at
    return msgspec.structs.replace(event_type, created_at=since, updated_at=now)


def _over(event_type: EventType, former: EventType) -> EventType:
    """A type with what only the former one says."""
    kept = {
        name: getattr(former, name)
        for name in ("description", "owner", "dataschema", "schema", "examples", "enforce")
        if getattr(event_type, name) in ("", (), None, msgspec.UNSET)
    }
    if "schema" not in kept:
        kept.pop("examples", None)  # they may not hold to another schema
    return msgspec.structs.replace(event_type, **kept)


def _same_rule(one: EventType, other: EventType) -> bool:
    return (one.schema, one.enforce) == (other.schema, other.enforce)


def _refusal(event_type: str, found: Violation) -> InvalidEvent:
    where = f"at {found.path}" if found.path else "as a whole"
    return InvalidEvent("schema", f"the data of {event_type} {where}: {found.detail}", found.path)


def _unregistered(event: Event) -> InvalidEvent:
    detail = f"the type {event.type[:200]} is not registered, and the catalog is strict"
    return InvalidEvent("schema", detail, "")


def _violation(schema: EventSchema, event: Event, received: Received | None) -> Violation | None:
    """What is wrong with an event's data, as it stands in the JSON format: absent data is null,
    text is a string. JSON that is decoded here need not be again."""
    value: Any = None
    if event.kind is DataKind.JSON:
        try:
            value = msgspec.json.decode(event.data)
        except RecursionError:
            return Violation("", "is nested too deeply to be checked")
        except msgspec.DecodeError as error:
            return Violation("", f"cannot be checked: {str(error)[:200]}")
        if received is not None:
            received.content = (value,)
    elif event.kind is DataKind.TEXT:
        value = event.data.decode()
    elif event.kind is DataKind.BINARY:
        return Violation("", "is not JSON")
    found = schema.violation(value, len(event.data))
    if found is not None and event.kind is DataKind.NONE:
        return Violation("", "there is none")
    return found
