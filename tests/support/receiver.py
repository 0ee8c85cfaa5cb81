"""A webhook receiver for tests: a real HTTP server that stores requests and answers by a script."""

import asyncio
import contextlib
import functools
import json
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import uvicorn

from support.patience import PATIENCE


@dataclass(frozen=True)
class ReceivedRequest:
    """A request and the status of its response.

    ``time`` is when its body was complete, in seconds since the epoch.
    """

    path: str
    headers: dict[str, str]
    body: bytes
    time: float
    status: int
    method: str = "POST"

    @functools.cached_property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class OptionsAnswer:
    """The response of a receiver to OPTIONS, after ``delay`` seconds."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0


def allows(origin: str = "*", rate: int | str | None = None, status: int = 200) -> OptionsAnswer:
    """A response that allows deliveries, or looks as if it did."""
    allowed = {"WebHook-Allowed-Origin": origin}
    return OptionsAnswer(
        status, allowed if rate is None else allowed | {"WebHook-Allowed-Rate": str(rate)}
    )


@dataclass
class Receiver:
    """``answers``: the statuses of the responses by path, in order; the last status repeats.

    ``delays``: seconds before each response, likewise; ``holds``: by path, what each response waits
    for; ``headers``: those of all responses by path.
    ``requests``: all requests but OPTIONS. ``options_requests``: the OPTIONS requests;
    ``options_answers``: the responses to them by path, likewise, by default 405.
    ``max_concurrent``: the most requests that waited for their response at the same time.
    """

    url: str = ""
    requests: list[ReceivedRequest] = field(default_factory=list)
    answers: dict[str, list[int]] = field(default_factory=dict)
    delays: dict[str, list[float]] = field(default_factory=dict)
    holds: dict[str, asyncio.Event] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    options_requests: list[ReceivedRequest] = field(default_factory=list)
    options_answers: dict[str, list[OptionsAnswer]] = field(default_factory=dict)
    max_concurrent: int = 0
    _at_once: int = 0

    def requests_to(self, path: str) -> list[ReceivedRequest]:
        """The requests to a path, in the order of their arrival."""
        return [request for request in self.requests if request.path == path]

    async def until(
        self, count: int, path: str | None = None, timeout: float = PATIENCE
    ) -> list[ReceivedRequest]:
        """Waits for ``count`` requests (to ``path``), and returns all of them."""
        async with asyncio.timeout(timeout):
            while True:
                requests = self.requests if path is None else self.requests_to(path)
                if len(requests) >= count:
                    return requests
                await asyncio.sleep(0.01)

    async def until_options(self, count: int, timeout: float = PATIENCE) -> list[ReceivedRequest]:
        """Waits for ``count`` OPTIONS requests, and returns all of them."""
        async with asyncio.timeout(timeout):
            while len(self.options_requests) < count:
                await asyncio.sleep(0.01)
        return self.options_requests

    async def serve(self, scope: Any, receive: Any, send: Any) -> None:
        """The ASGI application. Without a framework: tests make a hundred thousand requests."""
        if scope["type"] != "http":
            return
        body = b""
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
        headers = {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in reversed(scope["headers"])
        }
        answer = self._options if scope["method"] == "OPTIONS" else self._answer
        status, text, more_headers = await answer(scope["path"], scope["method"], headers, body)
        # 204 has no content, not even a length (RFC 9110, 8.6): it would count as a response.
        content = b"" if status == 204 else text.encode()
        answered = [
            *([] if status == 204 else [(b"content-length", b"%d" % len(content))]),
            *((name.lower().encode(), value.encode("latin-1"))
              for name, value in more_headers.items()),
        ]  # fmt: skip
        await send({"type": "http.response.start", "status": status, "headers": answered})
        await send({"type": "http.response.body", "body": content})

    async def _options(
        self, path: str, method: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, str, dict[str, str]]:
        answers = self.options_answers.get(path, [OptionsAnswer(405, {"Allow": "POST"})])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        self.options_requests.append(
            ReceivedRequest(path, headers, body, time.time(), answer.status)
        )
        await asyncio.sleep(answer.delay)
        return answer.status, "", answer.headers

    async def _answer(
        self, path: str, method: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, str, dict[str, str]]:
        came = time.time()
        statuses = self.answers.get(path, [200])
        status = statuses.pop(0) if len(statuses) > 1 else statuses[0]
        # A test that has seen the request may change what the next one waits for.
        hold = self.holds.get(path)
        self.requests.append(ReceivedRequest(path, headers, body, came, status, method))
        delays = self.delays.get(path, [0.0])
        self._at_once += 1
        self.max_concurrent = max(self.max_concurrent, self._at_once)
        try:
            await asyncio.sleep(delays.pop(0) if len(delays) > 1 else delays[0])
            if hold is not None:
                await hold.wait()
        finally:
            self._at_once -= 1
        return status, f"answer {status}", self.headers.get(path, {})


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # the test runner handles signals itself


@contextlib.asynccontextmanager
async def receiving(**tls: Any) -> AsyncIterator[Receiver]:
    """A receiver on a free port of the loopback interface."""
    receiver = Receiver()
    async with serving(receiver.serve, **tls) as receiver.url:
        yield receiver


@contextlib.asynccontextmanager
async def serving(app: Callable[..., Any], **tls: Any) -> AsyncIterator[str]:
    """Serves an ASGI application on a free port of the loopback interface; yields its URL.

    ``tls`` are uvicorn's ``ssl_…`` settings.
    """
    # asyncio turns Nagle's algorithm off only if the protocol is given.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            app, interface="asgi3", log_config=None, lifespan="off", timeout_keep_alive=60, **tls
        )
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
