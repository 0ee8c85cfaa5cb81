"""One of several processes of a gateway, as :mod:`event_gateway.cli.process.workers` forks it."""

import asyncio
import contextlib
import faulthandler
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from event_gateway.app.telemetry import log_settings
from event_gateway.beats import beat
from event_gateway.cli.process.configuration import read_config
from event_gateway.cli.process.gateway_process import END_MARGIN, running_gateway
from event_gateway.cli.process.host import Hosted, StartFailed
from event_gateway.cli.process.reload import Reloading, hangups
from event_gateway.cli.process.signals import Ending
from event_gateway.cli.process.supervision import supervising
from event_gateway.cli.standard_streams import drop_unwritten, say
from event_gateway.config.model import Config
from event_gateway.config.problems import ConfigError, KeyLocations
from event_gateway.embedded.process import killed_with_parent
from event_gateway.observability.logs import configure_logs, log_uncaught
from event_gateway.observability.metrics import FigureFiles, Metrics
from event_gateway.registration.admin_key import AdminKeyFile, NoAdminKey
from event_gateway.tasks import Supervisor, TaskCrashed, end

INTERVAL = 0.5  # seconds between checks whether the parent process lives
BEAT = 5.0  # seconds between two signs that the event loop turns
READY = b"R"  # what is written to the pipe of the first process once this process is ready
TURNS = b"."  # what is written there every BEAT seconds while the event loop turns


async def _end_with(parent: int) -> None:
    """Ends this process at once when its parent is gone, for systems that do not."""
    while os.getppid() == parent:
        await asyncio.sleep(INTERVAL)
    os._exit(1)


async def _show_life(pipe: int) -> None:
    """Tells the first process every :data:`BEAT` seconds that the event loop turns."""
    while True:
        with contextlib.suppress(OSError):  # the first process hangs, or has ended
            os.write(pipe, TURNS)
        await beat(BEAT)


@contextlib.asynccontextmanager
async def _showing_life(pipe: int, supervisor: Supervisor) -> AsyncIterator[None]:
    """Tells the first process, also while the gateway starts, that the event loop turns."""
    os.set_blocking(pipe, False)
    supervisor.start("sign-of-life", lambda: _show_life(pipe))
    yield


def _tell(settings: dict[str, Any]) -> None:
    """Has the first process, and with it all of its processes, reload the file."""
    if os.getppid() == settings["parent"]:  # which ends with the first process
        os.kill(settings["first"], signal.SIGUSR1)


async def _work(
    config: Config,
    locations: KeyLocations,
    settings: dict[str, Any],
    pipe: int,
    listeners: Sequence[int],
) -> int:
    ending = Ending(config.server.drain_timeout, margin=END_MARGIN)
    metrics = Metrics(FigureFiles(Path(settings["metrics"]), settings["name"]))
    signals = hangups()
    path = None if settings["config"] is None else Path(settings["config"])
    sealing_key = None if settings["sealing_key"] is None else Path(settings["sealing_key"])
    with contextlib.ExitStack() as sockets:
        listener, *admin = (
            sockets.enter_context(socket.socket(fileno=number)) for number in listeners
        )
        for each in (listener, *admin):
            each.setblocking(False)
        hosted = Hosted(
            listener,
            settings["nats_url"],
            settings["redis_url"],
            AdminKeyFile(Path(settings["admin_key"]).parent),
            sealing_key,
            data_dir=None if settings["data_dir"] is None else Path(settings["data_dir"]),
            config_path=path,
            store_limit=settings["store_limit"],
            admin_listener=admin[0] if admin else None,
        )
        try:
            hosted.admin_key.open()
            async with (
                supervising(metrics.task_crashed) as supervisor,
                _showing_life(pipe, supervisor),
                running_gateway(
                    config, hosted, os.environ,
                    supervisor=supervisor, metrics=metrics, locations=locations,
                    force=settings["force"],
                ) as gateway,
            ):  # fmt: skip
                ending.started()
                os.write(pipe, READY)
                supervisor.start("parent-watch", lambda: _end_with(settings["parent"]))
                supervisor.start("metrics", metrics.share)
                reloading = Reloading(path, gateway, ending, tell_others=lambda: _tell(settings))
                work = reloading.start(supervisor, signals)
                await ending.wait()
                await end(work)
        except TaskCrashed as error:
            say(f"event-gateway: {error}; the process ends", err=True)
            return 1
        except StartFailed as error:
            say(error.line, err=True)
            return error.status
        except NoAdminKey as error:
            say(f"event-gateway: {error}", err=True)
            return 1
        except asyncio.CancelledError:
            if not ending.requested:
                raise
        finally:
            await metrics.write_changes()
    return 0


def main(message: bytes, descriptors: Sequence[int]) -> int:
    """Runs a forked worker; returns the exit status. ``message``: its settings, as JSON;
    ``descriptors``: the pipe to the first process, and the sockets to listen on."""
    if sys.platform == "linux":
        # It holds the port: draining without servers would keep the next gateway from it.
        killed_with_parent()
        with contextlib.suppress(OSError):  # what top and ps show
            Path("/proc/self/comm").write_text("eg-worker")
    os.setsid()  # Ctrl-C in the terminal goes to the first process only, which ends the others
    settings = json.loads(message)
    if os.getppid() != settings["parent"]:
        return 1  # it ended before this process asked to be killed with it
    try:
        config, locations = read_config(
            None if settings["config"] is None else Path(settings["config"])
        )
    except ConfigError as error:
        say(str(error), err=True)
        return 2
    configure_logs(log_settings(config))
    log_uncaught()
    faulthandler.register(signal.SIGUSR2)  # leaves a traceback, also if the loop stands still
    from event_gateway.cli.process.serve import run_loop

    pipe, *listeners = descriptors
    try:
        return run_loop(_work(config, locations, settings, pipe, listeners))
    finally:
        drop_unwritten()
