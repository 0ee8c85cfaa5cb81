"""Reloads the configuration file on SIGHUP, all or nothing."""

import asyncio
import signal
from pathlib import Path

import structlog

from event_gateway.app.gateway import Gateway
from event_gateway.app.reload import ReloadRefused
from event_gateway.broker.connection import BrokerError
from event_gateway.cli.process.configuration import read_config, warnings
from event_gateway.config.problems import ConfigError

log = structlog.get_logger(__name__)

RETRY_DELAY = 2.0  # seconds until a reload that NATS interrupted is tried again


def hangups() -> asyncio.Event:
    """An event that each SIGHUP sets from now on (on a system without it: that is never set)."""
    hangup = asyncio.Event()
    if hasattr(signal, "SIGHUP"):
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, hangup.set)
    return hangup


async def reload_when(hangup: asyncio.Event, path: Path | None, gateway: Gateway) -> None:
    """Reloads the file each time that ``hangup`` is set, for ever."""
    while True:
        await hangup.wait()
        hangup.clear()
        while not await _reload(path, gateway):
            try:
                async with asyncio.timeout(RETRY_DELAY):
                    await hangup.wait()
                    hangup.clear()
            except TimeoutError:
                continue


async def _reload(path: Path | None, gateway: Gateway) -> bool:
    """Reloads once. False: NATS went away, and the caller tries again."""
    try:
        config, source = read_config(path)
        await gateway.reload(config)
    except ConfigError as error:
        for problem in error.problems:
            log.error("configuration not reloaded, the former one stays",
                      problem=str(problem))  # fmt: skip
        return True
    except ReloadRefused as refused:
        for key, reason in refused.problems:
            log.error("configuration not reloaded, the former one stays",
                      problem=str(source.problem(key, reason)))  # fmt: skip
        return True
    except BrokerError as error:
        log.warning(
            "reload interrupted, the gateway tries again", error=str(error) or type(error).__name__
        )
        return False
    except Exception:
        log.exception("reload failed, a part of the new configuration may be applied")
        return True
    for warning in warnings(config, source):
        log.warning("the configuration needs attention", problem=str(warning))
    log.info("configuration reloaded", webhooks=len(config.webhooks), streams=len(config.streams))
    return True
