"""The load: events over HTTP and NATS, each sent until it is accepted, and then counted."""

import asyncio
import contextlib
import itertools
import json
import random
from collections.abc import Callable

import httpx
import nats
from nats.aio.client import Client as Nats

from chaos.receivers import GROUPS
from support.client import STRUCTURED, event


class Load:
    """``accepted``: the group of each acknowledged event. ``urls`` returns the gateways."""

    def __init__(self, urls: Callable[[], list[tuple[str, str]]], rate: float, seed: int) -> None:
        self._urls = urls
        self._pause = 1 / rate
        self._dice = random.Random(seed)
        self._numbers = itertools.count()
        self.accepted: dict[str, int] = {}
        self.ending = False

    async def run(self, nats_url: str) -> None:
        """Sends until ``ending``, half over HTTP, half over NATS."""
        bus = await nats.connect(
            nats_url.split(","), max_reconnect_attempts=-1, reconnect_time_wait=0.2, error_cb=_quiet
        )
        async with httpx.AsyncClient(timeout=5) as http:
            sending: set[asyncio.Task[None]] = set()
            while not self.ending:
                task = asyncio.create_task(self._send(http, bus))
                sending.add(task)
                task.add_done_callback(sending.discard)
                await asyncio.sleep(self._pause)
                while len(sending) > 200 and not self.ending:
                    await asyncio.sleep(0.1)
            if sending:
                await asyncio.wait(sending, timeout=30)
        with contextlib.suppress(Exception):
            await bus.close()

    async def _send(self, http: httpx.AsyncClient, bus: Nats) -> None:
        group = next(self._numbers) % GROUPS
        sent = event(f"load.g{group}", {"group": group})
        body = json.dumps(sent).encode()
        over_http = self._dice.random() < 0.5
        while True:
            with contextlib.suppress(
                httpx.TransportError, nats.errors.Error, nats.js.errors.Error, TimeoutError
            ):
                if over_http:
                    url, key = self._dice.choice(self._urls())
                    headers = STRUCTURED | {"X-API-Key": key}
                    answer = await http.post(f"{url}/v1/events", content=body, headers=headers)
                    assert answer.status_code in (202, 503), answer.text
                    done = answer.status_code == 202
                else:
                    headers = {"Nats-Msg-Id": sent["id"]}
                    await bus.jetstream().publish(f"load.g{group}", body, headers=headers)
                    done = True
                if done:
                    self.accepted[sent["id"]] = group
                    return
            if self.ending:
                return
            await asyncio.sleep(0.1)


async def _quiet(_error: Exception) -> None:
    """Ignores lost connections, which the run causes."""
