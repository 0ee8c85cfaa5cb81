"""The client of NATS for tests."""

import asyncio
from typing import Any

from nats.aio.client import Client as Nats


class Bus(Nats):
    """Closes a connection whose handshake fails, as those to a NATS that is just being killed.

    The client leaves them open and forgets them, and they would warn in a later test.
    """

    async def _process_connect_init(self) -> None:
        try:
            await super()._process_connect_init()
        except BaseException:
            writer = getattr(self._transport, "_io_writer", None)
            if writer is not None:
                writer.transport.abort()
                await asyncio.sleep(0)  # asyncio closes the socket in its next turn
            raise


async def connect_bus(servers: str | list[str], **options: Any) -> Bus:
    """Connects to NATS, as ``nats.connect`` does."""
    bus = Bus()
    await bus.connect(servers, **options)
    return bus
