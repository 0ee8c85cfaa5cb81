"""What the routes of compliance streams use, and the stream that each is about."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends

from event_gateway.api.server.definitions import present
from event_gateway.api.server.dependencies import provided
from event_gateway.api.server.exports import Exports
from event_gateway.broker.connection import Broker
from event_gateway.broker.registry import Registry
from event_gateway.compliance.chains import Chains
from event_gateway.compliance.sealing import DataSealing
from event_gateway.core.errors import Conflict
from event_gateway.core.streams.definition import StreamDefinition
from event_gateway.registration.stream_holds import StreamHolds


@dataclass(frozen=True, slots=True, kw_only=True)
class ComplianceParts:
    """What the routes use."""

    registry: Registry
    holds: StreamHolds
    broker: Broker
    chains: Chains
    sealing: DataSealing
    exports: Exports


Parts = Annotated[ComplianceParts, Depends(provided(ComplianceParts))]


def compliant(parts: ComplianceParts, name: str) -> StreamDefinition:
    """The compliance stream of a name. Raises NotRegistered, BeingDeleted, and Conflict if it is
    another stream."""
    definition = present(parts.registry.stream(name))
    if not definition.compliance:
        raise Conflict(f"the stream {name} does not store records for compliance")
    return definition
