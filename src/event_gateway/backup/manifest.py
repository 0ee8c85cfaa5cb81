"""What a backup says of itself: its parts with their digests, and from which servers it is."""

from typing import Any

import msgspec

FORMAT = 1  # of a backup; one of a newer format is not restored
FILE = "manifest.json"


class BackupFile(msgspec.Struct, frozen=True):
    """A file of the backup: its name, its size in bytes, and its SHA-256 in hexadecimal."""

    name: str
    bytes: int
    sha256: str


class StreamCopy(msgspec.Struct, frozen=True):
    """A stream of JetStream: its configuration and its state as the server gave them with the
    snapshot, and the parts with the bytes of the snapshot, in their order."""

    name: str
    config: dict[str, Any]
    state: dict[str, Any]
    parts: list[BackupFile]


class Manifest(msgspec.Struct, frozen=True):
    """``began_at``, ``ended_at``: Unix time. ``records_format``: of the records in Redis.
    ``sealing_keys``: the ids of the keys without which the sealed secrets cannot be opened.
    ``keys``: how many keys of Redis were copied, by family; ``redis``: the parts with them.
    ``streams``: in the order in which they were copied.
    """

    v: int
    gateway_version: str
    began_at: float
    ended_at: float
    nats_version: str
    redis_version: str
    records_format: int
    sealing_keys: list[str]
    keys: dict[str, int]
    redis: list[BackupFile]
    streams: list[StreamCopy]

    @property
    def parts(self) -> list[BackupFile]:
        """All parts."""
        return [*self.redis, *(part for stream in self.streams for part in stream.parts)]
