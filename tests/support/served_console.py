"""A console in the test's own process, beside whatever gateway."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

from event_gateway.console.server import serve
from event_gateway.console.settings import ConsoleSettings

NO_GATEWAY = "http://127.0.0.1:9"  # nobody answers there


@contextlib.asynccontextmanager
async def served_console(settings: ConsoleSettings) -> AsyncIterator[str]:
    """Serves a console; its URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    end = asyncio.Event()
    serving = asyncio.create_task(serve(settings, listener, end))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        end.set()
        await serving
