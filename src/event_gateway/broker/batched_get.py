"""Several messages of a stream in one request (NATS 2.11, ADR-31: batched direct get)."""

import asyncio
import contextlib
import json
from collections.abc import Mapping, Sequence

import msgspec
from nats.aio.msg import Msg

from event_gateway.broker.connection import Broker, BrokerError
from event_gateway.core.text.times import parse_time

SINCE = (2, 11)
GAP = 2  # unwanted sequences between two wanted ones that do not end a range
MAX_BYTES = 8 * 1024 * 1024  # of all messages of an answer, except one of each range
PATIENCE = 5.0  # seconds without an answer after which the call returns what has come


class StoredMessage(msgspec.Struct):
    """A message as the stream holds it; ``time`` in seconds since the epoch."""

    subject: str
    headers: Mapping[str, str]
    data: bytes
    time: float


def supports_batches(broker: Broker) -> bool:
    """Whether this server knows batched direct gets."""
    version = broker.nc.connected_server_version
    return (version.major, version.minor) >= SINCE


def ranges(wanted: Sequence[int]) -> list[tuple[int, int]]:
    """Ranges of the stream, first and last, that hold all these sequences and few others."""
    out: list[tuple[int, int]] = []
    for seq in sorted(wanted):
        if out and seq - out[-1][1] <= GAP:
            out[-1] = (out[-1][0], seq)
        else:
            out.append((seq, seq))
    return out


async def get_batch(
    broker: Broker, stream: str, wanted: Sequence[int]
) -> tuple[dict[int, StoredMessage], bool]:
    """The messages at these sequences, a few hundred at most, of a stream that allows direct gets;
    and whether the answer is complete, which that of an older server behind this one is not.

    The stream may hold a message that is not in the answer: it was too much for one answer, was
    lost on the way, or the replica that answered is behind. Raises what BrokerError names.
    """
    parts = ranges(wanted)
    missing = set(wanted)
    inbox = broker.nc.new_inbox()
    found: dict[int, StoredMessage] = {}
    left = len(parts)
    came = asyncio.Event()

    async def answered(message: Msg) -> None:
        nonlocal left
        headers = message.headers or {}
        if "Nats-Sequence" in headers:
            seq = int(headers["Nats-Sequence"])
            missing.discard(seq)
            found[seq] = StoredMessage(
                headers["Nats-Subject"], headers, message.data,
                parse_time(headers["Nats-Time-Stamp"]),
            )  # fmt: skip
        else:  # the end of a range, or it holds nothing
            left -= 1
        came.set()

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
            came.clear()
            async with asyncio.timeout(PATIENCE):
                await came.wait()
    except TimeoutError:
        return found, False
    finally:
        with contextlib.suppress(*BrokerError):
            await subscription.unsubscribe()
    return found, True
