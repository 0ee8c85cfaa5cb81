"""The console beside a gateway: a process of its own, which is started again when it ends."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import structlog

from event_gateway.beats import beat
from event_gateway.cli.process.host import Hosted
from event_gateway.config.model import Config
from event_gateway.console.links import OneTimeLinks
from event_gateway.console.sealing import sealer_in
from event_gateway.console.settings import ConsoleSettings, OidcSettings
from event_gateway.secrets.external import ExternalSecrets
from event_gateway.tasks import Supervisor, end

log = structlog.get_logger(__name__)

INTERVAL = 1.0  # seconds between checks whether it lives
STEADY = 60.0  # seconds after which it counts as healthy
FIRST_DELAY, MAX_DELAY = 0.5, 60.0  # seconds between two starts of one that does not stay alive
CONSOLE_MARGIN = 3.0  # seconds for its end, then it is killed
# What it may see of the environment: none of the gateway's secrets.
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT",
              "SSL_CERT_FILE", "SSL_CERT_DIR", "LD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV",
              "PYTHONDONTWRITEBYTECODE", "NO_COLOR", "COVERAGE_PROCESS_START",
              "COVERAGE_PROCESS_CONFIG")  # fmt: skip


def console_settings(config: Config, hosted: Hosted, data_dir: Path) -> ConsoleSettings:
    """What the console of a gateway works with."""
    console, tls = config.console, config.server.tls
    oidc = None
    if console.oidc is not None:
        oidc = OidcSettings(
            issuer=console.oidc.issuer,
            client_id=console.oidc.client_id,
            client_secret=_secret(config, console.oidc.secret_name),
            scopes=tuple(dict.fromkeys(("openid", *console.oidc.scopes))),
        )
    folder, shown = Path(config.secrets.dir), console.client_certificate
    return ConsoleSettings(
        gateway_url=_reachable(hosted.http_url),
        certificate=None if hosted.certificate is None else str(hosted.certificate),
        directory=str(console_directory(data_dir)),
        name=console.name,
        logo=None if console.logo is None else str(Path(console.logo).absolute()),
        public_url=console.url,
        tls_cert=None if tls is None else str((folder / tls.cert).absolute()),
        tls_key=None if tls is None or tls.key is None else str((folder / tls.key).absolute()),
        session=console.session,
        client_cert=None if shown is None else str((folder / shown.cert).absolute()),
        client_key=None
        if shown is None or shown.key is None
        else str((folder / shown.key).absolute()),
        trusted_proxies=tuple(config.server.trusted_proxies),
        client_address_header=config.server.client_address_header,
        log_level=config.telemetry.logs.level,
        log_format=config.telemetry.logs.format,
        oidc=oidc,
    )


def _secret(config: Config, name: str | None) -> str | None:
    """A secret of the environment or of a file. Without it, which is warned of at the start, the
    provider refuses the console."""
    if name is None:
        return None
    secrets = ExternalSecrets(os.environ, config.secrets.env_prefix, Path(config.secrets.dir))
    found = secrets.find(name)
    return None if found is None else found[1]


def console_directory(data_dir: Path) -> Path:
    """Where a console keeps the key of its sessions and its one-time links."""
    return (data_dir / "console").absolute()


def sign_in_link(data_dir: Path, console_url: str, key: str) -> str:
    """A link that signs in to the console of a gateway once, within minutes. Raises OSError."""
    directory = console_directory(data_dir)
    return console_url + OneTimeLinks(directory, sealer_in(directory)).create(key)


@contextlib.asynccontextmanager
async def console_running(
    settings: ConsoleSettings, listener: socket.socket, supervisor: Supervisor
) -> AsyncIterator[None]:
    """Keeps a console running. It is started without waiting for it: until it answers, browsers
    wait, as its socket is open."""
    process = _ConsoleProcess(settings, listener)
    task = supervisor.start("console", process.keep)
    try:
        yield
    finally:
        await end([task])
        await process.stop()


class _ConsoleProcess:
    def __init__(self, settings: ConsoleSettings, listener: socket.socket) -> None:
        self._settings = settings
        self._listener = listener
        self._process: subprocess.Popen[str] | None = None

    async def keep(self) -> None:
        """Starts it, and again whenever it has ended, later and later, and when the certificate
        was renewed: it serves that, and knows the gateway by it."""
        delay = FIRST_DELAY
        files: list[float | None] = []
        while True:
            if self._process is None or self._process.poll() is not None:
                started = time.monotonic()
                files = self._changed_at()
                self._start()
            await beat(INTERVAL)
            if self._process is None:
                continue
            if (status := self._process.poll()) is None:
                if self._changed_at() != files:
                    log.info("the certificate has changed, the console is started again")
                    await self.stop()
                continue
            if time.monotonic() - started > STEADY:
                delay = FIRST_DELAY
            log.warning("the console has ended by itself, it is started again", status=status,
                        seconds=delay)  # fmt: skip
            await asyncio.sleep(delay)
            delay = min(2 * delay, MAX_DELAY)

    def _start(self) -> None:
        number = self._listener.fileno()
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "event_gateway.console", str(number)],
            stdin=subprocess.PIPE, pass_fds=(number,), text=True,
            env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            # Ctrl-C in the terminal is for the gateway, which ends the console.
            start_new_session=True,
        )  # fmt: skip
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(self._settings.to_json() + "\n")
            self._process.stdin.flush()

    def _changed_at(self) -> list[float | None]:
        """When each file of the certificates has changed; None for one that is missing."""
        settings = self._settings
        names = (
            settings.tls_cert, settings.tls_key, settings.certificate, settings.client_cert,
            settings.client_key,
        )  # fmt: skip
        return [_changed_at(Path(name)) for name in names if name is not None]

    async def stop(self) -> None:
        """Ends it: closing its input tells it to end."""
        process = self._process
        if process is None:
            return
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        deadline = time.monotonic() + CONSOLE_MARGIN
        while process.poll() is None:
            if time.monotonic() > deadline:
                process.kill()
            await asyncio.sleep(0.02)


def _changed_at(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None


def _reachable(url: str) -> str:
    """A URL of this machine, where the gateway listens on all addresses."""
    for everywhere, here in (("//0.0.0.0:", "//127.0.0.1:"), ("//[::]:", "//[::1]:")):
        url = url.replace(everywhere, here)
    return url
