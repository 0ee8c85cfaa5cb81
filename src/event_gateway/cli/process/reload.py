"""Taking up a changed configuration file on SIGHUP, all or nothing."""

import asyncio
import signal
from pathlib import Path

import structlog

from event_gateway.app.gateway import Gateway
from event_gateway.app.reload import ReloadRefused
from event_gateway.broker.connection import BrokerError
from event_gateway.cli.commands.check import read_config, warnings
from event_gateway.config.problems import ConfigError

log = structlog.get_logger(__name__)

AGAIN = 2.0  # seconds until a reload is repeated that NATS interrupted


def hangups() -> asyncio.Event:
    """What each SIGHUP sets from now on; nothing does where the system knows no such signal."""
    asked = asyncio.Event()
    if hasattr(signal, "SIGHUP"):
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, asked.set)
    return asked


async def reload_when(asked: asyncio.Event, path: Path | None, gateway: Gateway) -> None:
    """Reloads each time that it is asked to, for ever."""
    while True:
        await asked.wait()
        asked.clear()
        while not await _reload(path, gateway):
            try:
                async with asyncio.timeout(AGAIN):
                    await asked.wait()
                    asked.clear()
            except TimeoutError:
                continue


async def _reload(path: Path | None, gateway: Gateway) -> bool:
    """One try; False where it is to be repeated."""
    try:
        config, source = read_config(path)
        await gateway.reload(config)
    except ConfigError as error:
        for problem in error.problems:
            log.error("configuration not reloaded, the former one stays in force",
                      problem=str(problem))  # fmt: skip
        return True
    except ReloadRefused as refused:
        for key, reason in refused.problems:
            log.error("configuration not reloaded, the former one stays in force",
                      problem=str(source.problem(key, reason)))  # fmt: skip
        return True
    except BrokerError as error:
        log.warning("reload interrupted, it is repeated", error=str(error) or type(error).__name__)
        return False
    except Exception:
        log.exception("reload failed; what is in force is what was taken up so far")
        return True
    for warning in warnings(config, source):
        log.warning(str(warning))
    log.info("configuration reloaded", webhooks=len(config.webhooks), streams=len(config.streams))
    return True
