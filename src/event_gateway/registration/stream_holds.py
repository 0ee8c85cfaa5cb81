"""Legal holds on compliance streams: they suspend the limits of a stream."""

import msgspec

from event_gateway.broker.registry import Registry, RegistryConflict
from event_gateway.core.errors import ChangedInBetween, Conflict, NotRegistered
from event_gateway.core.streams.definition import MAX_HOLDS, Hold, StreamDefinition
from event_gateway.observability.lifecycle import Lifecycle
from event_gateway.registration.applied_streams import AppliedStreams
from event_gateway.registration.stream_events import publish_change


class StreamHolds:
    """Places and releases holds."""

    def __init__(self, registry: Registry, applied: AppliedStreams, lifecycle: Lifecycle) -> None:
        self._registry = registry
        self._applied = applied
        self._lifecycle = lifecycle

    async def place(self, name: str, hold: Hold) -> StreamDefinition:
        """Suspends the limits of a compliance stream until the hold is released.

        Raises NotRegistered, Conflict, ProvisionError, and the exceptions in BrokerError: then NATS
        may have got the change, and the registry not; or both have it, and only the last look at
        NATS failed. The stream's definition shows which holds it has.
        """
        async with self._applied.alone(name):
            former = self._held(name)
            if len(former.holds) >= MAX_HOLDS:
                raise Conflict(f"the stream {name} has {MAX_HOLDS} holds already")
            return await self._hold(former, (*former.holds, hold))

    async def release(self, name: str, hold_id: str) -> StreamDefinition:
        """Ends a hold. With the last one the limits are in force again, and what is beyond them
        leaves the stream, the oldest first. Raises as :meth:`place`."""
        async with self._applied.alone(name):
            former = self._held(name)
            holds = tuple(hold for hold in former.holds if hold.id != hold_id)
            if holds == former.holds:
                raise NotRegistered(f"the stream {name} has no hold {hold_id}")
            return await self._hold(former, holds)

    def _held(self, name: str) -> StreamDefinition:
        definition = self._registry.stream(name)
        if not definition.compliance:
            raise Conflict(f"the stream {name} does not store records for compliance")
        return definition

    async def _hold(self, former: StreamDefinition, holds: tuple[Hold, ...]) -> StreamDefinition:
        changed = msgspec.structs.replace(former, holds=holds)
        tightens = bool(former.holds) and not holds
        if not tightens:  # NATS first: what the registry promises, holds
            await self._applied.ensure_limits(changed)
        try:
            await self._registry.put_stream(changed, former)
        except RegistryConflict:
            await self._applied.apply_registered(former.name)
            raise ChangedInBetween(f"the stream {former.name} was changed in between") from None
        # After the last release the limits are in force, unless another process has placed a hold
        # since. After the others, another process may just have applied what was registered before.
        await self._applied.ensure_limits(self._registry.stream(former.name))
        publish_change(self._lifecycle, "updated", changed)
        return changed
