"""Registers the streams of the configuration file."""

import contextlib
import time
from collections.abc import Sequence

import msgspec
import structlog

from event_gateway.audit.trail import AuditTrail
from event_gateway.broker.connection import Broker
from event_gateway.broker.named_streams import delete_named
from event_gateway.broker.provision import ProvisionError
from event_gateway.broker.registry import Registry, RegistryConflict
from event_gateway.config.response_bodies import stream_to_json
from event_gateway.core.streams.definition import StreamDefinition
from event_gateway.observability.lifecycle import Lifecycle
from event_gateway.registration.applied_streams import AppliedStreams
from event_gateway.registration.stream_events import publish_change

log = structlog.get_logger(__name__)


class StreamRefused(ProvisionError):
    """A stream of the file cannot be changed as the file says; ``key`` is where it is there."""

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(f"the stream {name} is not changed: {detail}")
        self.key = f"streams.{name}"


class FileStreams:
    """Has the registry and JetStream follow the file, each change in the audit log."""

    def __init__(
        self,
        broker: Broker,
        registry: Registry,
        audit: AuditTrail,
        *,
        applied: AppliedStreams,
        lifecycle: Lifecycle,
    ) -> None:
        self._broker = broker
        self._registry = registry
        self._audit = audit
        self._applied = applied
        self._lifecycle = lifecycle

    async def load(self, definitions: Sequence[StreamDefinition], *, force: bool = False) -> None:
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
                await self._record(definition, recorded)
            await self._load(definitions)
            for definition in released:
                log.warning("the stream is no longer in the file; it keeps its messages, and can "
                            "be changed and deleted over the API",
                            stream=definition.name)  # fmt: skip
                await self._put(definition)

    async def _check_change(self, definition: StreamDefinition, *, force: bool) -> None:
        known = self._registry.streams.get(definition.name)
        if known is None or known.deleting:
            return
        override = None if force else "serve --force"
        refusal = await self._applied.refusal(definition, known, force=override)
        if refusal is not None:
            raise StreamRefused(definition.name, refusal)

    def _with_holds(self, definition: StreamDefinition) -> StreamDefinition:
        """A stream of the file, which cannot name holds, with those that are registered."""
        known = self._registry.streams.get(definition.name)
        holds = () if known is None or known.deleting else known.holds
        return msgspec.structs.replace(definition, holds=holds)

    async def _record(
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
                    await self._applied.complete_deletion(definition.name)
                async with self._applied.alone(definition.name):
                    present = self._with_holds(definition)
                    if await self._applied.ensure(present):
                        created.append(definition)
        except ProvisionError:
            for definition in created:
                await delete_named(self._broker, definition.name)
            raise
        for definition in definitions:
            await self._put(definition)
        for definition in created:
            publish_change(self._lifecycle, "created", definition)

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
