"""Registering named streams: over the API and from the configuration file."""

import asyncio
import time
from collections.abc import Sequence

import msgspec
import structlog

from event_gateway.broker.connection import Broker, BrokerError
from event_gateway.broker.event_log import EventLog
from event_gateway.broker.named_streams import delete_named, ensure_named, stream_contents
from event_gateway.broker.provision import ProvisionError
from event_gateway.broker.registry import Registry, RegistryConflict
from event_gateway.core.errors import Conflict
from event_gateway.core.streams.definition import StreamDefinition
from event_gateway.core.text.units import format_duration
from event_gateway.observability.lifecycle import Lifecycle

log = structlog.get_logger(__name__)

LOOK = 5.0  # seconds between two looks for what another process left half done


class StreamRegistration:
    """Writes streams into the registry, makes them in JetStream, and tells of it."""

    def __init__(
        self, broker: Broker, registry: Registry, events: EventLog, lifecycle: Lifecycle
    ) -> None:
        self._broker = broker
        self._registry = registry
        self._events = events
        self._lifecycle = lifecycle
        self._ensured: set[str] = set()

    async def create(self, definition: StreamDefinition) -> StreamDefinition:
        """Registers a stream; it begins with what the log holds for it.

        Raises Conflict, ProvisionError where NATS refuses it, and what BrokerError names.
        """
        known = self._registry.streams.get(definition.name)
        if known is not None:
            state = "is being deleted" if known.deleting else "exists already"
            raise Conflict(f"the stream {definition.name} {state}")
        await self._events.capture_for(definition.subjects)
        definition = msgspec.structs.replace(definition, created_at=time.time(), deleting=False)
        try:
            await self._registry.put_stream(definition, None)
        except RegistryConflict:
            raise Conflict(f"the stream {definition.name} exists already") from None
        try:
            await ensure_named(self._broker, definition, self._events.external)
        except ProvisionError:
            await self._registry.remove_stream(definition)
            raise
        self._ensured.add(definition.name)
        self._tell("created", definition)
        return definition

    async def change(
        self, definition: StreamDefinition, *, force: bool = False
    ) -> StreamDefinition:
        """Puts a new definition in the place of the one of its name.

        What would drop events that the stream holds is refused unless ``force``. Raises Unknown,
        Conflict, ProvisionError, and what BrokerError names.
        """
        former = self._registry.stream(definition.name)
        if former.deleting:
            raise Conflict(f"the stream {former.name} is being deleted")
        refusal = definition.change_refusal(former)
        if refusal is None and not force:
            present = await stream_contents(self._broker, former.name)
            refusal = definition.would_drop(present, time.time())
            refusal = refusal and f"it would drop events: {refusal}; force=true drops them"
        if refusal is not None:
            raise Conflict(f"the stream {former.name} stays as it is: {refusal}")
        definition = msgspec.structs.replace(definition, created_at=former.created_at)
        await self._events.capture_for(definition.subjects)
        await ensure_named(self._broker, definition, self._events.external)
        try:
            await self._registry.put_stream(definition, former)
        except RegistryConflict:
            await self._as_registered(definition.name)
            raise Conflict(f"the stream {former.name} was changed in between") from None
        self._tell("updated", definition)
        return definition

    async def delete(self, name: str) -> None:
        """Ends a stream's subscriptions and deletes it with its messages.

        Raises Unknown, Conflict, and what BrokerError names; then it is gone a little later.
        """
        definition = self._registry.stream(name)
        if definition.compliance:
            raise Conflict(f"the stream {name} keeps records for compliance: it is never deleted")
        if not definition.deleting:
            try:
                marked = msgspec.structs.replace(definition, deleting=True)
                await self._registry.put_stream(marked, definition)
            except RegistryConflict:
                raise Conflict(f"the stream {name} was changed in between") from None
        await self._clear(name)

    async def load_file(
        self, definitions: Sequence[StreamDefinition], *, force: bool = False
    ) -> None:
        """Makes the file's streams, or applies what changed. One that left the file is kept.

        Raises ProvisionError where NATS refuses one, or where a changed one would drop events that
        it holds, unless ``force``; then none of the new ones is there.
        """
        made = []
        for definition in definitions:
            await self._check_change(definition, force=force)
        try:
            for definition in definitions:
                known = self._registry.streams.get(definition.name)
                if known is not None and known.deleting:
                    await self._clear(definition.name)
                if await ensure_named(self._broker, definition, self._events.external):
                    made.append(definition)
        except ProvisionError:
            for definition in made:
                await delete_named(self._broker, definition.name)
            raise
        for definition in definitions:
            self._ensured.add(definition.name)
            await self._put(definition)
        for definition in made:
            self._tell("created", definition)
        wanted = {definition.name for definition in definitions}
        for name, known in list(self._registry.streams.items()):
            if known.managed_by == "file" and name not in wanted and not known.deleting:
                log.warning("stream is no longer in the file; kept with what it holds, and from "
                            "now on changed and deleted over the API", stream=name)  # fmt: skip
                await self._put(msgspec.structs.replace(known, managed_by="api"))

    async def _check_change(self, definition: StreamDefinition, *, force: bool) -> None:
        known = self._registry.streams.get(definition.name)
        if known is None or known.deleting:
            return
        refusal = definition.change_refusal(known)
        if refusal is None and definition.tightened_limits(known) and not force:
            present = await stream_contents(self._broker, definition.name)
            refusal = definition.would_drop(present, time.time())
            refusal = refusal and f"it would drop events: {refusal}; serve --force drops them"
        if refusal is not None:
            raise ProvisionError(f"the stream {definition.name} stays as it is: {refusal}")

    async def resume_deletions(self) -> None:
        """Carries on, for ever, with what another process, or a lost connection, left half done."""
        before: set[str] = set()
        while True:
            now = {stream.name for stream in self._registry.streams.values() if stream.deleting}
            self._ensured &= self._registry.streams.keys()
            try:
                for name in now & before:
                    await self._clear(name)
                for name in self._registry.streams.keys() - now - self._ensured:
                    await self._as_registered(name)
            except BrokerError as error:
                log.debug("streams wait", error=str(error))
            before = now
            await asyncio.sleep(LOOK)

    async def _as_registered(self, name: str) -> None:
        definition = self._registry.streams.get(name)
        if definition is None or definition.deleting:
            return
        try:
            await ensure_named(self._broker, definition, self._events.external)
        except ProvisionError as error:
            log.error("stream cannot be kept as it is registered", stream=name, error=str(error))
        self._ensured.add(name)

    async def _put(self, definition: StreamDefinition) -> None:
        known = self._registry.streams.get(definition.name)
        since = time.time() if known is None else known.created_at
        definition = msgspec.structs.replace(definition, created_at=since)
        if known == definition:
            return
        try:
            await self._registry.put_stream(definition, known)
        except RegistryConflict:
            # Another process with the same file, started together with this one, was first.
            log.info("another process has just written it", stream=definition.name)

    async def _clear(self, name: str) -> None:
        definition = self._registry.streams.get(name)
        if definition is None or not definition.deleting:
            return
        await delete_named(self._broker, name)
        try:
            await self._registry.remove_stream(definition)
        except RegistryConflict:
            return  # another process has done it
        self._ensured.discard(name)
        self._tell("deleted", definition)

    def _tell(self, what: str, definition: StreamDefinition) -> None:
        kept = definition.retention
        self._lifecycle.stream(what, definition.name, {
            "subjects": definition.subjects,
            "retention": None if kept is None else format_duration(kept),
            "max_messages": definition.max_messages,
        })  # fmt: skip
