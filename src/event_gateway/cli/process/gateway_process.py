"""One process of a gateway: it does the work, and answers on the shared socket."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import uvicorn

from event_gateway.app.gateway import DRAIN_MARGIN, STOP_MARGIN, Gateway, open_gateway
from event_gateway.app.server_logins import login_files
from event_gateway.app.stages.api import AdminPort
from event_gateway.app.stages.stages import ProcessSettings
from event_gateway.broker.connection import BrokerError
from event_gateway.broker.provision import ProvisionError
from event_gateway.cli.process.host import Hosted, StartFailed
from event_gateway.cli.process.limits import (
    attempts_within,
    connections_within,
    raise_file_limit,
    settle_memory,
)
from event_gateway.config.model import Config
from event_gateway.config.problems import KeyLocations
from event_gateway.core.errors import InvalidDefinition, NewerFormat, ServerRefused
from event_gateway.observability.metrics import Metrics
from event_gateway.quiet_server import QuietServer
from event_gateway.secrets.private_files import PrivateFiles
from event_gateway.state.connection import StateError
from event_gateway.tasks import Policy, Supervisor, end

HTTP_TIMEOUT = 5  # seconds for the responses that are left after the drain
ADMIN_TIMEOUT = 1  # the same, of the admin port
# Seconds in which :func:`running_gateway` ends beyond ``server.drain_timeout``.
END_MARGIN = DRAIN_MARGIN + HTTP_TIMEOUT + ADMIN_TIMEOUT + STOP_MARGIN


def _serve_admin(
    port: AdminPort, listener: socket.socket, supervisor: Supervisor
) -> Callable[[], Awaitable[None]]:
    """Answers on the admin port; returns what ends that."""
    server = QuietServer(
        uvicorn.Config(
            port.asgi, log_config=None, access_log=False, lifespan="off", proxy_headers=False,
            http=port.http,  # type: ignore[arg-type]  # it only calls it
            ws="none", timeout_graceful_shutdown=ADMIN_TIMEOUT, server_header=False,
        )
    )  # fmt: skip
    serving = supervisor.start(
        "admin-http", lambda: server.serve(sockets=[listener]), policy=Policy.END_PROCESS
    )

    async def finish() -> None:
        if supervisor.fatal is not None:
            await end([serving])
            return
        supervisor.let_return(serving)
        server.finish()
        await asyncio.wait([serving])

    return finish


def _refused(error: InvalidDefinition, locations: KeyLocations | None) -> StartFailed:
    """Why a definition of the file cannot replace what is registered, with file and line."""
    if locations is None or error.key.partition(".")[0] not in Config.model_fields:
        return StartFailed(str(error))
    return StartFailed(str(locations.problem(error.key, error.detail)), 2)


@contextlib.asynccontextmanager
async def running_gateway(
    config: Config,
    hosted: Hosted,
    environ: Mapping[str, str],
    *,
    supervisor: Supervisor,
    metrics: Metrics,
    locations: KeyLocations | None = None,
    force: bool = False,
) -> AsyncIterator[Gateway]:
    """A gateway that answers; at the end it drains and stops. ``locations``: the locations in the
    file, for errors; ``force``: the file's streams may drop events. Raises StartFailed.

    If a task has crashed that ends the process, it stops without draining: what is not recorded
    is delivered again after the next start.
    """
    async with contextlib.AsyncExitStack() as stack:
        try:
            files = raise_file_limit()
            starts_servers = None in (config.nats.place, config.redis.place)
            settings = ProcessSettings(
                nats_url=hosted.nats_url,
                redis_url=hosted.redis_url,
                environ=environ,
                sealing_key=hosted.sealing_key,
                private=PrivateFiles(
                    hosted.data_dir,
                    (*login_files(config), *filter(None, (hosted.config_path,))),
                ),
                max_attempts=attempts_within(files),
                max_connections=connections_within(files),
                data_dir=hosted.data_dir if starts_servers else None,
                store_limit=hosted.store_limit,
            )
            gateway = await open_gateway(
                config, settings,
                admin_key=hosted.admin_key, supervisor=supervisor, metrics=metrics,
            )  # fmt: skip
            stack.push_async_callback(gateway.stop)
            await gateway.start(force=force)
        except InvalidDefinition as error:
            raise _refused(error, locations) from error
        except (ProvisionError, ServerRefused, NewerFormat) as error:
            raise StartFailed(str(error)) from error
        except BrokerError as error:
            raise StartFailed(f"a call to NATS failed at the start: {error}") from error
        except StateError as error:
            raise StartFailed(f"a call to Redis failed at the start: {error}") from error
        server = QuietServer(
            uvicorn.Config(
                gateway.asgi, interface="asgi3", log_config=None, access_log=False,
                lifespan="off", proxy_headers=False,
                http=gateway.http,  # type: ignore[arg-type]  # it only calls it
                ws=gateway.sockets,  # type: ignore[arg-type]
                timeout_graceful_shutdown=HTTP_TIMEOUT, server_header=False,
            )
        )  # fmt: skip
        serving = supervisor.start(
            "http", lambda: server.serve(sockets=[hosted.listener]), policy=Policy.END_PROCESS
        )
        if hosted.admin_listener is not None and gateway.api.admin is not None:
            stack.push_async_callback(
                _serve_admin(gateway.api.admin, hosted.admin_listener, supervisor)
            )
        try:
            while not server.started:
                await asyncio.sleep(0.01)
            settle_memory()
            yield gateway
        finally:
            if supervisor.fatal is None:
                await gateway.drain()
                supervisor.let_return(serving)
                server.finish()
                await asyncio.wait([serving])
            else:
                await end([serving])
