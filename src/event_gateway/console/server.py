"""Runs the console in a process of its own: ``python -m event_gateway.console FD``.

The settings, with their secrets, come over standard input, and ``FD`` is the socket to answer on.
When the input ends, the process ends: the gateway that started it is gone. A thread reads the
input, so that a console whose pages hang ends, too.
"""

import asyncio
import contextlib
import os
import socket
import sys
import threading
import time

import uvicorn

from event_gateway.console.application import Console
from event_gateway.console.connections import BoundedConnection
from event_gateway.console.settings import ConsoleSettings
from event_gateway.observability.logs import LogSettings, configure_logs, log_uncaught
from event_gateway.quiet_server import QuietServer

END_TIMEOUT = 5.0  # seconds that a process may take to end


async def serve(settings: ConsoleSettings, listener: socket.socket, end: asyncio.Event) -> None:
    """Answers on a socket until ``end`` is set. Raises OSError if a file of the settings cannot be
    used."""
    console = Console(settings, listener.getsockname()[1])
    server = QuietServer(
        uvicorn.Config(
            console.asgi, log_config=None, access_log=False, lifespan="off", proxy_headers=False,
            http=BoundedConnection, ws="none", server_header=False, timeout_graceful_shutdown=1,
            ssl_certfile=settings.tls_cert, ssl_keyfile=settings.tls_key,
        )
    )  # fmt: skip
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="console")
    ending = asyncio.create_task(end.wait(), name="console-end")
    await asyncio.wait((serving, ending), return_when=asyncio.FIRST_COMPLETED)
    server.finish()
    ending.cancel()
    await serving
    await console.close()


def main() -> int:
    """Runs the process; returns its exit status."""
    settings = ConsoleSettings.from_json(sys.stdin.readline())
    configure_logs(LogSettings(level=settings.log_level, format=settings.log_format))
    log_uncaught()
    listener = socket.socket(fileno=int(sys.argv[1]))
    try:
        asyncio.run(_until_input_ends(settings, listener))
    except OSError as error:
        print(f"the console cannot start: {error}", file=sys.stderr)
        return 1
    return 0


async def _until_input_ends(settings: ConsoleSettings, listener: socket.socket) -> None:
    end, loop = asyncio.Event(), asyncio.get_running_loop()
    threading.Thread(target=_watch_input, args=(loop, end), daemon=True).start()
    await serve(settings, listener, end)


def _watch_input(loop: asyncio.AbstractEventLoop, end: asyncio.Event) -> None:
    """Runs in a thread: sets ``end`` when the input ends, and ends a process that hangs."""
    while os.read(sys.stdin.fileno(), 1024):
        pass
    with contextlib.suppress(RuntimeError):  # the loop is closed already
        loop.call_soon_threadsafe(end.set)
    time.sleep(END_TIMEOUT)
    os._exit(1)
