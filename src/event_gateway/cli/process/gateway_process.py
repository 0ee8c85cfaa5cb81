"""One process of a gateway: it does the work, and answers on the shared socket."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping

import uvicorn

from event_gateway.api.server.connection import Connection
from event_gateway.app.gateway import Gateway
from event_gateway.broker.connection import BrokerError
from event_gateway.broker.provision import ProvisionError
from event_gateway.cli.process.host import Hosted, StartFailed
from event_gateway.cli.process.limits import attempts_within, raise_file_limit, settle_memory
from event_gateway.config.model import Config
from event_gateway.core.errors import InvalidDefinition, NewerFormat, ServerRefused
from event_gateway.state.connection import StateError


class QuietServer(uvicorn.Server):
    """uvicorn without its own signal handling: the gateway drains before its API ends."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def working(
    config: Config, hosted: Hosted, environ: Mapping[str, str], *, force: bool = False
) -> AsyncIterator[Gateway]:
    """A gateway that answers; at the end it drains and stops. ``force``: the file's streams may
    drop events. Raises StartFailed."""
    async with contextlib.AsyncExitStack() as stack:
        try:
            gateway = Gateway(
                config, nats_url=hosted.nats_url, redis_url=hosted.redis_url,
                admin_key=hosted.admin_key, environ=environ,
                max_attempts=attempts_within(raise_file_limit()), sealing_key=hosted.sealing_key,
                force=force,
            )  # fmt: skip
            stack.push_async_callback(gateway.stop)
            await gateway.start()
        except (ProvisionError, ServerRefused, InvalidDefinition, NewerFormat) as error:
            raise StartFailed(str(error)) from error
        except BrokerError as error:
            raise StartFailed(f"cannot work with NATS: {error}") from error
        except StateError as error:
            raise StartFailed(f"cannot work with Redis: {error}") from error
        server = QuietServer(
            uvicorn.Config(
                gateway.asgi, log_config=None, access_log=False, lifespan="off", http=Connection,
                ws=gateway.sockets,  # type: ignore[arg-type]  # it only calls it
                timeout_keep_alive=30, timeout_graceful_shutdown=5, server_header=False,
            )
        )  # fmt: skip
        serving = asyncio.create_task(server.serve(sockets=[hosted.listener]), name="http")
        while not server.started and not serving.done():
            await asyncio.sleep(0.01)
        settle_memory()
        try:
            yield gateway
        finally:
            await gateway.drain()
            server.should_exit = True
            await asyncio.gather(serving, return_exceptions=True)
