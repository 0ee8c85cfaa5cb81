"""Registering named streams."""

import structlog

from event_gateway.broker.connection import Broker
from event_gateway.broker.provision import ensure_named
from event_gateway.broker.registry import Registry
from event_gateway.core.stream import StreamDefinition
from event_gateway.core.units import format_duration
from event_gateway.observability.lifecycle import Lifecycle

log = structlog.get_logger(__name__)


async def load_file(
    broker: Broker, registry: Registry, lifecycle: Lifecycle, definitions: list[StreamDefinition]
) -> None:
    """Makes the file's streams, or applies what changed. One that left the file is only reported.

    Raises ProvisionError, InvalidDefinition.
    """
    for definition in definitions:
        known = registry.streams.get(definition.name)
        new = await ensure_named(broker, definition)
        if known != definition:
            await registry.put_stream(definition, new=known is None)
        if new:
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
