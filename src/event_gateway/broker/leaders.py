"""The leaders of streams in a NATS cluster, which elects them, also when it has just started."""

import asyncio
import contextlib
import time
from collections.abc import Iterable

import msgspec
import structlog
from nats.errors import TimeoutError as NatsTimeout
from nats.js.errors import APIError, NotFoundError, ServiceUnavailableError

from event_gateway.broker.connection import REQUEST_TIMEOUT, START_TIMEOUT, Broker
from event_gateway.broker.provision import has_leader, has_router

log = structlog.get_logger(__name__)

AGAIN = 0.5  # seconds between two looks


async def wait_for_leaders(
    broker: Broker, streams: Iterable[str], timeout: float = START_TIMEOUT
) -> None:
    """Returns once those of the streams that exist have leaders, and the router's consumers of them
    too; after ``timeout`` seconds in any case: the next request to them says what is wrong."""
    deadline = time.monotonic() + timeout
    for stream in streams:
        warned = False
        while not await _is_ready(broker, stream) and time.monotonic() < deadline:
            if not warned:
                log.warning("a stream has no leader yet", stream=stream)
                warned = True
            await asyncio.sleep(AGAIN)


async def _is_ready(broker: Broker, stream: str) -> bool:
    with contextlib.suppress(NatsTimeout, ServiceUnavailableError):
        try:
            info = await broker.js.stream_info(stream)
        except NotFoundError:
            return True
        if has_leader(info):
            await has_router(broker, stream)
            return True
    return False


async def change_leader(broker: Broker, stream: str) -> None:
    """Has another server become the leader of a stream with replicas; it takes half a second.

    Raises APIError, and what BrokerError names.
    """
    subject = f"$JS.API.STREAM.LEADER.STEPDOWN.{stream}"
    answer = msgspec.json.decode((await broker.nc.request(subject, timeout=REQUEST_TIMEOUT)).data)
    if "error" in answer:
        APIError.from_error(answer["error"])
