"""Looks at everything, side by side and within a time limit."""

import asyncio
from collections.abc import AsyncIterator, Iterable

from event_gateway.cli.doctor.clock import examine_clocks
from event_gateway.cli.doctor.finding import Area, Finding, Installation
from event_gateway.cli.doctor.gateway import examine_gateway
from event_gateway.cli.doctor.machine import examine_machine
from event_gateway.cli.doctor.nats import examine_nats
from event_gateway.cli.doctor.receivers import examine_receivers
from event_gateway.cli.doctor.redis import examine_redis
from event_gateway.cli.doctor.secrets import examine_secrets

SERVERS = 12.0  # seconds for the gateway, NATS and Redis
RECEIVERS = 20.0  # seconds for all receivers


async def examine(installation: Installation) -> list[Finding]:
    """What was found, area by area. It takes at most SERVERS and RECEIVERS together."""
    of_servers = await asyncio.gather(
        _within(SERVERS, "gateway", examine_gateway(installation)),
        _within(SERVERS, "nats", examine_nats(installation)),
        _within(SERVERS, "redis", examine_redis(installation)),
    )
    of_machine = list(examine_machine(installation))
    of_clocks = list(examine_clocks(installation.clocks))
    of_receivers = await _within(RECEIVERS, "receivers", examine_receivers(installation))
    of_receivers.sort(key=lambda finding: finding.text)
    of_secrets = list(examine_secrets(installation))
    parts: Iterable[list[Finding]] = (
        *of_servers, of_machine, of_clocks, of_receivers, of_secrets
    )  # fmt: skip
    return [finding for part in parts for finding in part]


async def _within(seconds: float, name: str, looking: AsyncIterator[Finding]) -> list[Finding]:
    """What was found within ``seconds``."""
    findings: list[Finding] = []
    try:
        async with asyncio.timeout(seconds):
            async for finding in looking:
                findings.append(finding)
    except TimeoutError:
        findings.append(Area(name).error(
            f"not everything was looked at: no answer within {seconds:g} s",
            "Look at the network between this machine and what does not answer.",
        ))  # fmt: skip
    except Exception as error:  # a fault of the doctor must not hide what others have found
        findings.append(Area(name).error(
            f"the doctor has failed: {type(error).__name__}: {error}", "Please report it."
        ))  # fmt: skip
    return findings
