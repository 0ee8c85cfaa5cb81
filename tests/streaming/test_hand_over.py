"""From the log to the live feed: no gap, no duplicate, in order, during any change."""

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import nats
import pytest
import websockets

from event_gateway.cli.process.serve import Running
from event_gateway.embedded.servers import EmbeddedServers
from support.bus import connect_bus
from support.client import Client, Socket, connected, event
from support.fixtures import Start
from support.patience import PATIENCE
from support.program import LOOPBACK, Program

EVENTS = 1_500
SUBSCRIBERS = 25
JOINING = 5  # at the same time
STREAMS = {
    "streams": {
        "work": {"subjects": ["scheduler.job.*"]},
        "wide": {"subjects": ["scheduler.>", "user.*"]},
    }
}


@pytest.fixture
async def gateway(start: Start) -> Running:
    return await start(STREAMS)  # type: ignore[no-any-return]


async def _publish(url: str, joined: list[asyncio.Event], published: list[int]) -> None:
    """Publishes on a connection of its own, as fast as the log accepts events and subscribers join:
    the last event, for which all subscribers wait, comes once all of them have joined. Notes in
    ``published`` how many events are published."""
    bus = await connect_bus(url)
    for number in range(EVENTS):
        if number == EVENTS - 1:
            await asyncio.gather(*(subscriber.wait() for subscriber in joined))
        sent = event("scheduler.job.done", {"n": number})
        await bus.publish("scheduler.job.done", json.dumps(sent).encode())
        if number % 50 == 49:
            await bus.flush()
            published.append(number + 1)
            await joined[max(0, number * SUBSCRIBERS // EVENTS - JOINING)].wait()
    await bus.close()


async def _suffix(socket: Socket, last: int) -> list[int]:
    """Reads up to the last event; returns the sequences."""
    out: list[int] = []
    while not out or out[-1] < last:
        frame = await socket.next()
        if frame["type"] == "event":
            assert frame["event"]["data"]["n"] + 1 == frame["seq"]
            out.append(frame["seq"])
        elif frame["type"] == "missed":  # it began at a sequence that did not exist yet
            assert frame["code"] == "stream_recreated", frame
        else:
            assert frame["type"] in ("lagging", "caught_up"), frame
    return out


async def test_a_subscriber_that_joins_at_any_moment_gets_every_event_once_and_in_order(
    client: Client, gateway: Running
) -> None:
    seed = random.randrange(2**32)
    dice = random.Random(seed)
    joined = [asyncio.Event() for _ in range(SUBSCRIBERS)]
    published = [1]
    publishing = asyncio.create_task(_publish(gateway.nats_url, joined, published))

    async def subscriber(number: int) -> None:
        if number >= JOINING:
            await joined[number - JOINING].wait()
        start: Any = ("new", "first", {"seq": dice.randint(1, published[-1])})[number % 3]
        async with client.websocket() as socket:
            stream = ("work", "wide")[number % 2]
            answer = await socket.request(action="subscribe", stream=stream, **{"from": start})
            assert answer["type"] == "subscribed", answer
            joined[number].set()
            begin = answer["seq"] + 1
            result = await _suffix(socket, EVENTS)
            assert result == list(range(begin, EVENTS + 1)), (seed, number, start, begin)

    await asyncio.gather(publishing, *(subscriber(number) for number in range(SUBSCRIBERS)))


class _Reconnecting:
    """A client without a library: it reconnects, and sends the last sequence that it received."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self.sequences: list[int] = []
        self.connections = 0

    async def run(self, last: int) -> None:
        while not self.sequences or self.sequences[-1] < last:
            try:
                await self._once(last)
            except (OSError, websockets.WebSocketException, TimeoutError, ValueError):
                await asyncio.sleep(0.1)

    async def _once(self, last: int) -> None:
        at = json.loads((self._program.data / "endpoints.json").read_text())
        key = (self._program.data / "admin.key").read_text()
        url = at["http"].replace("http", "ws", 1) + "/v1/ws"
        headers = {"Authorization": f"Bearer {key}"}
        async with websockets.connect(url, additional_headers=headers) as connection:
            self.connections += 1
            start = {"seq": self.sequences[-1] + 1} if self.sequences else "first"
            socket = Socket(connection)
            while True:
                answer = await socket.request(action="subscribe", stream="work", **{"from": start})
                if answer["type"] == "subscribed":
                    break
                assert answer["code"] == "unavailable", answer
                await asyncio.sleep(0.1)
            while not self.sequences or self.sequences[-1] < last:
                frame = await socket.next()
                if frame["type"] == "event":
                    self.sequences.append(frame["seq"])


@pytest.mark.parametrize("what", ["gateway", "nats"])
async def test_a_restart_in_the_middle_leaves_no_gap(tmp_path: Path, what: str) -> None:
    total = 1500
    embedded = EmbeddedServers(tmp_path / "servers")
    nats_url, redis_url = await embedded.start()
    own = {"nats": {"url": nats_url}, "redis": {"url": redis_url}}
    program = Program(tmp_path, LOOPBACK | own | STREAMS)
    at = await program.start()
    try:
        async with connected(at["http"], str(nats_url), at["key"]) as client:
            clients = [_Reconnecting(program) for _ in range(5)]
            running = [asyncio.create_task(item.run(total)) for item in clients]

            async def publish() -> None:
                js = client.nats.jetstream(timeout=1.0)  # what is lost is sent again
                for number in range(total):
                    result = json.dumps(event("scheduler.job.done", {"n": number})).encode()
                    while True:
                        try:
                            await js.publish("scheduler.job.done", result, headers={
                                "Nats-Msg-Id": str(number)})  # fmt: skip
                            break
                        except (nats.errors.Error, TimeoutError):
                            await asyncio.sleep(0.1)

            publishing = asyncio.create_task(publish())
            while min(len(item.sequences) for item in clients) < 500:
                await asyncio.sleep(0.01)
            if what == "gateway":
                program.kill()
                await program.start()
            else:
                await embedded.stop()
                await asyncio.sleep(1)
                await embedded.start()
            async with asyncio.timeout(PATIENCE):
                await publishing
                await asyncio.gather(*running)
    finally:
        await program.stop()
        await embedded.stop()
    for item in clients:
        assert item.sequences == list(range(1, total + 1))
        assert item.connections == (2 if what == "gateway" else 1)
