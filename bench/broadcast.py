"""The floor of fan-out: an asyncio.Protocol that writes the same frame to all connections.

Frozen. No stream, no subscriptions, no bounds: one frame, made once, written to each transport.

    python -m bench.broadcast PORT CONNECTIONS EVENTS RATE SIZE

waits for its connections, sends EVENTS events of SIZE bytes at an even rate, and prints the CPU
microseconds of this process per message.
"""

import asyncio
import sys
import time

import uvloop


class Connected(asyncio.Protocol):
    """A subscriber, which gets every message."""

    all: "list[asyncio.Transport]" = []  # noqa: RUF012 - those of this process

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.all.append(transport)  # type: ignore[arg-type]


async def main(port: int, connections: int, events: int, rate: float, size: int) -> None:
    """Sends the events and prints the cost of each message."""
    await asyncio.get_running_loop().create_server(Connected, "127.0.0.1", port, backlog=2048)
    while len(Connected.all) < connections:
        await asyncio.sleep(0.01)
    frame = b"\x81\x7e" + size.to_bytes(2, "big") + b"x" * size
    await asyncio.sleep(0.5)
    began, cpu, sent = time.monotonic(), time.process_time(), 0
    while sent < events:
        due = min(events, int((time.monotonic() - began) * rate) + 1)
        for _ in range(sent, due):
            for transport in Connected.all:
                transport.write(frame)
        sent = due
        await asyncio.sleep(0.001)
    while any(transport.get_write_buffer_size() for transport in Connected.all):
        await asyncio.sleep(0.01)
    print((time.process_time() - cpu) / (events * connections) * 1e6, flush=True)


if __name__ == "__main__":
    port, connections, events, rate, size = sys.argv[1:]
    uvloop.run(main(int(port), int(connections), int(events), float(rate), int(size)))
