"""Makes restored streams those that the gateway knows.

The gateway recognises a log by the time at which JetStream created it. Some servers create a new
stream from a snapshot: then what was noted of the former one counts for the restored one.
"""

import json

import msgspec
from nats.js.errors import NotFoundError

from event_gateway.broker import positions
from event_gateway.broker.connection import Broker
from event_gateway.broker.registry_bucket import BUCKET as REGISTRY
from event_gateway.broker.registry_entries import FORMAT, StoredLog, decode, decoded_name
from event_gateway.broker.stream_page import read_page

PAGE = 500  # entries that are read at a time

_encode = msgspec.json.Encoder().encode


async def adopt_restored_logs(broker: Broker) -> None:
    """Writes the times of creation of all known logs into the registry, and into the positions of
    ordered webhooks. No gateway may be running. Raises the exceptions in BrokerError, NewerFormat.
    """
    replaced: dict[str, str] = {}
    for key, data in await _entries(broker, REGISTRY, "log."):
        entry = decode(key, data, StoredLog)
        try:
            info = await broker.js.stream_info(decoded_name(key.removeprefix("log.")))
        except NotFoundError:
            continue
        created = str(info.created)
        if entry.log.created != created:
            replaced[entry.log.created] = created
            log = msgspec.structs.replace(entry.log, created=created)
            await broker.js.publish(f"$KV.{REGISTRY}.{key}", _encode(StoredLog(FORMAT, log)))
    if not replaced:
        return
    for key, data in await _entries(broker, positions.BUCKET, ""):
        position = json.loads(data)
        if position.get("created") in replaced:
            position["created"] = replaced[position["created"]]
            await broker.js.publish(f"$KV.{positions.BUCKET}.{key}", json.dumps(position).encode())


async def _entries(broker: Broker, bucket: str, beginning: str) -> list[tuple[str, bytes]]:
    """The entries of a bucket whose keys begin so, as they are now; none without the bucket."""
    prefix = f"$KV.{bucket}."
    entries: dict[str, bytes] = {}
    position = 1
    while True:
        try:
            page = await read_page(
                broker, f"KV_{bucket}", from_seq=position, subject=f"{prefix}{beginning}>",
                limit=PAGE,
            )  # fmt: skip
        except NotFoundError:
            return []
        for message in page.messages:
            key = message.subject.removeprefix(prefix)
            entries.pop(key, None)
            if not (message.headers and "KV-Operation" in message.headers):
                entries[key] = message.data
        if not page.remaining:
            return list(entries.items())
        position = page.messages[-1].seq + 1
