"""Registers inbound sources, over the API and from the configuration file."""

import time
from collections.abc import Sequence

import structlog
from msgspec.structs import replace

from event_gateway.audit.trail import AuditTrail
from event_gateway.broker.registry import Registry, RegistryConflict
from event_gateway.config.response_bodies import source_to_json
from event_gateway.core.errors import AlreadyExists, ChangedInBetween, Conflict
from event_gateway.core.sources.definition import SourceDefinition

log = structlog.get_logger(__name__)

MAX_SOURCES = 1000


class _TooMany(Conflict):
    """There is no room for another source."""


class SourceRegistration:
    """Writes sources into the registry."""

    def __init__(self, registry: Registry, audit: AuditTrail) -> None:
        self._registry = registry
        self._audit = audit

    async def create(self, definition: SourceDefinition) -> SourceDefinition:
        """Registers a source. Raises Conflict, and the exceptions in BrokerError."""
        name = definition.name
        if name in self._registry.sources:
            raise AlreadyExists(f"the source {name} exists already")
        if len(self._registry.sources) >= MAX_SOURCES:
            raise _TooMany(f"there are {MAX_SOURCES} sources already, and more are not possible")
        definition = replace(definition, created_at=time.time())
        try:
            await self._registry.put_source(definition, None)
        except RegistryConflict:
            raise AlreadyExists(f"the source {name} exists already") from None
        return definition

    async def change(self, definition: SourceDefinition) -> SourceDefinition:
        """Replaces the source of the same name. Raises NotRegistered, Conflict, and the exceptions
        in BrokerError."""
        former = self._registry.source(definition.name)
        definition = replace(definition, created_at=former.created_at)
        if definition == former:
            return former
        try:
            await self._registry.put_source(definition, former)
        except RegistryConflict:
            raise _changed(definition.name) from None
        return definition

    async def delete(self, name: str) -> None:
        """Deletes a source. Raises NotRegistered, Conflict, and the exceptions in BrokerError."""
        try:
            if self._registry.is_unreadable("source", name):
                await self._registry.remove_unreadable("source", name)
            else:
                await self._registry.remove_source(self._registry.source(name))
        except RegistryConflict:
            raise _changed(name) from None

    async def load_file(self, definitions: Sequence[SourceDefinition]) -> None:
        """Writes the file's sources, and deletes those that it does not name any more. Raises the
        exceptions in BrokerError."""
        in_file = {definition.name for definition in definitions}
        for former in list(self._registry.sources.values()):
            if former.managed_by == "file" and former.name not in in_file:
                await self._write(None, former)  # first, so that there is room
        for definition in definitions:
            present = self._registry.sources.get(definition.name)
            if present is None or replace(definition, created_at=present.created_at) != present:
                await self._write(definition, present)

    async def _write(
        self, definition: SourceDefinition | None, former: SourceDefinition | None
    ) -> None:
        """Writes what the file says of a source, and into the audit log that it does so."""
        name = (definition or former).name  # type: ignore[union-attr]
        operation = "delete" if definition is None else "create" if former is None else "replace"
        async with self._audit.change(
            self._audit.file, f"sources.{operation}", f"source/{name}"
        ) as call:
            before = None if former is None else source_to_json(former)
            try:
                if definition is None:
                    await self.delete(name)
                    call.about(before=before)
                else:
                    write = self.create if former is None else self.change
                    call.about(before=before, after=source_to_json(await write(definition)))
            except _TooMany as error:
                log.error("a source of the file is not registered", caller=name, reason=str(error))
            except Conflict as error:
                # Another process with the same file has started at the same time and was first.
                log.info("another process has just written this source", caller=name,
                         reason=str(error))  # fmt: skip


def _changed(name: str) -> ChangedInBetween:
    return ChangedInBetween(f"the source {name} was changed in between")
