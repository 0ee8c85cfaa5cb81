"""Makes an installation from a backup, on servers that have nothing of a gateway yet.

Everything is checked before anything is written. If it fails all the same, what was written is
deleted again, so that it can be repeated.
"""

import contextlib
import zlib
from collections.abc import Iterator, Sequence

import msgspec
from nats.js.api import StreamSource
from redis.asyncio import Redis

from event_gateway.backup.archive import Archive, UnusableBackup
from event_gateway.backup.making import LOG, Progress, rank
from event_gateway.backup.manifest import BackupFile, Manifest, StreamCopy
from event_gateway.broker import stream_copies
from event_gateway.broker.connection import Broker, BrokerError
from event_gateway.broker.named_streams import reattach_sources
from event_gateway.broker.peers import heard_processes
from event_gateway.broker.provision import ProvisionError
from event_gateway.broker.restored_logs import adopt_restored_logs
from event_gateway.broker.stream_copies import CopiedStream
from event_gateway.core.text.times import parse_time
from event_gateway.state import key_copies
from event_gateway.state.connection import StateError
from event_gateway.state.key_copies import KeyCopy
from event_gateway.state.records import FORMAT as RECORDS_FORMAT

_decode = msgspec.msgpack.Decoder(list[KeyCopy]).decode


class NotRestored(Exception):
    """The servers cannot take the backup; the text says why."""


async def restore_backup(
    archive: Archive,
    broker: Broker,
    client: Redis,
    *,
    external: Sequence[str],
    replicas: int | None,
    progress: Progress,
) -> Manifest:
    """Writes a backup to the servers; returns its manifest. No gateway may be running.

    External streams that exist already stay as they are. Raises UnusableBackup, NotRestored,
    CopyFailed, and the exceptions in BrokerError and StateError.
    """
    manifest = archive.manifest
    if manifest.records_format > RECORDS_FORMAT:
        raise UnusableBackup(
            f"the backup has records of format {manifest.records_format}, this version of the "
            f"gateway knows {RECORDS_FORMAT}: restore it with version {manifest.gateway_version} "
            "or a newer one"
        )
    await _check_servers(manifest, broker, client, external)
    _check_parts(archive, manifest.parts, progress)
    present = await stream_copies.streams_to_copy(broker, external)
    # The logs first, of which the named streams are copies.
    streams = [stream for stream in manifest.streams if stream.name not in present]
    streams.sort(key=lambda stream: (rank(stream.name)[0] != LOG, rank(stream.name)))
    written: list[str] = []
    try:
        await _write_redis(archive, client, manifest, progress)
        for stream in streams:
            copied = CopiedStream(stream.config, stream.state)
            where = await stream_copies.begin_copy_in(broker, copied, replicas)
            written.append(stream.name)  # not before: one that was there already is not deleted
            await _write_stream(archive, broker, stream, where, progress)
        await adopt_restored_logs(broker)
        await key_copies.complete(client, manifest.records_format)
    except BaseException as error:
        # Redis last: as long as it has what it has, no gateway starts with the half of the streams.
        with contextlib.suppress(*BrokerError, *StateError):
            for name in written:
                await stream_copies.delete_stream(broker, name)
            await key_copies.delete_all(client)
        if isinstance(error, ProvisionError):
            raise NotRestored(str(error)) from None
        raise
    return manifest


async def _check_servers(
    manifest: Manifest, broker: Broker, client: Redis, external: Sequence[str]
) -> None:
    if await key_copies.is_interrupted(client):
        raise NotRestored(
            "an earlier restore onto these servers was interrupted: delete what it has written "
            "to NATS and Redis (of embedded servers: the data directory), and repeat it"
        )
    copied = {stream.name for stream in manifest.streams}
    present = await stream_copies.streams_to_copy(broker, [*copied, *external])
    own = sorted(name for name in present if name.startswith(stream_copies.PREFIXES))
    if own:
        raise NotRestored(
            f"NATS has streams of a gateway already ({', '.join(own[:3])}"
            f"{', …' if len(own) > 3 else ''}): a backup is restored onto empty servers"
        )
    foreign = sorted(copied & set(present) - set(external))
    if foreign:
        raise NotRestored(
            f"NATS has a stream {foreign[0]} already, which the backup has too: name it in "
            "ingest.streams, as the gateway that was copied did, and it stays as it is"
        )
    if not await key_copies.is_empty(client):
        raise NotRestored(
            "Redis has keys of a gateway already: a backup is restored onto empty servers"
        )
    running = await heard_processes(broker)
    if running:
        raise NotRestored(f"a gateway is running ({', '.join(running)}): stop it first")


def _check_parts(archive: Archive, parts: Sequence[BackupFile], progress: Progress) -> None:
    done, total = 0, sum(part.bytes for part in parts)
    for part in parts:
        archive.read(part)
        done += part.bytes
        progress("bytes checked", done, total)


async def _write_redis(
    archive: Archive, client: Redis, manifest: Manifest, progress: Progress
) -> None:
    await key_copies.begin(client)
    done, total = 0, sum(manifest.keys.values())
    for part in manifest.redis:
        for copies in _copies_in(archive.read(part)):
            await key_copies.copy_in(client, copies)
            done += len(copies)
            progress("keys in Redis", done, total)


def _copies_in(content: bytes) -> Iterator[list[KeyCopy]]:
    position = 0
    while position < len(content):
        size = int.from_bytes(content[position : position + 4], "big")
        position += 4
        yield _decode(zlib.decompress(content[position : position + size]))
        position += size


async def _write_stream(
    archive: Archive,
    broker: Broker,
    stream: StreamCopy,
    where: str,
    progress: Progress,
) -> None:
    total = sum(part.bytes for part in stream.parts)

    def chunks() -> Iterator[bytes]:
        done = 0
        for part in stream.parts:
            yield archive.read(part)
            done += part.bytes
            progress(f"bytes of {stream.name}", done, total)

    await stream_copies.copy_in(broker, stream.name, where, chunks())
    if sources := stream.config.get("sources"):
        await reattach_sources(
            broker, stream.name, [StreamSource.from_response(source) for source in sources],
            parse_time(stream.state["last_ts"]),
        )  # fmt: skip
