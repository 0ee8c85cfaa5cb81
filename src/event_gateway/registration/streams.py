"""Registers named streams over the API."""

import time

import msgspec

from event_gateway.broker.connection import Broker
from event_gateway.broker.event_log import EventLog
from event_gateway.broker.named_streams import stream_name
from event_gateway.broker.provision import ProvisionError
from event_gateway.broker.registry import Registry, RegistryConflict
from event_gateway.core.errors import AlreadyExists, BeingDeleted, ChangedInBetween, Conflict
from event_gateway.core.streams.definition import StreamDefinition
from event_gateway.observability.lifecycle import Lifecycle
from event_gateway.registration.applied_streams import AppliedStreams
from event_gateway.registration.stream_events import publish_change


class StreamRegistration:
    """Writes named streams into the registry, applies them to JetStream, publishes each change."""

    def __init__(
        self,
        broker: Broker,
        registry: Registry,
        events: EventLog,
        *,
        applied: AppliedStreams,
        lifecycle: Lifecycle,
    ) -> None:
        self._broker = broker
        self._registry = registry
        self._events = events
        self._applied = applied
        self._lifecycle = lifecycle

    async def create(self, definition: StreamDefinition) -> StreamDefinition:
        """Registers a stream. It starts with the events that the log stores for it.

        Raises Conflict, ProvisionError if NATS refuses the stream, and the exceptions in
        BrokerError.
        """
        known = self._registry.streams.get(definition.name)
        if known is not None:
            if known.deleting:
                raise BeingDeleted(f"the stream {definition.name} is being deleted")
            raise AlreadyExists(f"the stream {definition.name} exists already")
        await self._events.capture_for(definition.subjects)
        definition = msgspec.structs.replace(definition, created_at=time.time(), deleting=False)
        async with self._applied.alone(definition.name):
            try:
                await self._registry.put_stream(definition, None)
            except RegistryConflict:
                raise AlreadyExists(f"the stream {definition.name} exists already") from None
            try:
                await self._applied.ensure(definition)
            except ProvisionError:
                # The marker of a former stream of the name, which the definition has replaced.
                last_seq = self._broker.known_sequences.last(stream_name(definition.name))
                await self._registry.remove_stream(definition, last_seq)
                raise
        publish_change(self._lifecycle, "created", definition)
        return definition

    async def change(
        self, definition: StreamDefinition, *, force: bool = False
    ) -> StreamDefinition:
        """Replaces the definition of the stream with the same name.

        Without ``force``, a change that would drop stored events is refused. Raises NotRegistered,
        Conflict, ProvisionError, and the exceptions in BrokerError.
        """
        async with self._applied.alone(definition.name):
            return await self._change(definition, force=force)

    async def _change(self, definition: StreamDefinition, *, force: bool) -> StreamDefinition:
        former = self._registry.stream(definition.name)
        if former.deleting:
            raise BeingDeleted(f"the stream {former.name} is being deleted")
        definition = msgspec.structs.replace(
            definition, created_at=former.created_at, holds=former.holds
        )
        override = None if force else "force=true"
        refusal = await self._applied.refusal(definition, former, force=override)
        if refusal is not None:
            raise Conflict(f"the stream {former.name} is not changed: {refusal}")
        await self._events.capture_for(definition.subjects)
        if self._registry.stream(former.name) != former:  # it may be held since
            raise ChangedInBetween(f"the stream {former.name} was changed in between")
        await self._applied.ensure(definition)
        try:
            await self._registry.put_stream(definition, former)
        except RegistryConflict:
            await self._applied.apply_registered(definition.name)
            raise ChangedInBetween(f"the stream {former.name} was changed in between") from None
        publish_change(self._lifecycle, "updated", definition)
        return definition

    async def delete(self, name: str) -> None:
        """Ends a stream's subscriptions and deletes the stream with its messages.

        Raises NotRegistered, Conflict, and the exceptions in BrokerError: then the deletion is
        completed in the background.
        """
        if self._registry.is_unreadable("stream", name):
            # Its messages stay, which may be stored for compliance. A new stream of the name gets
            # them.
            try:
                await self._registry.remove_unreadable("stream", name)
            except RegistryConflict:
                raise ChangedInBetween(f"the stream {name} was changed in between") from None
            return
        definition = self._registry.stream(name)
        if definition.compliance:
            raise Conflict(f"the stream {name} stores records for compliance and is never deleted")
        if not definition.deleting:
            try:
                marked = msgspec.structs.replace(definition, deleting=True)
                await self._registry.put_stream(marked, definition)
            except RegistryConflict:
                raise ChangedInBetween(f"the stream {name} was changed in between") from None
        await self._applied.complete_deletion(name)
