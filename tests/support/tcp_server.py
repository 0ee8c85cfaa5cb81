"""A TCP server for tests that ends all its connections and tasks, and what relays need."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def tcp_server(
    handler: Handler, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """Serves connections with ``handler``; yields the port.

    At the end, handlers that still run are cancelled, and their connections aborted.
    """
    running: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running[task] = writer
        try:
            await handler(reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()  # not raised: asyncio would log it as a failed callback
        finally:
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()
            del running[task]

    server = await asyncio.start_server(serve, host, port, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        while running:
            for task, writer in list(running.items()):
                writer.transport.abort()
                task.cancel()
            await asyncio.wait(list(running), timeout=1)


@contextlib.asynccontextmanager
async def tcp_connection(
    host: str, port: int
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to the server behind a relay. It is closed at the end, and aborted if the
    handler was cancelled: an open one would outlive its test, and warn in a later one."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        yield reader, writer
    except BaseException:
        writer.transport.abort()
        raise
    finally:
        writer.close()


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Writes to one connection what comes from another, and closes it at the end."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
