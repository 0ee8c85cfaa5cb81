"""Keeps the named streams of JetStream as the registry says."""

import asyncio
import contextlib
import time
import weakref

import structlog
from nats.errors import TimeoutError as NatsTimeout

from event_gateway.beats import beat
from event_gateway.broker.connection import Broker, BrokerError
from event_gateway.broker.event_log import EventLog
from event_gateway.broker.named_streams import (
    UnknownStream,
    bounds,
    delete_named,
    ensure_named,
    restart_source,
    stream_contents,
    stream_name,
)
from event_gateway.broker.provision import ProvisionError
from event_gateway.broker.registry import Registry, RegistryConflict
from event_gateway.core.errors import Conflict
from event_gateway.core.streams.definition import StreamDefinition
from event_gateway.observability.lifecycle import Lifecycle
from event_gateway.registration.stream_events import publish_change

log = structlog.get_logger(__name__)

INTERVAL = 5.0  # seconds between two searches for incomplete changes


class AppliedStreams:
    """Applies definitions of streams to JetStream, and deletes streams there."""

    def __init__(
        self, broker: Broker, registry: Registry, events: EventLog, lifecycle: Lifecycle
    ) -> None:
        self._broker = broker
        self._registry = registry
        self._events = events
        self._lifecycle = lifecycle
        # What `resume_changes` has applied to JetStream last, by name of the stream.
        self._applied: dict[str, StreamDefinition] = {}
        self._locks = weakref.WeakValueDictionary[str, asyncio.Lock]()

    def alone(self, name: str) -> asyncio.Lock:
        """Keeps other changes of a stream by this process away: between the moments at which one
        has read and has applied its definition, an older definition must not be applied."""
        return self._locks.setdefault(name, asyncio.Lock())

    async def refusal(
        self, definition: StreamDefinition, former: StreamDefinition, *, force: str | None
    ) -> str | None:
        """Why a definition may not replace ``former``; None if it may. ``force``: what has a change
        made although it drops stored events; None if that was said. Raises UnknownStream, and the
        exceptions in BrokerError."""
        refusal = definition.change_refusal(former)
        if refusal is not None or force is None or not definition.tightened_limits(former):
            return refusal
        present = await stream_contents(self._broker, former.name)
        dropped = definition.would_drop(former, present, time.time())
        return dropped and f"it would drop events: {dropped}; {force} drops them"

    async def ensure(self, definition: StreamDefinition) -> bool:
        """Applies a definition; returns whether the stream was created. Raises ProvisionError if
        NATS refuses it, and the exceptions in BrokerError."""
        return await ensure_named(self._broker, definition, self._events.external)

    async def ensure_limits(self, definition: StreamDefinition) -> None:
        """Applies a definition whose limits have changed. Raises Conflict where NATS forbids the
        gateway's user to update the stream, and what :meth:`ensure` raises."""
        try:
            await self.ensure(definition)
        except (TimeoutError, NatsTimeout) as error:
            if self._broker.violations.during_call() is None:
                raise
            raise Conflict(
                f"the limits of {stream_name(definition.name)} are not changed: NATS does not let "
                "the gateway's user update the stream. Change them as the guide on compliance "
                'streams says, "Hold a stream for a court", and place the hold again'
            ) from error

    async def resume_changes(self) -> None:
        """Completes changes that a process left incomplete when it, or its connection, failed.

        It also looks at each stream once more after a change. Two processes that apply a stream
        at the same time can end with the older definition in JetStream. It never returns.
        """
        before: set[str] = set()
        while True:
            registered = dict(self._registry.streams)
            deleting = {name for name, stream in registered.items() if stream.deleting}
            self._applied = {
                name: applied for name, applied in self._applied.items() if name in registered
            }
            try:
                for name in deleting & before:
                    await self.complete_deletion(name)
            except BrokerError as error:
                log.debug("streams cannot be deleted yet", error=str(error))
            for name, definition in registered.items():
                if name not in deleting and self._applied.get(name) != definition:
                    try:
                        await self._apply(name)
                    except BrokerError as error:  # of this one, which may have no leader
                        log.debug("a stream cannot be changed yet", stream=name, error=str(error))
            before = deleting
            await beat(INTERVAL)

    async def _apply(self, name: str) -> None:
        async with self.alone(name):
            await self.apply_registered(name)

    async def apply_registered(self, name: str) -> None:
        """Applies the registered definition, within :meth:`alone`. Raises the exceptions in
        BrokerError."""
        definition = self._registry.streams.get(name)
        if definition is None or definition.deleting:
            return
        try:
            await self.ensure_limits(definition)
        except (ProvisionError, Conflict) as error:
            log.error(
                "the registered definition of a stream cannot be applied",
                stream=name,
                error=str(error),
            )
        self._applied[name] = definition

    async def create_again(self, name: str) -> None:
        """Creates a registered stream again that was deleted in NATS: with what the log has.

        Raises ProvisionError, and what BrokerError names.
        """
        async with self.alone(name):
            definition = self._registry.streams.get(name)
            if definition is not None and not definition.deleting:
                await self.ensure(definition)

    async def copy_from(self, source: str, floor: int) -> None:
        """Has the named streams copy a JetStream stream from behind a sequence on.

        Raises ProvisionError, and what BrokerError names."""
        for definition in list(self._registry.streams.values()):
            if not definition.deleting:
                await restart_source(self._broker, definition.name, source, floor + 1)

    async def complete_deletion(self, name: str) -> None:
        """Deletes the messages of a stream that is marked as being deleted, then its definition.
        Waits for a change that is under way in this process: it would create the stream again.
        Raises the exceptions in BrokerError."""
        async with self.alone(name):
            definition = self._registry.streams.get(name)
            if definition is None or not definition.deleting:
                return
            with contextlib.suppress(UnknownStream):  # deleted by a former try
                stream = stream_name(name)
                self._broker.known_sequences.note(stream, (await bounds(self._broker, stream)).last)
            await delete_named(self._broker, name)
            try:
                last_seq = self._broker.known_sequences.last(stream_name(name))
                await self._registry.remove_stream(definition, last_seq)
            except RegistryConflict:
                return  # another process has completed it
        publish_change(self._lifecycle, "deleted", definition)
