"""Twenty receivers with different faults behind one HTTP server, which count their events.

The server is a protocol without a framework, so that a run can make millions of deliveries.
"""

import asyncio
import contextlib
import random
import re
from array import array
from collections.abc import AsyncIterator, Iterable
from typing import cast

import httptools

GROUPS = 5  # groups of events; each group goes to every fifth webhook
TEMPERS = (
    "well", "slow", "flaky", "silent at times", "busy", "well", "slow", "flaky", "down at times",
    "well", "rude", "well", "slow", "flaky", "silent at times", "busy", "well", "slow", "well",
    "down at times",
)  # fmt: skip
_NUMBER = re.compile(rb'"id": ?"e-([0-9]+)"')


class Counts:
    """How often each event has arrived, by the number in its id (``e-17``)."""

    def __init__(self) -> None:
        self._counts = array("H")

    def add(self, number: int) -> None:
        if number >= len(self._counts):
            self._counts.extend([0] * (number + 1024 - len(self._counts)))
        self._counts[number] += 1

    def __getitem__(self, number: int) -> int:
        return self._counts[number] if number < len(self._counts) else 0

    def surplus(self, numbers: Iterable[int]) -> int:
        """How often these events have arrived after their first time."""
        return sum(max(0, self[number] - 1) for number in numbers)


class Receivers:
    """``accepted``: for each webhook, how often each event was answered with 2xx.

    ``groups``: groups of events; the events of a group go to every ``groups``-th webhook.
    ``faulty``: a factor of the chance that a request meets a fault of its receiver.
    """

    def __init__(self, seed: int, groups: int = GROUPS, faulty: float = 1.0) -> None:
        self._dice = random.Random(seed)
        self._down: set[str] = set()
        self._groups = groups
        self._faulty = faulty
        self.url = ""
        self.calm = False  # no receiver has faults any more
        self.accepted = {name: Counts() for name in self.names}
        self.tempers = dict(zip(self.names, TEMPERS, strict=True))

    @property
    def names(self) -> list[str]:
        """The ids of the webhooks."""
        return [f"w{number:02}" for number in range(len(TEMPERS))]

    def webhooks_of(self, group: int) -> list[str]:
        """The webhooks that get the events of a group."""
        return [name for number, name in enumerate(self.names) if number % self._groups == group]

    def missing(self, accepted: dict[int, int]) -> list[tuple[str, int]]:
        """Pairs of webhook and event that have not arrived. ``accepted``: the group of each
        event."""
        webhooks = [self.webhooks_of(group) for group in range(self._groups)]
        return [
            (name, number)
            for number, group in accepted.items()
            for name in webhooks[group]
            if not self.accepted[name][number]
        ]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Receivers"]:
        loop = asyncio.get_running_loop()
        open_ones: set[asyncio.Transport] = set()
        server = await loop.create_server(lambda: _Connection(self, open_ones), "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        outages = asyncio.create_task(self._outages())
        try:
            yield self
        finally:
            outages.cancel()
            server.close()
            for transport in list(open_ones):
                transport.abort()

    async def _outages(self) -> None:
        """Takes some receivers down for seconds at a time."""
        while True:
            await asyncio.sleep(self._dice.uniform(2, 5))
            down = [name for name, temper in self.tempers.items() if temper == "down at times"]
            self._down = {name for name in down if self._dice.random() < 0.4}

    def answer(self, name: str, body: bytes) -> tuple[float, bytes]:
        """Seconds until the response to an event, and the response."""
        fault = None if self.calm else self._fault(name)
        if fault is not None:
            return fault
        found = _NUMBER.search(body)
        assert found, body
        self.accepted[name].add(int(found[1]))
        slow = not self.calm and self.tempers[name] == "slow"
        return 0.2 * self._dice.random() if slow else 0.0, _response("200 OK")

    def _fault(self, name: str) -> tuple[float, bytes] | None:
        temper, dice = self.tempers[name], self._dice.random() / self._faulty
        if temper == "flaky" and dice < 0.3:
            return 0.0, _response("500 No")
        if temper == "silent at times" and dice < 0.05:
            return 4.0, _response("503 Late")  # longer than the timeout: the event does not count
        if temper == "busy" and dice < 0.2:
            return 0.0, _response("429 Later", "Retry-After: 1\r\n")
        if temper == "rude" and dice < 0.2:
            return 0.0, _response("302 Gone Elsewhere", "Location: http://127.0.0.1:1/\r\n")
        if name in self._down:
            return 0.0, _response("503 Down")
        return None


class _Connection(asyncio.Protocol):
    """Reads one request after the other, and answers each after its time."""

    def __init__(self, receivers: Receivers, open_ones: set[asyncio.Transport]) -> None:
        self._receivers, self._open = receivers, open_ones
        self._parser = httptools.HttpRequestParser(self)
        self._path, self._body = b"", b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._open.add(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._open.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._path += url

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        seconds, response = self._receivers.answer(self._path[1:].decode(), self._body)
        self._path, self._body = b"", b""
        if seconds:
            asyncio.get_running_loop().call_later(seconds, self._respond, response)
        else:
            self._respond(response)

    def _respond(self, response: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(response)


def _response(status: str, headers: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\n{headers}Content-Length: 0\r\n\r\n".encode()
