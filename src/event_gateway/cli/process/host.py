"""Opens what the processes of one gateway share: data directory, servers, socket, admin key."""

import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from event_gateway.config.model import Config
from event_gateway.core.access.sealing import new_key
from event_gateway.embedded.lock import DirectoryInUse, DirectoryLock
from event_gateway.embedded.servers import STOPPED_AFTER, EmbeddedServerError, EmbeddedServers
from event_gateway.private_file import write_private
from event_gateway.registration.admin_key import AdminKeyFile, NoAdminKey
from event_gateway.tasks import Supervisor

HOST_MARGIN = STOPPED_AFTER  # seconds in which all that is opened here is closed, at most


class StartFailed(Exception):
    """The gateway cannot start; the text says why, and is empty where that was printed.
    ``status``: the exit status, 2 for a wrong configuration."""

    def __init__(self, text: str, status: int = 1) -> None:
        super().__init__(text)
        self.status = status

    @property
    def line(self) -> str:
        """The text as a command prints it: what is wrong in a file begins with the file."""
        return str(self) if self.status == 2 else f"event-gateway: {self}"


@dataclass(frozen=True, slots=True)
class Hosted:
    """What a gateway process works with. The URLs contain credentials, which local tools need.

    ``data_dir``: where embedded servers keep their data, None if there are none; ``store_limit``:
    bytes that the streams of the embedded NATS may have, None if NATS is not embedded.
    """

    listener: socket.socket
    nats_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    admin_key: AdminKeyFile
    sealing_key: Path | None = None
    data_dir: Path | None = None
    config_path: Path | None = None
    store_limit: int | None = None
    certificate: Path | None = None  # the file of the API's certificate; None for plain HTTP
    admin_listener: socket.socket | None = None  # of the admin port, if there is one
    console_listener: socket.socket | None = None  # of the console, if there is one

    @property
    def http_url(self) -> str:
        """The URL of the API."""
        return f"{'http' if self.certificate is None else 'https'}://{_place(self.listener)}"

    @property
    def admin_url(self) -> str | None:
        """The URL of the admin port; None if there is none."""
        return None if self.admin_listener is None else f"http://{_place(self.admin_listener)}"

    @property
    def console_url(self) -> str | None:
        """The URL of the console; None if there is none."""
        if self.console_listener is None:
            return None
        return f"{self.http_url.partition(':')[0]}://{_place(self.console_listener)}"


@contextlib.asynccontextmanager
async def hosting(
    config: Config,
    data_dir: Path,
    supervisor: Supervisor,
    *,
    host: str | None,
    port: int | None,
    config_path: Path | None = None,
    console: bool = False,
) -> AsyncIterator[Hosted]:
    """Takes the data directory and the ports, and starts the embedded servers. ``config_path``: the
    file that ``config`` is from; ``console``: there is a console.

    Raises StartFailed.
    """
    host, port = host or config.server.host, config.server.port if port is None else port
    admin_listener = console_listener = None
    listener = listen(host, port)
    try:
        if (admin := config.server.admin) is not None:
            admin_listener = listen(admin.host, admin.port)
        if console:
            console_listener = _listen_for_console(config, host, listener.getsockname()[1], port)
    except StartFailed:
        listener.close()
        if admin_listener is not None:
            admin_listener.close()
        raise
    lock = DirectoryLock(data_dir)
    embedded = EmbeddedServers(
        data_dir, nats=config.nats.place is None, valkey=config.redis.place is None,
        fsync=config.durability == "fsync",
    )  # fmt: skip
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(lock.release)
        stack.callback(listener.close)
        for other in filter(None, (admin_listener, console_listener)):
            stack.callback(other.close)
        stack.push_async_callback(embedded.stop)
        try:
            data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock.take()
            admin_key = AdminKeyFile(data_dir)
            admin_key.open()
            # With an embedded NATS there is no other gateway that needs the same key.
            sealing_key = _sealing_key(data_dir) if config.nats.url is None else None
        except (DirectoryInUse, NoAdminKey) as error:
            raise StartFailed(str(error)) from error
        except OSError as error:
            where = data_dir.resolve()
            raise StartFailed(f"the data directory {where} cannot be used: {error}") from error
        try:
            urls = await embedded.start()
        except EmbeddedServerError as error:
            raise StartFailed(str(error)) from error
        except OSError as error:
            where = data_dir.resolve()
            raise StartFailed(f"the data directory {where} cannot be used: {error}") from error
        embedded.keep(supervisor)
        yield Hosted(
            listener, config.nats.url or urls[0] or "", config.redis.place or urls[1] or "",
            admin_key, sealing_key=sealing_key, data_dir=data_dir.absolute(),
            config_path=config_path, store_limit=embedded.store_limit,
            certificate=_certificate(config), admin_listener=admin_listener,
            console_listener=console_listener,
        )  # fmt: skip


@contextlib.contextmanager
def announced(hosted: Hosted, data_dir: Path) -> Iterator[None]:
    """Writes ``endpoints.json`` to the data directory, and removes it at the end."""
    endpoints = data_dir / "endpoints.json"
    places = {
        "http": hosted.http_url, "nats": hosted.nats_url, "redis": hosted.redis_url,
        "pid": os.getpid(),
    }  # fmt: skip
    if hosted.certificate is not None:
        places["certificate"] = str(hosted.certificate)
    for name, url in (("admin", hosted.admin_url), ("console", hosted.console_url)):
        if url is not None:
            places[name] = url
    write_private(endpoints, json.dumps(places))
    try:
        yield
    finally:
        endpoints.unlink(missing_ok=True)


def _place(listener: socket.socket) -> str:
    """Address and port, as they stand in a URL."""
    address, port = listener.getsockname()[:2]
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _certificate(config: Config) -> Path | None:
    """The file of the API's certificate, as an absolute path."""
    tls = config.server.tls
    return None if tls is None else (Path(config.secrets.dir) / tls.cert).absolute()


def _sealing_key(data_dir: Path) -> Path:
    path = data_dir / "sealing.key"
    if not path.exists():
        write_private(path, new_key())
    return path


def _listen_for_console(config: Config, host: str, taken: int, asked: int) -> socket.socket:
    """The socket of the console. ``taken`` is the API's port, ``asked`` the one that was asked for:
    0 for any."""
    host = config.console.host or host
    if config.console.port is not None:
        return listen(host, config.console.port)
    try:
        return listen(host, taken + 1 if asked else 0)
    except (StartFailed, OverflowError):
        return listen(host, 0)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 is any free one. Raises StartFailed."""
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
