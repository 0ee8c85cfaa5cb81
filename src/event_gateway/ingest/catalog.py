"""The catalog: the event types that are registered, and the gateway's own."""

import asyncio
import time
from collections.abc import Sequence

import msgspec

from event_gateway.broker.registry import Registry, RegistryConflict
from event_gateway.core.errors import AlreadyExists, ChangedInBetween, Conflict, NotRegistered
from event_gateway.core.schema.event_type import MAX_TOTAL, MAX_TYPES, EventType
from event_gateway.core.schema.lifecycle_types import LIFECYCLE_TYPES
from event_gateway.ingest.schema_policy import SchemaPolicy

PER_TURN = 100  # types compared in one turn of the event loop
UNKNOWN_SIZE = 1024  # bytes, assumed of a type whose size is not known


class Catalog:
    """Registers event types in the registry, within the limits of their number and size."""

    def __init__(self, registry: Registry, policy: SchemaPolicy) -> None:
        self._registry = registry
        self._policy = policy
        self._sizes: dict[str, int] = {}
        self._total = 0
        registry.notify(event_type=self._on_event_type)

    def names(self, owner: str | None = None) -> list[str]:
        """The names of all types, the gateway's own included; with ``owner``, of its types."""
        known = [*self._registry.event_types.values(), *LIFECYCLE_TYPES.values()]
        return [
            event_type.type for event_type in known if owner is None or event_type.owner == owner
        ]

    def find(self, name: str) -> EventType:
        """The type of that name. Raises NotRegistered."""
        event_type = self._registry.event_types.get(name) or LIFECYCLE_TYPES.get(name)
        if event_type is None:
            raise NotRegistered(f"there is no event type {name}")
        return event_type

    def size(self, name: str) -> int:
        """The approximate size of a type, in bytes."""
        return self._sizes.get(name, UNKNOWN_SIZE)

    def enforcement(self, event_type: EventType) -> str:
        """What becomes of events that violate the type's schema: ``off``, ``warn``, ``reject``."""
        return self._policy.of(event_type)

    async def create(self, event_type: EventType) -> EventType:
        """Registers a type.

        Raises InvalidDefinition, Conflict, and the exceptions in BrokerError.
        """
        if event_type.type in self._registry.event_types:
            raise AlreadyExists(f"the event type {event_type.type} exists already")
        return (await self.put(event_type))[0]

    async def put(self, event_type: EventType) -> tuple[EventType, bool]:
        """Registers a type, or replaces the one of its name; and whether it is new.

        An equal type is left as it is. Raises InvalidDefinition, Conflict, and what BrokerError
        names.
        """
        event_type.check()
        former = self._registry.event_types.get(event_type.type)
        if former is not None and former.same(event_type):
            return former, False
        changed = _dated(event_type, former)
        await self._write([(changed, former)])
        return changed, former is None

    async def import_types(
        self, types: Sequence[EventType], *, dry_run: bool
    ) -> dict[str, list[str]]:
        """Registers the types of a document; returns their names as ``created``, ``changed`` and
        ``unchanged``.

        What the document does not say of a registered type stays as it is. Raises Conflict, and the
        exceptions in BrokerError: then some types are registered, and the import can be repeated.
        """
        outcome: dict[str, list[str]] = {"created": [], "changed": [], "unchanged": []}
        changes: list[tuple[EventType, EventType | None]] = []
        for count, event_type in enumerate(types):
            if count % PER_TURN == 0:
                await asyncio.sleep(0)
            former = self._registry.event_types.get(event_type.type)
            if former is not None:
                event_type = _completed(event_type, former)
            if former is not None and former.same(event_type):
                outcome["unchanged"].append(event_type.type)
                continue
            outcome["created" if former is None else "changed"].append(event_type.type)
            changes.append((_dated(event_type, former), former))
        if not dry_run:
            await self._write(changes)
        return outcome

    async def remove(self, name: str) -> None:
        """Deletes a type: its events pass, unless the catalog is strict.

        Raises NotRegistered, Conflict, and the exceptions in BrokerError.
        """
        unreadable = self._registry.is_unreadable("type", name)
        event_type = None if unreadable else self.find(name)
        if event_type is not None and event_type.managed_by == "gateway":
            raise Conflict(f"the event type {name} is the gateway's own")
        try:
            if event_type is None:
                await self._registry.remove_unreadable("type", name)
            else:
                await self._registry.remove_event_type(event_type)
        except RegistryConflict:
            raise ChangedInBetween(f"the event type {name} was changed in between") from None

    async def _write(self, changes: list[tuple[EventType, EventType | None]]) -> None:
        known = self._registry.event_types
        total = self._total
        for event_type, _ in changes:
            total += _size(event_type) - self._sizes.get(event_type.type, 0)
        names = known.keys() | {event_type.type for event_type, _ in changes}
        if len(names) > max(MAX_TYPES, len(known)):
            raise Conflict(f"there are at most {MAX_TYPES} event types")
        if total > max(MAX_TOTAL, self._total):
            raise Conflict(f"all event types together have at most {MAX_TOTAL} bytes")
        try:
            await self._registry.put_event_types(changes)
        except RegistryConflict as error:
            raise ChangedInBetween(f"an event type was changed in between: {error}") from None

    def _on_event_type(self, name: str, event_type: EventType | None, at: float) -> None:
        self._total -= self._sizes.pop(name, 0)
        if event_type is not None:
            self._sizes[name] = size = _size(event_type)
            self._total += size


def _size(event_type: EventType) -> int:
    return len(msgspec.json.encode(event_type))


def _dated(event_type: EventType, former: EventType | None) -> EventType:
    now = time.time()
    since = now if former is None else former.created_at
    return msgspec.structs.replace(event_type, created_at=since, updated_at=now)


def _completed(event_type: EventType, former: EventType) -> EventType:
    """A type, with the members of the former definition that it leaves out."""
    added = {
        name: getattr(former, name)
        for name in ("description", "owner", "dataschema", "schema", "examples", "enforce")
        if getattr(event_type, name) in ("", (), None, msgspec.UNSET)
    }
    if "schema" not in added:
        added.pop("examples", None)  # they may not match another schema
    return msgspec.structs.replace(event_type, **added)
