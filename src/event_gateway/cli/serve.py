"""``event-gateway serve``: one process of the gateway, with the servers it may bring along."""

import asyncio
import contextlib
import json
import os
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
import typer
import uvicorn

from event_gateway.app import Gateway
from event_gateway.broker.connection import BrokerError
from event_gateway.broker.provision import ProvisionError
from event_gateway.cli.check import read_config, warnings
from event_gateway.cli.logs import configure_logs
from event_gateway.cli.process import attempts_within, raise_file_limit, settle_memory
from event_gateway.cli.reload import hangups, reload_when
from event_gateway.config.model import Config
from event_gateway.config.problems import ConfigError
from event_gateway.core.errors import InvalidDefinition, NewerFormat, ServerRefused
from event_gateway.core.sealing import new_key
from event_gateway.core.urls import without_password
from event_gateway.embedded.lock import DirectoryInUse, DirectoryLock
from event_gateway.embedded.servers import EmbeddedServerError, EmbeddedServers
from event_gateway.state.connection import StateError
from event_gateway.tasks import end

log = structlog.get_logger(__name__)


MIN_KEY = 16


class StartFailed(Exception):
    """The gateway cannot start; the text is for whoever started it."""


@dataclass(frozen=True, slots=True)
class Running:
    """A gateway that answers. URLs hold the credentials that a local tool needs."""

    gateway: Gateway
    http_url: str
    nats_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    admin_key: str = field(repr=False)
    first_start: bool


class QuietServer(uvicorn.Server):
    """uvicorn without its own signal handling: the gateway drains before its API ends."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def running(
    config: Config,
    data_dir: Path,
    *,
    host: str | None = None,
    port: int | None = None,
    environ: Mapping[str, str] = os.environ,
) -> AsyncIterator[Running]:
    """Starts everything and, at the end, drains and stops it. Raises StartFailed."""
    listener = _listen(host or config.server.host, config.server.port if port is None else port)
    lock = DirectoryLock(data_dir)
    embedded = EmbeddedServers(
        data_dir, nats=config.nats.url is None, valkey=config.redis.url is None
    )
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(lock.release)
        stack.callback(listener.close)
        stack.push_async_callback(embedded.stop)
        try:
            data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock.take()
            admin_key, first_start = _admin_key(data_dir)
            # With a NATS of its own this is the only process; others must be given the same key.
            sealing_key = _sealing_key(data_dir) if config.nats.url is None else None
        except DirectoryInUse as error:
            raise StartFailed(str(error)) from error
        except OSError as error:
            where = data_dir.resolve()
            raise StartFailed(f"the data directory {where} cannot be used: {error}") from error
        try:
            urls = await embedded.start()
            embedded.keep()
            nats_url = config.nats.url or urls[0] or ""
            redis_url = config.redis.url or urls[1] or ""
            gateway = Gateway(
                config, nats_url=nats_url, redis_url=redis_url, admin_key=admin_key,
                environ=environ, max_attempts=attempts_within(raise_file_limit()),
                sealing_key=sealing_key,
            )  # fmt: skip
            stack.push_async_callback(gateway.stop)
            await gateway.start()
        except (
            EmbeddedServerError, ProvisionError, ServerRefused, InvalidDefinition, NewerFormat
        ) as error:  # fmt: skip
            raise StartFailed(str(error)) from error
        except BrokerError as error:
            raise StartFailed(f"cannot work with NATS: {error}") from error
        except StateError as error:
            raise StartFailed(f"cannot work with Redis: {error}") from error
        server = QuietServer(
            uvicorn.Config(
                gateway.asgi, log_config=None, access_log=False, lifespan="off", ws="wsproto",
                ws_max_size=65536, timeout_keep_alive=30, timeout_graceful_shutdown=5,
                server_header=False,
            )
        )  # fmt: skip
        serving = asyncio.create_task(server.serve(sockets=[listener]), name="http")
        while not server.started and not serving.done():
            await asyncio.sleep(0.01)
        address, actual = listener.getsockname()[:2]
        shown = f"[{address}]" if ":" in address else address
        http_url = f"http://{shown}:{actual}"
        settle_memory()
        endpoints = data_dir / "endpoints.json"
        stack.callback(lambda: endpoints.unlink(missing_ok=True))
        _write_private(endpoints, json.dumps({
            "http": http_url, "nats": nats_url, "redis": redis_url, "console": None,
            "pid": os.getpid(),
        }))  # fmt: skip
        try:
            yield Running(gateway, http_url, nats_url, redis_url, admin_key, first_start)
        finally:
            await gateway.drain()
            server.should_exit = True
            await asyncio.gather(serving, return_exceptions=True)


def run(config_path: Path | None, host: str | None, port: int | None, data_dir: Path) -> int:
    """The command; gives the exit status."""
    try:
        config, source = read_config(config_path)
    except ConfigError as error:
        typer.echo(str(error), err=True)
        return 2
    configure_logs()
    for warning in warnings(config, source):
        log.warning(str(warning))
    return run_loop(_serve(config, config_path, host, port, data_dir))


def run_loop(main: Coroutine[Any, Any, int]) -> int:
    """Runs a coroutine on the fastest event loop there is."""
    if sys.platform == "win32":
        return asyncio.run(main)
    import uvloop

    return int(uvloop.run(main))


async def _serve(
    config: Config, config_path: Path | None, host: str | None, port: int | None, data_dir: Path
) -> int:
    stop = asyncio.Event()
    main = asyncio.current_task()
    starting = True

    def on_signal() -> None:
        if stop.is_set():
            os._exit(130)
        stop.set()
        if starting and main is not None:
            main.cancel()

    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, on_signal)
    asked = hangups()
    try:
        async with running(config, data_dir, host=host, port=port) as gateway:
            starting = False
            typer.echo(f"event gateway   {gateway.http_url}   (API docs: {gateway.http_url}/docs)")
            typer.echo(f"NATS            {without_password(gateway.nats_url)}")
            typer.echo(f"Redis           {without_password(gateway.redis_url)}")
            typer.echo(f"admin key       {data_dir / 'admin.key'}")
            if gateway.first_start:
                typer.echo(f"                {gateway.admin_key}   (shown once)")
            reloading = asyncio.create_task(reload_when(asked, config_path, gateway.gateway))
            await stop.wait()
            await end([reloading])
            typer.echo("draining; a second signal ends at once")
    except StartFailed as error:
        typer.echo(f"event-gateway: {error}", err=True)
        return 1
    except asyncio.CancelledError:
        if not stop.is_set():
            raise
        typer.echo("ended before it had started")
    return 0


def _admin_key(data_dir: Path) -> tuple[str, bool]:
    path = data_dir / "admin.key"
    try:
        key = path.read_text().strip()
    except FileNotFoundError:
        key = f"egk_{secrets.token_urlsafe(32)}"
        _write_private(path, key)
        return key, True
    if len(key) < MIN_KEY:
        raise StartFailed(
            f"{path.resolve()} holds no key of at least {MIN_KEY} characters: "
            "delete it to have one made, or write your own into it"
        )
    return key, False


def _sealing_key(data_dir: Path) -> Path:
    path = data_dir / "sealing.key"
    if not path.exists():
        _write_private(path, new_key())
    return path


def _write_private(path: Path, text: str) -> None:
    """Writes a file that only its owner can read, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    temporary.replace(path)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's algorithm off only where the protocol is named.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise StartFailed(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
    listener.setblocking(False)
    return listener
