"""All keys in one slot of a cluster, held against what a real server says of each command."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from event_gateway.core.errors import ServerRefused
from event_gateway.core.webhook.delivery import Delivery, Status
from event_gateway.embedded.servers import usable_port
from event_gateway.state.connection import close, connect, servers_behind
from event_gateway.state.keys import DELIVERY, QUEUE
from event_gateway.state.ledger import Ledger
from event_gateway.state.permissions import COMMANDS
from event_gateway.state.reported_lanes import LaneReports
from event_gateway.state.scripts import script
from event_gateway.state.slot import SLOT, TAG, in_slot
from event_gateway.tasks import Supervisor
from support.secured_servers import valkey
from support.valkey_servers import until

CLUSTER = ("--cluster-enabled", "yes", "--appendonly", "yes", "--cluster-port")


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[int]:
    """The port of a cluster of one node."""
    async with valkey(tmp_path, *CLUSTER, str(usable_port())) as port, Redis(port=port) as admin:
        run: Any = admin.execute_command
        await run("CLUSTER", "ADDSLOTSRANGE", 0, 16383)

        async def is_up() -> bool:
            return b"cluster_state:ok" in await run("CLUSTER", "INFO")

        await until(is_up, "the cluster does not come up")
        yield port


@pytest.fixture
async def client(port: int) -> AsyncIterator[Redis]:
    client = await connect(f"redis-cluster://127.0.0.1:{port}")
    yield client
    await close(client)


async def test_each_command_of_the_gateway_has_its_keys_in_the_slot(port: int) -> None:
    async with Redis(port=port) as admin:
        run: Any = admin.execute_command
        assert await run("CLUSTER", "KEYSLOT", TAG) == SLOT
        for name, given in COMMANDS.items():
            words = tuple(name.upper().split("|")) + given
            if name in ("ping", "info", "time", "script|load", "scan"):
                assert in_slot(words) == words
                continue
            if name in ("eval", "evalsha"):
                words = (words[0], words[1], "2", "one", "two", "no-key")
            keys = await run("COMMAND GETKEYS", *words)
            placed = await run("COMMAND GETKEYS", *in_slot(words))
            assert placed == [TAG + key for key in keys], name
            assert len(in_slot(words)) == len(words)


async def test_a_client_sees_the_keys_without_their_slot(port: int, client: Redis) -> None:
    await client.set(QUEUE.key("w"), "1")
    assert await client.get(QUEUE.key("w")) == b"1"
    assert await client.mget([QUEUE.key("w"), QUEUE.key("v")]) == [b"1", None]
    async with client.pipeline(transaction=True) as pipe:
        pipe.set(DELIVERY.key("w", "e"), "2")
        pipe.exists(QUEUE.key("w"), DELIVERY.key("w", "e"))
        assert await pipe.execute() == [True, 2]
    async with client.pipeline(transaction=False) as pipe:
        pipe.get(DELIVERY.key("w", "e"))
        assert await pipe.execute() == [b"2"]
    found: set[Any] = set()
    cursor = None
    while cursor != 0:
        cursor, keys = await client.scan(cursor or 0, match=DELIVERY.key("w", "*"), count=100)
        found |= set(keys)
    assert found == {b"delivery:w:e"}
    take = script(client, "leases/take_or_renew.lua")
    assert await take("me", 1000, key="replay:r:holder")
    async with Redis(port=port) as admin:
        found = set(await admin.keys())
    assert found == {b"{eg}:queue:w", b"{eg}:delivery:w:e", b"{eg}:replay:r:holder"}
    assert servers_behind(client) == [("127.0.0.1", port)]


async def test_a_node_is_no_single_server_and_a_single_server_no_cluster(
    tmp_path: Path, port: int
) -> None:
    with pytest.raises(ServerRefused, match=r"name its nodes in redis\.cluster\.servers"):
        await connect(f"redis://127.0.0.1:{port}", timeout=1)
    async with valkey(tmp_path) as single:
        with pytest.raises(ServerRefused, match="cluster support disabled"):
            await connect(f"redis-cluster://127.0.0.1:{single}", timeout=1)


async def test_a_batch_of_several_calls_is_written_into_the_slot(client: Redis, port: int) -> None:
    ledger = Ledger(client, 60.0, LaneReports(), Supervisor())
    await ledger.start()
    for number in range(100):
        delivery = Delivery(f"w{number}", "e", "s", "LOG", number, ledger.token())
        ledger.submit(delivery, Status.PENDING, wait=0, fresh=True)
    await ledger.stop()
    async with Redis(port=port) as admin:
        assert await admin.zcard(f"{TAG}due") == 100
        assert await admin.hget(f"{TAG}delivery:w99:e", "status") == b"pending"
