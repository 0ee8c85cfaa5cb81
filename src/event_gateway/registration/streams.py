"""Registers named streams, over the API and from the configuration file."""

import asyncio
import contextlib
import time
import weakref
from collections.abc import Sequence

import msgspec
import structlog
from nats.errors import TimeoutError as NatsTimeout

from event_gateway.audit.trail import AuditTrail
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
from event_gateway.config.response_bodies import stream_to_json
from event_gateway.core.errors import (
    AlreadyExists,
    BeingDeleted,
    ChangedInBetween,
    Conflict,
    Unknown,
)
from event_gateway.core.streams.definition import MAX_HOLDS, Hold, StreamDefinition
from event_gateway.core.text.units import format_duration
from event_gateway.observability.lifecycle import Lifecycle

log = structlog.get_logger(__name__)


class StreamRefused(ProvisionError):
    """A stream of the file cannot be changed as the file says; ``key`` is where it is there."""

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(f"the stream {name} is not changed: {detail}")
        self.key = f"streams.{name}"


INTERVAL = 5.0  # seconds between two searches for incomplete changes


class StreamRegistration:
    """Writes named streams into the registry, applies them to JetStream, publishes each change."""

    def __init__(
        self,
        broker: Broker,
        registry: Registry,
        events: EventLog,
        lifecycle: Lifecycle,
        audit: AuditTrail,
    ) -> None:
        self._broker = broker
        self._registry = registry
        self._events = events
        self._lifecycle = lifecycle
        self._audit = audit
        # What `resume_changes` has applied to JetStream last, by name of the stream.
        self._applied: dict[str, StreamDefinition] = {}
        self._locks = weakref.WeakValueDictionary[str, asyncio.Lock]()

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
        async with self._alone(definition.name):
            try:
                await self._registry.put_stream(definition, None)
            except RegistryConflict:
                raise AlreadyExists(f"the stream {definition.name} exists already") from None
            try:
                await ensure_named(self._broker, definition, self._events.external)
            except ProvisionError:
                # The marker of a former stream of the name, which the definition has replaced.
                last_seq = self._broker.last_seq(stream_name(definition.name))
                await self._registry.remove_stream(definition, last_seq)
                raise
        self._publish("created", definition)
        return definition

    async def change(
        self, definition: StreamDefinition, *, force: bool = False
    ) -> StreamDefinition:
        """Replaces the definition of the stream with the same name.

        Without ``force``, a change that would drop stored events is refused. Raises Unknown,
        Conflict, ProvisionError, and the exceptions in BrokerError.
        """
        async with self._alone(definition.name):
            return await self._change(definition, force=force)

    async def _change(self, definition: StreamDefinition, *, force: bool) -> StreamDefinition:
        former = self._registry.stream(definition.name)
        if former.deleting:
            raise BeingDeleted(f"the stream {former.name} is being deleted")
        definition = msgspec.structs.replace(
            definition, created_at=former.created_at, holds=former.holds
        )
        refusal = definition.change_refusal(former)
        if refusal is None and not force:
            present = await stream_contents(self._broker, former.name)
            refusal = definition.would_drop(present, time.time())
            refusal = refusal and f"it would drop events: {refusal}; force=true drops them"
        if refusal is not None:
            raise Conflict(f"the stream {former.name} is not changed: {refusal}")
        await self._events.capture_for(definition.subjects)
        if self._registry.stream(former.name) != former:  # it may be held since
            raise ChangedInBetween(f"the stream {former.name} was changed in between")
        await ensure_named(self._broker, definition, self._events.external)
        try:
            await self._registry.put_stream(definition, former)
        except RegistryConflict:
            await self._apply_registered(definition.name)
            raise ChangedInBetween(f"the stream {former.name} was changed in between") from None
        self._publish("updated", definition)
        return definition

    async def delete(self, name: str) -> None:
        """Ends a stream's subscriptions and deletes the stream with its messages.

        Raises Unknown, Conflict, and the exceptions in BrokerError: then the deletion is completed
        in the background.
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
        await self._complete_deletion(name)

    async def load_file(
        self, definitions: Sequence[StreamDefinition], *, force: bool = False
    ) -> None:
        """Creates or changes the file's streams. A stream that is no longer in the file is not
        deleted.

        Raises ProvisionError if NATS refuses a stream, or, without ``force``, if a change would
        drop stored events; then no new stream remains.
        """
        definitions = [self._with_holds(definition) for definition in definitions]
        for definition in definitions:
            await self._check_change(definition, force=force)
        in_file = {definition.name for definition in definitions}
        released = [
            msgspec.structs.replace(known, managed_by="api")
            for name, known in self._registry.streams.items()
            if known.managed_by == "file" and name not in in_file and not known.deleting
        ]
        async with contextlib.AsyncExitStack() as recorded:
            for definition in (*definitions, *released):
                await self._begin(definition, recorded)
            await self._load(definitions)
            for definition in released:
                log.warning("the stream is no longer in the file; it keeps its messages, and can "
                            "be changed and deleted over the API",
                            stream=definition.name)  # fmt: skip
                await self._put(definition)

    async def place_hold(self, name: str, hold: Hold) -> StreamDefinition:
        """Suspends the limits of a compliance stream until the hold is released.

        Raises Unknown, Conflict, ProvisionError, and the exceptions in BrokerError: then NATS may
        have got the change, and the registry not; or both have it, and only the last look at NATS
        failed. The stream's definition shows which holds it has.
        """
        async with self._alone(name):
            former = self._held(name)
            if len(former.holds) >= MAX_HOLDS:
                raise Conflict(f"the stream {name} has {MAX_HOLDS} holds already")
            return await self._hold(former, (*former.holds, hold))

    async def release_hold(self, name: str, hold_id: str) -> StreamDefinition:
        """Ends a hold. With the last one the limits are in force again, and what is beyond them
        leaves the stream, the oldest first. Raises as :meth:`place_hold`."""
        async with self._alone(name):
            former = self._held(name)
            holds = tuple(hold for hold in former.holds if hold.id != hold_id)
            if holds == former.holds:
                raise Unknown(f"the stream {name} has no hold {hold_id}")
            return await self._hold(former, holds)

    def _alone(self, name: str) -> asyncio.Lock:
        """Keeps other changes of a stream by this process away: between the moments at which one
        has read and has applied its definition, an older definition must not be applied."""
        return self._locks.setdefault(name, asyncio.Lock())

    def _held(self, name: str) -> StreamDefinition:
        definition = self._registry.stream(name)
        if not definition.compliance:
            raise Conflict(f"the stream {name} does not store records for compliance")
        return definition

    async def _hold(self, former: StreamDefinition, holds: tuple[Hold, ...]) -> StreamDefinition:
        changed = msgspec.structs.replace(former, holds=holds)
        tightens = bool(former.holds) and not holds
        if not tightens:  # NATS first: what the registry promises, holds
            await self._ensure(changed)
        try:
            await self._registry.put_stream(changed, former)
        except RegistryConflict:
            await self._apply_registered(former.name)
            raise ChangedInBetween(f"the stream {former.name} was changed in between") from None
        # After the last release the limits are in force, unless another process has placed a hold
        # since. After the others, another process may just have applied what was registered before.
        await self._ensure(self._registry.stream(former.name))
        self._publish("updated", changed)
        return changed

    async def _ensure(self, definition: StreamDefinition) -> None:
        """Applies a definition. Raises Conflict where NATS lets nobody update the stream, and
        what :func:`ensure_named` raises."""
        try:
            await ensure_named(self._broker, definition, self._events.external)
        except (TimeoutError, NatsTimeout) as error:
            if self._broker.violations.during_call() is None:
                raise
            raise Conflict(
                f"the limits of {stream_name(definition.name)} are not changed: NATS does not let "
                "the gateway's user update the stream. Change them as the guide on compliance "
                'streams says, "Hold a stream for a court", and place the hold again'
            ) from error

    def _with_holds(self, definition: StreamDefinition) -> StreamDefinition:
        """A stream of the file, which cannot name holds, with those that are registered."""
        known = self._registry.streams.get(definition.name)
        holds = () if known is None or known.deleting else known.holds
        return msgspec.structs.replace(definition, holds=holds)

    async def _begin(
        self, definition: StreamDefinition, recorded: contextlib.AsyncExitStack
    ) -> None:
        """Has the audit log record that a stream of the file changes, if it does."""
        known = self._registry.streams.get(definition.name)
        before = None if known is None or known.deleting else stream_to_json(known)
        after = stream_to_json(definition)
        if before is not None:
            after["created_at"] = before["created_at"]
        if before != after:
            operation = "streams.create" if before is None else "streams.change"
            call = await recorded.enter_async_context(
                self._audit.change(self._audit.file, operation, f"stream/{definition.name}")
            )
            call.about(before=before, after=after)

    async def _load(self, definitions: Sequence[StreamDefinition]) -> None:
        created = []
        try:
            for definition in definitions:
                known = self._registry.streams.get(definition.name)
                if known is not None and known.deleting:
                    await self._complete_deletion(definition.name)
                async with self._alone(definition.name):
                    present = self._with_holds(definition)
                    if await ensure_named(self._broker, present, self._events.external):
                        created.append(definition)
        except ProvisionError:
            for definition in created:
                await delete_named(self._broker, definition.name)
            raise
        for definition in definitions:
            await self._put(definition)
        for definition in created:
            self._publish("created", definition)

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
            raise StreamRefused(definition.name, refusal)

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
                    await self._complete_deletion(name)
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
        async with self._alone(name):
            await self._apply_registered(name)

    async def _apply_registered(self, name: str) -> None:
        """Applies the registered definition to JetStream."""
        definition = self._registry.streams.get(name)
        if definition is None or definition.deleting:
            return
        try:
            await self._ensure(definition)
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
        async with self._alone(name):
            definition = self._registry.streams.get(name)
            if definition is not None and not definition.deleting:
                await ensure_named(self._broker, definition, self._events.external)

    async def copy_from(self, source: str, floor: int) -> None:
        """Has the named streams copy a JetStream stream from behind a sequence on.

        Raises ProvisionError, and what BrokerError names."""
        for definition in list(self._registry.streams.values()):
            if not definition.deleting:
                await restart_source(self._broker, definition.name, source, floor + 1)

    async def _put(self, definition: StreamDefinition) -> None:
        known = self._registry.streams.get(definition.name)
        created_at = time.time() if known is None else known.created_at
        # A hold may have been placed since the file was read.
        definition = msgspec.structs.replace(self._with_holds(definition), created_at=created_at)
        if known == definition:
            return
        try:
            await self._registry.put_stream(definition, known)
        except RegistryConflict:
            # Another process with the same file has started at the same time and was first.
            log.info("another process has just written this stream", stream=definition.name)

    async def _complete_deletion(self, name: str) -> None:
        definition = self._registry.streams.get(name)
        if definition is None or not definition.deleting:
            return
        with contextlib.suppress(UnknownStream):  # deleted by a former try
            stream = stream_name(name)
            self._broker.note_last_seq(stream, (await bounds(self._broker, stream)).last)
        await delete_named(self._broker, name)
        try:
            last_seq = self._broker.last_seq(stream_name(name))
            await self._registry.remove_stream(definition, last_seq)
        except RegistryConflict:
            return  # another process has completed it
        self._publish("deleted", definition)

    def _publish(self, change: str, definition: StreamDefinition) -> None:
        retention = definition.retention
        self._lifecycle.stream(change, definition.name, {
            "subjects": definition.subjects,
            "retention": None if retention is None else format_duration(retention),
            "max_messages": definition.max_messages,
        })  # fmt: skip
