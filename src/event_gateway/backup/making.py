"""Makes a backup of a gateway, which may be running.

The order of the copies makes them fit together, although no two are of the same moment: whatever a
copy takes for done has its results in those that are copied later.

1. Redis, its checkpoints first. Events behind the checkpoint are read from the log again after the
   restoration, so the state may be older than the log, and must not be newer.
2. The registry. A webhook gets the events behind its registration, so no registration may be newer
   than the log.
3. The positions of ordered webhooks, and the named streams. A named stream goes on in the log
   behind its own last event, so it must not be newer either.
4. The logs, with the consumers of the routers.
5. What is written before an event is acknowledged: dead letters, rejected input. Then the rest.
"""

import time
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from redis.asyncio import Redis

from event_gateway import __version__
from event_gateway.backup.archive import ArchiveWriter, PartWriter
from event_gateway.backup.manifest import FORMAT, Manifest, StreamCopy
from event_gateway.broker import stream_copies
from event_gateway.broker.chain_log import chain_name
from event_gateway.broker.connection import Broker
from event_gateway.broker.named_streams import stream_name
from event_gateway.broker.positions import BUCKET as POSITIONS
from event_gateway.broker.provision import AUDIT, DEAD_LETTERS, REJECTED, STATUS
from event_gateway.broker.registry_bucket import BUCKET_STREAM
from event_gateway.broker.sealed_secrets import sealing_keys_in
from event_gateway.state import key_reading
from event_gateway.state.records import FORMAT as RECORDS_FORMAT

_RANKS = {
    BUCKET_STREAM: 0, f"KV_{POSITIONS}": 1,
    DEAD_LETTERS: 4, REJECTED: 5, STATUS: 6, AUDIT: 7,
}  # fmt: skip
_CHAIN, _NAMED, LOG = 1, 2, 3

_pack = msgspec.msgpack.Encoder().encode

# Gets what is copied at present, how many bytes or keys of it are done, and of how many (about).
Progress = Callable[[str, int, int], None]


def rank(stream: str) -> tuple[int, str]:
    """Where a stream stands in the order of the copies."""
    if stream.startswith(chain_name("")):
        return _CHAIN, stream  # before its stream, so that it covers nothing that is not there
    return _RANKS.get(stream, _NAMED if stream.startswith(stream_name("")) else LOG), stream


async def make_backup(
    broker: Broker,
    client: Redis,
    target: Path,
    *,
    external: Sequence[str],
    progress: Progress,
) -> Manifest:
    """Writes a backup to ``target``: a directory, or a file whose name ends with ``.tar``.
    ``external``: the streams of ``ingest.streams``, which are copied, too.

    Memory is bounded by two parts, whatever the sizes. Raises UnusableBackup, CopyFailed, and the
    exceptions in BrokerError and StateError; then nothing is left of it.
    """
    writer = ArchiveWriter(target)
    try:
        began = time.time()
        keys, redis_parts = await _copy_redis(client, writer, progress)
        # Before the registry: a stream that it does not have is created from the log again, but
        # a stream that it has not yet would have no owner.
        sizes = await stream_copies.streams_to_copy(broker, external)
        sealing_keys = await sealing_keys_in(broker)
        streams = []
        for name in sorted(sizes, key=rank):
            streams.append(await _copy_stream(broker, writer, name, sizes[name], progress))
        info: dict[str, Any] = await client.info("server")
        server = "Valkey" if "valkey_version" in info else "Redis"
        manifest = Manifest(
            v=FORMAT,
            gateway_version=__version__,
            began_at=began,
            ended_at=time.time(),
            nats_version=broker.server_version,
            redis_version=f"{server} {info.get('valkey_version') or info.get('redis_version')}",
            records_format=RECORDS_FORMAT,
            sealing_keys=sealing_keys,
            keys=keys,
            redis=redis_parts,
            streams=streams,
        )
        writer.complete(manifest)
    except BaseException:
        writer.discard()
        raise
    return manifest


async def _copy_redis(
    client: Redis, writer: ArchiveWriter, progress: Progress
) -> tuple[dict[str, int], list[Any]]:
    parts = PartWriter(writer, "redis")
    counts: Counter[str] = Counter()
    total, done = await key_reading.count(client), 0
    async for copies in key_reading.copy_out(client):
        counts.update(copy.family for copy in copies)
        done += len(copies)
        packed = zlib.compress(_pack(copies), 1)
        parts.add(len(packed).to_bytes(4, "big") + packed)
        progress("keys in Redis", done, max(total, done))
    parts.flush()
    return dict(sorted(counts.items())), parts.parts


async def _copy_stream(
    broker: Broker, writer: ArchiveWriter, name: str, size: int, progress: Progress
) -> StreamCopy:
    parts = PartWriter(writer, f"streams/{name}")
    done = 0

    def take(chunk: bytes) -> None:
        nonlocal done
        done += len(chunk)
        parts.add(chunk)
        progress(f"bytes of {name}", done, max(size, done))

    progress(f"bytes of {name}", 0, max(size, 1))
    copied = await stream_copies.copy_out(broker, name, take)
    parts.flush()
    return StreamCopy(name, copied.config, copied.state, parts.parts)
