"""Notes that a process writes to Valkey each second, also after an outage."""

import asyncio
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from structlog.testing import capture_logs

from event_gateway.embedded.servers import usable_port
from event_gateway.state.connection import connect
from event_gateway.state.notes import Notes
from support.patience import PATIENCE
from support.relay import Relay


@dataclass
class Count:
    value: int
    tries: list[str]

    def add(self, later: "Count") -> None:
        self.value += later.value

    def write(self, pipe: Any, key: str) -> None:
        self.tries.append(key)
        pipe.incrby(key, self.value)


async def test_what_is_noted_while_redis_is_away_is_written_afterwards(
    servers: tuple[str, str],
) -> None:
    port = urlsplit(servers[1]).port or 0
    async with Relay(port).running() as relay, asyncio.timeout(PATIENCE):
        client = await connect(servers[1].replace(f":{port}", f":{relay.port}"))
        tries: list[str] = []
        notes: Notes[Count] = Notes(client, subject="counts", most=2)
        relay.lead_to(usable_port())
        relay.cut()
        writing = asyncio.create_task(notes.run())
        notes.add("a", Count(10, tries))
        while len(tries) < 2:  # it was written in vain, and is written again
            await asyncio.sleep(0.05)
        notes.add("a", Count(100, tries))
        notes.add("b", Count(5, tries))
        notes.add("c", Count(5, tries))  # beyond what is kept
        relay.lead_to(port)
        while await client.mget("a", "b", "c") != [b"110", b"5", None]:
            await asyncio.sleep(0.05)
        writing.cancel()
        await client.aclose()


async def test_a_key_that_holds_something_else_has_no_other_counted_twice(
    servers: tuple[str, str],
) -> None:
    client = await connect(servers[1])
    tries: list[str] = []
    notes: Notes[Count] = Notes(client, subject="counts", most=9)
    await client.sadd("list", "no number")
    with capture_logs() as logged:
        async with asyncio.timeout(PATIENCE):
            writing = asyncio.create_task(notes.run())
            for key in ("list", "a"):
                notes.add(key, Count(1, tries))
            while await client.get("a") != b"1":
                await asyncio.sleep(0.05)
            notes.add("b", Count(1, tries))  # the next write
            while await client.get("b") != b"1":
                await asyncio.sleep(0.05)
    writing.cancel()
    assert (tries, await client.get("a")) == (["list", "a", "b"], b"1")
    (line,) = [each for each in logged if "refused notes" in each["event"]]
    assert "WRONGTYPE" in line["error"]
    await client.aclose()
