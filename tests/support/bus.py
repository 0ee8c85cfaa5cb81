"""The client of NATS for tests."""

import asyncio
from typing import Any

from nats.aio.client import DEFAULT_FLUSH_TIMEOUT
from nats.aio.client import Client as Nats
from nats.js import JetStreamContext

from support.patience import PATIENCE


class Bus(Nats):
    """Waits for JetStream as long as tests wait, and closes a connection whose handshake fails, as
    those to a NATS that is just being killed.

    The client leaves them open and forgets them, and they would warn in a later test.
    """

    def jetstream(self, **options: Any) -> JetStreamContext:
        """As the client's, with the patience of the tests where no ``timeout`` is given."""
        return super().jetstream(**{"timeout": PATIENCE, **options})

    async def flush(self, timeout: int = DEFAULT_FLUSH_TIMEOUT) -> None:
        """Returns once the server has processed all that was sent: the client's own sends its ping
        ahead of what it has buffered."""
        await super().flush(timeout)
        await super().flush(timeout)

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
