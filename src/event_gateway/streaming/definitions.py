"""Registering named streams."""

from collections.abc import Sequence

import structlog

from event_gateway.broker.connection import Broker
from event_gateway.broker.foreign import ForeignStream
from event_gateway.broker.provision import ProvisionError, drop_named, ensure_named
from event_gateway.broker.registry import Registry, RegistryConflict
from event_gateway.core.stream import StreamDefinition
from event_gateway.core.units import format_duration
from event_gateway.observability.lifecycle import Lifecycle

log = structlog.get_logger(__name__)


async def load_file(
    broker: Broker,
    registry: Registry,
    lifecycle: Lifecycle,
    definitions: list[StreamDefinition],
    foreign: Sequence[ForeignStream] = (),
) -> None:
    """Makes the file's streams, or applies what changed. One that left the file is only reported.

    Raises ProvisionError where NATS refuses one; then none of the new ones is there.
    """
    made: list[StreamDefinition] = []
    try:
        for definition in definitions:
            if await ensure_named(broker, definition, foreign):
                made.append(definition)
    except ProvisionError:
        for definition in made:
            await drop_named(broker, definition.name)
        raise
    for definition in definitions:
        known = registry.streams.get(definition.name)
        if known != definition:
            try:
                await registry.put_stream(definition, new=known is None)
            except RegistryConflict:
                # Another process with the same file, started together with this one, was first.
                log.info("another process has just written it", stream=definition.name)
    for definition in made:
        kept = definition.retention
        lifecycle.stream("created", definition.name, {
            "subjects": definition.subjects,
            "retention": None if kept is None else format_duration(kept),
            "max_messages": definition.max_messages,
        })  # fmt: skip
    wanted = {definition.name for definition in definitions}
    for name, definition in registry.streams.items():
        if definition.managed_by == "file" and name not in wanted:
            log.warning("stream is no longer in the file, kept with its messages", stream=name)
