"""Restorations that are refused or interrupted, and what the servers have afterwards."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from nats.js.errors import NotFoundError
from redis.asyncio import Redis

from event_gateway.backup.archive import Archive, UnusableBackup
from event_gateway.backup.making import Progress, make_backup
from event_gateway.backup.restoring import NotRestored, restore_backup
from event_gateway.broker.connection import Broker, connect
from event_gateway.core.errors import ServerRefused
from event_gateway.state import key_copies, key_reading
from event_gateway.state.connection import close as close_redis
from event_gateway.state.connection import connect as connect_redis
from event_gateway.state.key_copies import KeyCopy
from event_gateway.state.keys import CHECKPOINT, ENRICHMENT, FORMAT, KEYS_USED, RESPONDED, RESPONSES
from event_gateway.state.ledger import Ledger
from event_gateway.state.records import FORMAT as RECORDS_FORMAT
from event_gateway.state.reported_lanes import LaneReports
from event_gateway.tasks import Supervisor


def _nobody(_what: str, _done: int, _total: int) -> None:
    """Progress that nobody looks at."""


@pytest.fixture
async def connections(servers: tuple[str, str]) -> AsyncIterator[tuple[Broker, Redis]]:
    broker, client = await connect(servers[0]), await connect_redis(servers[1])
    yield broker, client
    await broker.close()
    await close_redis(client)


async def test_a_stream_that_was_there_before_is_never_deleted(
    tmp_path: Path, connections: tuple[Broker, Redis]
) -> None:
    """The gateway that was copied read ``ORDERS``; the configuration of ``restore`` does not name
    it, so that it is neither restored over the present one nor deleted."""
    broker, client = connections
    await broker.js.add_stream(name="ORDERS", subjects=["orders.>"])
    await broker.js.publish("orders.a", b"mine")
    await make_backup(broker, client, tmp_path / "copy", external=["ORDERS"], progress=_nobody)

    archive = Archive(tmp_path / "copy")
    with pytest.raises(NotRestored, match=r"stream ORDERS already.*ingest\.streams"):
        await restore_backup(
            archive, broker, client, external=[], replicas=None, progress=_nobody
        )  # fmt: skip
    assert (await broker.js.stream_info("ORDERS")).state.messages == 1

    await restore_backup(
        archive, broker, client, external=["ORDERS"], replicas=None, progress=_nobody
    )  # fmt: skip
    await broker.js.delete_stream("ORDERS")
    with pytest.raises(NotFoundError):
        await broker.js.stream_info("ORDERS")


async def test_what_ends_during_a_backup_is_behind_its_checkpoint(
    connections: tuple[Broker, Redis],
) -> None:
    """The copy has the checkpoint from before the records, although it goes on meanwhile."""
    _, client = connections
    await client.hset(CHECKPOINT.key(), "GATEWAY_EVENTS", "5")
    copied = []
    async for copies in key_reading.copy_out(client):
        copied += [copy.items for copy in copies if copy.family == CHECKPOINT.name]
        await client.hset(CHECKPOINT.key(), "GATEWAY_EVENTS", "9")
    assert copied == [[b"GATEWAY_EVENTS", b"5"]]


async def test_a_large_sorted_set_is_copied_in_pieces(
    connections: tuple[Broker, Redis], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No list of the copy, and so no part of a backup, grows with what a key holds."""
    monkeypatch.setattr(key_reading, "PAGE", 300)
    _, client = connections
    sizes = {"large": 1000, "full": key_reading.FIRST_PAGE, "small": 3}
    expected = {
        RESPONDED.key(webhook).encode(): {f"e{n}".encode(): float(n) for n in range(size)}
        for webhook, size in sizes.items()
    }
    for key, members in expected.items():
        await client.zadd(key, members)
    copied: list[list[KeyCopy]] = [copies async for copies in key_reading.copy_out(client)]
    assert max(len(copy.items) // 2 for copies in copied for copy in copies) == 300
    assert sum(len(copies) for copies in copied if len(copies) > 1) == len(sizes)
    await client.flushdb()
    for copies in copied:
        await key_copies.copy_in(client, copies)
    for key, members in expected.items():
        pairs: Any = await client.zrange(key, 0, -1, withscores=True)
        assert dict(pairs) == members


async def test_what_moves_in_a_large_sorted_set_during_a_backup_is_in_the_copy(
    connections: tuple[Broker, Redis], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A delivery that changes gets the time of that; one whose webhook is deleted leaves."""
    monkeypatch.setattr(key_reading, "PAGE", 200)
    _, client = connections
    key = RESPONDED.key("w")
    # The time of a burst is that of more members than one page has.
    await client.zadd(key, {f"e{n}": max(n, 450) for n in range(1000)})
    gone, changes = set[bytes](), 0
    copied: list[list[KeyCopy]] = []
    async for copies in key_reading.copy_out(client):
        copied.append(copies)
        changes += 1
        await client.zadd(key, {f"e{n}": 2000 + changes for n in range(900 - changes, 900)})
        gone |= {f"e{n}".encode() for n in (changes, 460 + changes, 990 - changes)}
        await client.zrem(key, *gone)
    assert changes > 4
    left = set(await client.zrange(key, 0, -1))
    await client.flushdb()
    for copies in copied:
        await key_copies.copy_in(client, copies)
    assert left <= set(await client.zrange(key, 0, -1))


async def test_large_hashes_and_large_values_are_copied_some_bytes_at_a_time(
    connections: tuple[Broker, Redis], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So neither the memory of a backup nor one of its parts grows with what a key holds."""
    piece = 64 * 1024
    monkeypatch.setattr(key_reading, "PIECE", piece)
    _, client = connections
    expected = {
        RESPONSES.key("large").encode(): {f"e{n}".encode(): b"x" * 4096 for n in range(100)},
        RESPONSES.key("small").encode(): {b"e1": b"x", b"e2": b""},
        KEYS_USED.key().encode(): {f"k{n}".encode(): b"%d" % n for n in range(5000)},
    }
    for key, fields in expected.items():
        await client.hset(key, mapping=fields)  # type: ignore[arg-type]
    await client.pexpire(RESPONSES.key("large"), 60_000)
    strings = {ENRICHMENT.key("GATEWAY_EVENTS", str(n)): b"y" * 16_384 for n in range(200)}
    await client.mset(strings)
    copied: list[list[KeyCopy]] = [copies async for copies in key_reading.copy_out(client)]
    sizes = [sum(len(item) for copy in copies for item in copy.items) for copies in copied]
    assert max(sizes) <= 2 * piece, sizes
    assert len(copied) < 100, "too few keys and fields at a time"
    await client.flushdb()
    for copies in copied:
        await key_copies.copy_in(client, copies)
    for key, fields in expected.items():
        assert await client.hgetall(key) == fields
    assert 0 < await client.pttl(RESPONSES.key("large")) <= 60_000
    assert await client.mget(list(strings)) == list(strings.values())


async def test_an_interrupted_restoration_is_told_and_no_gateway_starts_with_it(
    tmp_path: Path, connections: tuple[Broker, Redis], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after ``kill -9``: nothing is cleaned up. One that fails leaves nothing behind."""
    broker, client = connections
    await broker.js.add_stream(name="GATEWAY_EVENTS", subjects=["events.>"])
    await broker.js.publish("events.a", b"event")
    await client.hset(CHECKPOINT.key(), "GATEWAY_EVENTS", "1")
    await make_backup(broker, client, tmp_path / "copy", external=[], progress=_nobody)
    archive = Archive(tmp_path / "copy")
    await broker.js.delete_stream("GATEWAY_EVENTS")
    await client.flushdb()

    def fails(what: str, _done: int, _total: int) -> None:
        if what == "bytes of GATEWAY_EVENTS":
            raise OSError("no more")

    async def restore(progress: Progress = _nobody) -> None:
        await restore_backup(
            archive, broker, client, external=[], replicas=None, progress=progress
        )  # fmt: skip

    with pytest.raises(OSError, match="no more"):
        await restore(fails)
    assert await client.dbsize() == 0

    with monkeypatch.context() as killed:
        killed.setattr(key_copies, "delete_all", _nothing)
        with pytest.raises(OSError, match="no more"):
            await restore(fails)
    with pytest.raises(NotRestored, match="an earlier restore onto these servers was interrupted"):
        await restore()
    with pytest.raises(ServerRefused, match="was interrupted"):
        await Ledger(client, 60.0, LaneReports(), Supervisor()).start()

    await client.flushdb()
    await restore()
    assert (await broker.js.stream_info("GATEWAY_EVENTS")).state.messages == 1
    assert await client.get(FORMAT.key()) == b"%d" % RECORDS_FORMAT


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "streams/../000001", "redis/x"])
async def test_a_backup_names_no_file_outside_of_it(
    tmp_path: Path, connections: tuple[Broker, Redis], name: str
) -> None:
    """Whichever client of NATS has made it."""
    broker, client = connections
    await broker.js.add_stream(name="GATEWAY_EVENTS", subjects=["events.>"])
    await make_backup(broker, client, tmp_path / "copy", external=[], progress=_nobody)
    manifest = tmp_path / "copy" / "manifest.json"
    changed = manifest.read_text().replace("streams/GATEWAY_EVENTS/000001", name)
    manifest.write_text(changed)
    with pytest.raises(UnusableBackup, match="names a part"):
        Archive(tmp_path / "copy")


async def _nothing(_client: Redis) -> None:
    """What a killed process does."""
