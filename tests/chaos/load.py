"""The load: events over HTTP and NATS, each sent until it is accepted, and then counted."""

import asyncio
import contextlib
import itertools
import json
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import nats
from nats.aio.client import Client as Nats

from support.bus import connect_bus
from support.client import BATCH, STRUCTURED, event

AT_ONCE = 200  # requests and messages that wait for their confirmation


class Load:
    """``rate`` events a second, half over HTTP in requests of ``batch`` events, half over NATS.
    What an outage has held up is made up for.

    ``accepted``: the group of each acknowledged event, by the number in its id. ``urls`` returns
    the gateways with their keys."""

    def __init__(
        self, urls: Callable[[], list[tuple[str, str]]], *, rate: float, batch: int, groups: int,
        seed: int,
    ) -> None:  # fmt: skip
        self._urls = urls
        self._rate, self._batch, self._groups = rate, batch, groups
        self._dice = random.Random(seed)
        self._numbers = itertools.count(1)
        self.accepted: dict[int, int] = {}
        self.ending = False

    async def run(self, nats_url: str) -> None:
        """Sends until ``ending``."""
        bus = await connect_bus(
            nats_url.split(","), max_reconnect_attempts=-1, reconnect_time_wait=0.2, error_cb=_quiet
        )
        async with httpx.AsyncClient(timeout=5) as http:
            sending: set[asyncio.Task[None]] = set()
            begun, sent = time.monotonic(), 0
            while not self.ending:
                while sent < (time.monotonic() - begun) * self._rate and len(sending) < AT_ONCE:
                    over_http = self._dice.random() * (self._batch + 1) < 1
                    some = self._events(self._batch if over_http else 1)
                    sent += len(some)
                    task = asyncio.create_task(
                        self._post(http, some) if over_http else self._publish(bus, some)
                    )
                    sending.add(task)
                    task.add_done_callback(sending.discard)
                await asyncio.sleep(1 / self._rate)
            if sending:
                await asyncio.wait(sending, timeout=30)
        with contextlib.suppress(Exception):
            await bus.close()

    def _events(self, count: int) -> dict[int, dict[str, Any]]:
        """New events by number."""
        events = {}
        for number in itertools.islice(self._numbers, count):
            group = number % self._groups
            events[number] = event(f"load.g{group}", {"group": group}, id=f"e-{number}")
        return events

    async def _post(self, http: httpx.AsyncClient, events: dict[int, dict[str, Any]]) -> None:
        alone, *others = events.values()
        body, headers = (
            (json.dumps([alone, *others]), BATCH) if others else (json.dumps(alone), STRUCTURED)
        )

        async def post() -> bool:
            url, key = self._dice.choice(self._urls())
            answer = await http.post(
                f"{url}/v1/events", content=body, headers=headers | {"X-API-Key": key}
            )
            assert answer.status_code in (202, 503), answer.text
            return answer.status_code == 202

        await self._until_accepted(events, post)

    async def _publish(self, bus: Nats, events: dict[int, dict[str, Any]]) -> None:
        ((_, sent),) = events.items()

        async def publish() -> bool:
            body, headers = json.dumps(sent).encode(), {"Nats-Msg-Id": sent["id"]}
            await bus.jetstream().publish(sent["type"], body, headers=headers)
            return True

        await self._until_accepted(events, publish)

    async def _until_accepted(
        self, events: dict[int, dict[str, Any]], send: Callable[[], Awaitable[bool]]
    ) -> None:
        pause = 0.1
        while True:
            with contextlib.suppress(
                httpx.TransportError, nats.errors.Error, nats.js.errors.Error, TimeoutError
            ):
                if await send():
                    self.accepted |= {number: number % self._groups for number in events}
                    return
            if self.ending:
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, 1.0)


async def _quiet(_error: Exception) -> None:
    """Ignores lost connections, which the run causes."""
