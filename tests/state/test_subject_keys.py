"""The keys of people: what replaces one leaves nothing of it on the disk."""

import asyncio
import base64
from pathlib import Path

from event_gateway.broker.connection import connect
from event_gateway.broker.subject_keys import SubjectKey, SubjectKeys
from event_gateway.core.access.sealing import Sealed
from support.patience import PATIENCE
from support.secured_servers import nats

PERSON = "audit", "0" * 32


def _on_disk(directory: Path, sealed: Sealed) -> bool:
    box = base64.b64encode(sealed.box)
    return any(box in block.read_bytes() for block in directory.rglob("*.blk"))


async def _until_on_disk(directory: Path, sealed: Sealed) -> None:
    async with asyncio.timeout(PATIENCE):
        while not _on_disk(directory, sealed):
            await asyncio.sleep(0.02)


async def test_a_key_that_an_interrupted_reseal_left_is_overwritten(tmp_path: Path) -> None:
    """Also where another sealing key is the first one by now."""
    first, second, third = (Sealed(f"k{n}", b"nonce", b"by key %d" % n * 9) for n in (1, 2, 3))
    async with nats(tmp_path, "") as port:
        broker = await connect(f"nats://127.0.0.1:{port}")
        try:
            keys = SubjectKeys(broker)
            await keys.ensure()
            entry = SubjectKey(7, first)
            assert await keys.write(*PERSON, entry, 0)
            _, revision = await keys.read(*PERSON)
            # The process ended before it overwrote the former message.
            assert await keys.write(*PERSON, SubjectKey(7, second), revision)
            for each in (first, second):
                await _until_on_disk(tmp_path, each)
            present, revision = await keys.read(*PERSON)
            assert present is not None
            assert await keys.reseal(*PERSON, present, third, revision)
            present, _ = await keys.read(*PERSON)
            assert present is not None
            assert present.sealed == third
            await _until_on_disk(tmp_path, third)
            assert not any(_on_disk(tmp_path, each) for each in (first, second))
        finally:
            await broker.close()
