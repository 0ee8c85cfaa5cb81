"""Streams of a test's own, on a gateway that it shares with other tests."""

import asyncio
import itertools
from dataclasses import dataclass
from typing import Any

from support.client import Client
from support.patience import PATIENCE

_numbers = itertools.count(1)


@dataclass(frozen=True)
class OwnStream:
    """A stream of which no other test knows: the sequence of its first event is 1."""

    client: Client
    name: str
    type: str  # that of the events which it is sent

    @property
    def path(self) -> str:
        return f"/v1/streams/{self.name}"

    @property
    def subject(self) -> str:
        """That of the lifecycle events about it."""
        return f"stream/{self.name}"

    async def held(self, last: int) -> None:
        """Waits until it has copied the events of the log up to a sequence of its own."""
        js = self.client.nats.jetstream()
        async with asyncio.timeout(PATIENCE):
            while (await js.stream_info(f"GATEWAY_STREAM_{self.name}")).state.last_seq < last:
                await asyncio.sleep(0.05)


async def own_stream(client: Client, **limits: Any) -> OwnStream:
    """Creates a stream of a name and a subject that no other test has."""
    name = f"own{next(_numbers)}"
    body = {"name": name, "subjects": [f"scheduler.{name}.*"]} | limits
    answer = await client.http.post("/v1/streams", json=body)
    assert answer.status_code == 201, answer.text
    return OwnStream(client, name, f"scheduler.{name}.done")
