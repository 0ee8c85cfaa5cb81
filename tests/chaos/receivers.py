"""Twenty receivers with different faults behind one real HTTP server, which count their events."""

import asyncio
import contextlib
import json
import random
from collections import Counter
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from support.receiver import serving

GROUPS = 5  # groups of events; each group goes to every fifth webhook
TEMPERS = (
    "well", "slow", "flaky", "silent at times", "busy", "well", "slow", "flaky", "down at times",
    "well", "rude", "well", "slow", "flaky", "silent at times", "busy", "well", "slow", "well",
    "down at times",
)  # fmt: skip


class Receivers:
    """``accepted``: for each webhook, how often each event was answered with 2xx."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)
        self._down: set[str] = set()
        self.url = ""
        self.calm = False  # no receiver has faults any more
        self.accepted: dict[str, Counter[str]] = {name: Counter() for name in self.names}
        self.tempers = dict(zip(self.names, TEMPERS, strict=True))

    @property
    def names(self) -> list[str]:
        """The ids of the webhooks."""
        return [f"w{number:02}" for number in range(len(TEMPERS))]

    def webhooks_of(self, group: int) -> list[str]:
        """The webhooks that get the events of a group."""
        return [name for number, name in enumerate(self.names) if number % GROUPS == group]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Receivers"]:
        route = Route("/{name}", self._answer, methods=["POST"])
        async with serving(route) as self.url:
            outages = asyncio.create_task(self._outages())
            yield self
            outages.cancel()

    async def _outages(self) -> None:
        """Takes some receivers down for seconds at a time."""
        while True:
            await asyncio.sleep(self._dice.uniform(2, 5))
            down = [name for name, temper in self.tempers.items() if temper == "down at times"]
            self._down = {name for name in down if self._dice.random() < 0.4}

    async def _answer(self, request: Request) -> Response:
        name = request.path_params["name"]
        body = await request.body()
        temper, dice = self.tempers[name], self._dice.random()
        if not self.calm:
            if temper == "slow":
                await asyncio.sleep(0.2 * dice)
            elif temper == "flaky" and dice < 0.3:
                return Response("no", 500)
            elif temper == "silent at times" and dice < 0.05:
                await asyncio.sleep(4)  # longer than the timeout: the event does not count
                return Response("late", 503)
            elif temper == "busy" and dice < 0.2:
                return Response("later", 429, {"Retry-After": "1"})
            elif temper == "rude" and dice < 0.2:
                return Response("gone elsewhere", 302, {"Location": "http://127.0.0.1:1/"})
            elif name in self._down:
                return Response("down", 503)
        self.accepted[name][json.loads(body)["id"]] += 1
        return Response("accepted", 200)
