"""Several messages of a stream in one request (NATS 2.11, ADR-31: batched direct get)."""

import asyncio
import contextlib
import json
from collections.abc import Mapping, Sequence

import msgspec

from event_gateway.broker.connection import Broker, BrokerError
from event_gateway.core.text.times import parse_time

MIN_SERVER_VERSION = (2, 11)
MAX_GAP = 2  # requested sequences at most this far apart share a range
# Bytes of all messages in one response. One message of each range may be larger.
MAX_BYTES = 8 * 1024 * 1024
RESPONSE_TIMEOUT = 5.0  # seconds without a message after which the call returns what has arrived


class StoredMessage(msgspec.Struct):
    """A message as it is stored in the stream; ``time`` in seconds since the epoch."""

    subject: str
    headers: Mapping[str, str]
    data: bytes
    time: float


def supports_batches(broker: Broker) -> bool:
    """Whether the connected server supports batched direct gets."""
    version = broker.nc.connected_server_version
    return (version.major, version.minor) >= MIN_SERVER_VERSION


def ranges(seqs: Sequence[int]) -> list[tuple[int, int]]:
    """Groups sequences into ranges (first, last) that cover all of them and few others."""
    grouped: list[tuple[int, int]] = []
    for seq in sorted(seqs):
        if grouped and seq - grouped[-1][1] <= MAX_GAP:
            grouped[-1] = (grouped[-1][0], seq)
        else:
            grouped.append((seq, seq))
    return grouped


async def get_batch(
    broker: Broker, stream: str, seqs: Sequence[int]
) -> tuple[dict[int, StoredMessage], bool]:
    """Reads the messages at these sequences (a few hundred at most) from a stream that allows
    direct gets. Returns the messages by sequence, and whether the server ended its response.

    A server older than the connected one does not end its response. A message that is missing in
    the result can still exist: it did not fit into the response, it was lost on the way, or the
    replica that responded has not received it yet. Raises the exceptions in BrokerError.
    """
    requested = ranges(seqs)
    missing = set(seqs)
    inbox = broker.nc.new_inbox()
    messages: dict[int, StoredMessage] = {}
    open_ranges = len(requested)
    arrived = asyncio.Event()

    def receive(
        _subject: bytes, _reply: bytes, data: bytes, headers: Mapping[str, str] | None
    ) -> None:
        nonlocal open_ranges
        if headers is not None and "Nats-Sequence" in headers:
            seq = int(headers["Nats-Sequence"])
            missing.discard(seq)
            messages[seq] = StoredMessage(
                headers["Nats-Subject"], headers, data, parse_time(headers["Nats-Time-Stamp"])
            )
        else:  # the end of a range, or a range without messages
            open_ranges -= 1
        arrived.set()

    subscription = await broker.nc.take(inbox, receive)
    try:
        max_bytes = MAX_BYTES // len(requested)
        for first, last in requested:
            request = {"seq": first, "batch": last - first + 1, "max_bytes": max_bytes}
            await broker.nc.publish(
                f"$JS.API.DIRECT.GET.{stream}", json.dumps(request).encode(), reply=inbox
            )
        while open_ranges > 0 and missing:
            arrived.clear()
            async with asyncio.timeout(RESPONSE_TIMEOUT):
                await arrived.wait()
    except TimeoutError:
        return messages, False
    finally:
        with contextlib.suppress(*BrokerError):
            await broker.nc.end(subscription)
    return messages, True
