"""``event-gateway serve``: runs the gateway, and the embedded servers where configured."""

import asyncio
import contextlib
import functools
import os
import sys
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from event_gateway.app.gateway import Gateway
from event_gateway.app.telemetry import log_settings
from event_gateway.cli.process import worker
from event_gateway.cli.process.configuration import read_config, warnings
from event_gateway.cli.process.console import CONSOLE_MARGIN, console_running, console_settings
from event_gateway.cli.process.forks import ForkServer
from event_gateway.cli.process.gateway_process import END_MARGIN, running_gateway
from event_gateway.cli.process.host import HOST_MARGIN, Hosted, StartFailed, announced, hosting
from event_gateway.cli.process.reload import Reloading, hangups
from event_gateway.cli.process.service_manager import ServiceManager, informing
from event_gateway.cli.process.signals import Ending
from event_gateway.cli.process.supervision import supervising
from event_gateway.cli.process.watch import watch
from event_gateway.cli.process.workers import Workers
from event_gateway.cli.standard_streams import drop_unwritten, say
from event_gateway.config.model import Config
from event_gateway.config.problems import ConfigError, KeyLocations
from event_gateway.core.text.units import format_size
from event_gateway.core.text.urls import without_password
from event_gateway.observability.logs import configure_logs, log_uncaught
from event_gateway.observability.metrics import FigureFiles, Metrics, SharedFolder
from event_gateway.tasks import Supervisor, TaskCrashed, end

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Running:
    """A gateway that runs. The URLs contain credentials, which local tools need."""

    gateway: Gateway
    http_url: str
    nats_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    admin_key: str = field(repr=False)
    console_url: str | None = None


@contextlib.asynccontextmanager
async def running(
    config: Config,
    data_dir: Path,
    *,
    host: str | None = None,
    port: int | None = None,
    environ: Mapping[str, str] = os.environ,
    console: bool = False,
) -> AsyncIterator[Running]:
    """Starts everything in this process and, at the end, drains and stops it. ``console``: with a
    console, in a process of its own.

    Raises StartFailed, and TaskCrashed as :func:`supervising` does.
    """
    metrics = Metrics()
    async with (
        supervising(metrics.task_crashed) as supervisor,
        hosting(config, data_dir, supervisor, host=host, port=port, console=console) as hosted,
        running_gateway(config, hosted, environ, supervisor=supervisor, metrics=metrics) as gateway,
        announcing(config, hosted, data_dir, supervisor),
    ):
        yield Running(
            gateway,
            hosted.http_url,
            hosted.nats_url,
            hosted.redis_url,
            hosted.admin_key.value,
            hosted.console_url,
        )


def run(
    config_path: Path | None,
    host: str | None,
    port: int | None,
    data_dir: Path,
    workers: int,
    *,
    force: bool = False,
    watched: bool = False,
    console: bool | None = None,
) -> int:
    """Runs the command; returns the exit status. ``watched``: the file is reloaded whenever it
    changes; ``console``: whether there is one, None as the file says."""
    try:
        config, locations = read_config(config_path)
    except ConfigError as error:
        say(str(error), err=True)
        return 2
    configure_logs(log_settings(config))
    log_uncaught()
    for warning in warnings(config, locations, host):
        log.warning("the configuration needs attention", problem=str(warning))
    # Forked before there is an event loop.
    forks = ForkServer(worker.main) if workers > 1 else None
    try:
        return run_loop(_serve(
            config, locations, config_path, host, port, data_dir, workers, forks, force=force,
            watched=watched, console=config.console.enabled if console is None else console,
        ))  # fmt: skip
    finally:
        if forks is not None:
            forks.close()
        drop_unwritten()


def run_loop(main: Coroutine[Any, Any, int]) -> int:
    """Runs a coroutine on uvloop (on Windows: on asyncio's own loop)."""
    if sys.platform == "win32":
        return asyncio.run(main)
    import uvloop

    return int(uvloop.run(main))


async def _serve(
    config: Config,
    locations: KeyLocations,
    config_path: Path | None,
    host: str | None,
    port: int | None,
    data_dir: Path,
    workers: int,
    forks: ForkServer | None,
    *,
    force: bool,
    watched: bool,
    console: bool,
) -> int:
    # The worker processes, if there are any, end before what they share does.
    margin = END_MARGIN + CONSOLE_MARGIN + HOST_MARGIN
    ending = Ending(config.server.drain_timeout, margin=margin)
    signals = hangups()
    figures = SharedFolder((data_dir / "metrics").absolute())
    metrics = Metrics(None if forks is None else FigureFiles(figures.path, "serve"))
    try:
        async with (
            supervising(metrics.task_crashed) as supervisor,
            informing(supervisor) as manager,
            hosting(
                config, data_dir, supervisor, host=host, port=port, config_path=config_path,
                console=console,
            ) as hosted,
        ):  # fmt: skip
            if forks is None:
                async with running_gateway(
                    config, hosted, os.environ,
                    supervisor=supervisor, metrics=metrics, locations=locations, force=force,
                ) as gateway:  # fmt: skip
                    work = Reloading(config_path, gateway, ending, tell_others=None).start(
                        supervisor, signals
                    )
                    if watched and config_path is not None:
                        look = functools.partial(watch, config_path, signals.hangup)
                        work.append(supervisor.start("file-watch", look))
                    await _until_told_to_end(
                        config, hosted, data_dir, supervisor, ending, work, manager
                    )
            else:
                async with Workers(
                    workers, forks, config_path, hosted,
                    supervisor=supervisor, figures=figures, force=force,
                ) as processes:  # fmt: skip
                    work = [
                        *processes.keep(signals, ending),
                        supervisor.start("metrics", metrics.share),
                    ]
                    if watched and config_path is not None:
                        look = functools.partial(watch, config_path, signals.hangup)
                        work.append(supervisor.start("file-watch", look))
                    await _until_told_to_end(
                        config, hosted, data_dir, supervisor, ending, work, manager
                    )
    except TaskCrashed as error:
        say(f"event-gateway: {error}; the process ends", err=True)
        return 1
    except StartFailed as error:
        if str(error):
            say(error.line, err=True)
        return error.status
    except asyncio.CancelledError:
        if not ending.requested:
            raise
        say("ended before it had started")
    return 0


async def _until_told_to_end(
    config: Config,
    hosted: Hosted,
    data_dir: Path,
    supervisor: Supervisor,
    ending: Ending,
    work: Sequence[asyncio.Task[None]],
    manager: ServiceManager,
) -> None:
    """Prints the addresses, and returns when the process is to end."""
    ending.started()
    async with announcing(config, hosted, data_dir, supervisor):
        if hosted.console_url is not None:
            say(f"console         {hosted.console_url}")
        say(f"event gateway   {hosted.http_url}   (API docs: {hosted.http_url}/docs)")
        say(f"NATS            {without_password(hosted.nats_url)}")
        say(f"Redis           {without_password(hosted.redis_url)}")
        if hosted.store_limit is not None:
            say(f"storage         {format_size(hosted.store_limit)} for the streams of NATS")
        if hosted.admin_url is not None:
            say(f"admin port      {hosted.admin_url}")
        say(f"admin key       {data_dir / 'admin.key'}")
        manager.serving()
        await ending.wait()
        manager.stopping()
        await end(work)
        say("draining; a second signal ends at once")


@contextlib.asynccontextmanager
async def announcing(
    config: Config, hosted: Hosted, data_dir: Path, supervisor: Supervisor
) -> AsyncIterator[None]:
    """Says where the gateway is, and keeps its console running if it has one."""
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(announced(hosted, data_dir))
        if hosted.console_listener is not None:
            settings = console_settings(config, hosted, data_dir)
            await stack.enter_async_context(
                console_running(settings, hosted.console_listener, supervisor)
            )
        yield
