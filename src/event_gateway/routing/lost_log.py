"""The loss of the events log: a reason for degraded health, until an operator confirms it."""

from msgspec.structs import replace

from event_gateway.broker.registry import Registry
from event_gateway.core.observability.reason import Reason
from event_gateway.core.observability.reason_codes import LOG_LOST


class LostLog:
    """What the registry says of losses, which every process reads there."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    @property
    def reasons(self) -> list[Reason]:
        """Why the gateway's health is degraded."""
        return [
            Reason(
                LOG_LOST,
                f"NATS has lost {stream} with its events up to {known.loss.last_seq}, or is "
                "another server than before; POST /v1/repair/loss confirms that you know",
                stream,
            )
            for stream, known in self._registry.logs.items()
            if known.loss is not None
        ]

    async def confirm(self) -> list[str]:
        """Ends the reasons, in all processes; returns the names of the streams.

        Raises RegistryConflict, and what BrokerError names.
        """
        lost = {name: known for name, known in self._registry.logs.items() if known.loss}
        for stream, known in lost.items():
            await self._registry.put_log(stream, replace(known, loss=None))
        return list(lost)
