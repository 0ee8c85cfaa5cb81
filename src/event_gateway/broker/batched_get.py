"""Several messages of a stream, asked for together (NATS 2.11, ADR-31: batched direct get)."""

import asyncio
import contextlib
import json
from collections.abc import Mapping, Sequence

import msgspec
from nats.aio.msg import Msg

from event_gateway.broker.connection import Broker, BrokerError
from event_gateway.core.text.times import parse_time

SINCE = (2, 11)
GAP = 2  # sequences between two wanted ones that are rather read along than asked for apart
MAX_BYTES = 8 * 1024 * 1024  # of all messages of an answer, but for one of each part
PATIENCE = 5.0  # seconds without an answer after which no more is waited for


class Found(msgspec.Struct):
    """A message as the stream holds it; ``time`` in seconds since the epoch."""

    subject: str
    headers: Mapping[str, str]
    data: bytes
    time: float


def can(broker: Broker) -> bool:
    """Whether this server knows such requests."""
    version = broker.nc.connected_server_version
    return (version.major, version.minor) >= SINCE


def runs(wanted: Sequence[int]) -> list[tuple[int, int]]:
    """The sequences, gathered to parts of the stream that hold few others: first and last."""
    out: list[tuple[int, int]] = []
    for seq in sorted(wanted):
        if out and seq - out[-1][1] <= GAP:
            out[-1] = (out[-1][0], seq)
        else:
            out.append((seq, seq))
    return out


async def together(
    broker: Broker, stream: str, wanted: Sequence[int]
) -> tuple[dict[int, Found], bool]:
    """The messages at these sequences, a few hundred at most, of a stream that allows direct gets;
    and whether the answer came to its end, which that of an older server behind this one does not.

    What is not in the answer may be there all the same: it was too much for one answer, was lost on
    the way, or the replica that was asked is behind. Raises what BrokerError names.
    """
    parts = runs(wanted)
    missing = set(wanted)
    inbox = broker.nc.new_inbox()
    found: dict[int, Found] = {}
    left = len(parts)
    heard = asyncio.Event()

    async def answered(message: Msg) -> None:
        nonlocal left
        headers = message.headers or {}
        if "Nats-Sequence" in headers:
            seq = int(headers["Nats-Sequence"])
            missing.discard(seq)
            found[seq] = Found(
                headers["Nats-Subject"], headers, message.data,
                parse_time(headers["Nats-Time-Stamp"]),
            )  # fmt: skip
        else:  # the end of a part, or there is nothing
            left -= 1
        heard.set()

    subscription = await broker.nc.subscribe(
        inbox, cb=answered, pending_msgs_limit=0, pending_bytes_limit=0
    )
    try:
        for first, last in parts:
            most = MAX_BYTES // len(parts)
            request = {"seq": first, "batch": last - first + 1, "max_bytes": most}
            await broker.nc.publish(
                f"$JS.API.DIRECT.GET.{stream}", json.dumps(request).encode(), reply=inbox
            )
        while left > 0 and missing:
            heard.clear()
            async with asyncio.timeout(PATIENCE):
                await heard.wait()
    except TimeoutError:
        return found, False
    finally:
        with contextlib.suppress(*BrokerError):
            await subscription.unsubscribe()
    return found, True
