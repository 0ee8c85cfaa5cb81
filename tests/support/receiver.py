"""A webhook receiver for tests: a real HTTP server that keeps what it got and answers as told."""

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from support.patience import PATIENCE


@dataclass(frozen=True)
class Got:
    """One request and the status it was answered with.

    ``time`` is when its body was whole, in seconds since the epoch.
    """

    path: str
    headers: dict[str, str]
    body: bytes
    time: float
    status: int

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Said:
    """How a receiver answers OPTIONS, after so many seconds."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0


def agrees(origin: str = "*", rate: int | str | None = None, status: int = 200) -> Said:
    """Consent to be sent to, or what looks like it."""
    allowed = {"WebHook-Allowed-Origin": origin}
    return Said(status, allowed if rate is None else allowed | {"WebHook-Allowed-Rate": str(rate)})


@dataclass
class Receiver:
    """``answers``: statuses by path, used up from the front; the last one stays.

    ``delays``: seconds to wait before each answer, likewise; ``headers`` of all answers. ``asked``
    are the OPTIONS that came, ``says`` how they are answered, likewise; by default with 405.
    ``most_at_once``: the most requests that waited for their answer at the same time.
    """

    url: str = ""
    got: list[Got] = field(default_factory=list)
    answers: dict[str, list[int]] = field(default_factory=dict)
    delays: dict[str, list[float]] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[Got] = field(default_factory=list)
    says: dict[str, list[Said]] = field(default_factory=dict)
    most_at_once: int = 0
    _at_once: int = 0

    def at(self, path: str) -> list[Got]:
        """What came to one path, in the order it came."""
        return [request for request in self.got if request.path == path]

    async def until(
        self, count: int, path: str | None = None, timeout: float = PATIENCE
    ) -> list[Got]:
        """Returns once ``count`` requests have come (to ``path``)."""
        async with asyncio.timeout(timeout):
            while len(found := self.got if path is None else self.at(path)) < count:
                await asyncio.sleep(0.01)
        return found

    async def until_asked(self, count: int, timeout: float = PATIENCE) -> list[Got]:
        """Returns once ``count`` OPTIONS have come."""
        async with asyncio.timeout(timeout):
            while len(self.asked) < count:
                await asyncio.sleep(0.01)
        return self.asked

    async def _options(self, request: Request) -> Response:
        path = request.url.path
        said = self.says.get(path, [Said(405, {"Allow": "POST"})])
        answer = said.pop(0) if len(said) > 1 else said[0]
        body = await request.body()
        self.asked.append(Got(path, dict(request.headers), body, time.time(), answer.status))
        await asyncio.sleep(answer.delay)
        return Response("", answer.status, answer.headers)

    async def _answer(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            return await self._options(request)
        body = await request.body()
        path = request.url.path
        came = time.time()
        statuses = self.answers.get(path, [200])
        status = statuses.pop(0) if len(statuses) > 1 else statuses[0]
        self.got.append(Got(path, dict(request.headers), body, came, status))
        delays = self.delays.get(path, [0.0])
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            await asyncio.sleep(delays.pop(0) if len(delays) > 1 else delays[0])
        finally:
            self._at_once -= 1
        return Response(f"answer {status}", status, self.headers.get(path))


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # the test runner keeps its own


@contextlib.asynccontextmanager
async def receiving(**tls: Any) -> AsyncIterator[Receiver]:
    """A receiver on a free port of the loopback."""
    receiver = Receiver()
    route = Route("/{path:path}", receiver._answer, methods=["POST", "OPTIONS"])
    async with serving(route, **tls) as receiver.url:
        yield receiver


@contextlib.asynccontextmanager
async def serving(route: Route, **tls: Any) -> AsyncIterator[str]:
    """A real HTTP server of one route on a free port of the loopback; gives its URL.

    ``tls`` are uvicorn's ``ssl_…`` settings.
    """
    app = Starlette(routes=[route])
    # asyncio turns Nagle's algorithm off only where the protocol is named.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_config=None, lifespan="off", timeout_keep_alive=60, **tls)
        server = _Server(config)
        running = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(0.005)
        try:
            yield f"{'https' if tls else 'http'}://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            server.force_exit = True
            await running
