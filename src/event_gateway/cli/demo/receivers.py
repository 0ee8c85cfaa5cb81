"""Three receivers: a healthy, a flaky and a dead one."""

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import AsyncIterator

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from event_gateway.quiet_server import QuietServer

HEALTH = {"external_crm": "healthy", "analytics_platform": "flaky", "security_siem": "dead"}


class Receivers:
    """The three receivers with their own counts, by name: ``requests``, and ``taken``, those
    answered with 2xx. ``messages``: the distinct ``webhook-id`` headers of those taken.
    """

    def __init__(self) -> None:
        self.url = ""
        self.requests: Counter[str] = Counter()
        self.taken: Counter[str] = Counter()
        self.messages: dict[str, set[str]] = {name: set() for name in HEALTH}
        self.first_taken = asyncio.Event()

    async def answer(self, request: Request) -> Response:
        """Answers a request of the gateway."""
        name = request.path_params["name"]
        await request.body()
        self.requests[name] += 1
        if HEALTH[name] == "dead":
            return Response("out of order", 503)
        attempt = int(request.headers["x-event-gateway-attempt"])
        if HEALTH[name] == "flaky" and attempt == 1 and self.requests[name] % 2:
            return Response("try again", 500)
        self.taken[name] += 1
        self.messages[name].add(request.headers["webhook-id"])
        self.first_taken.set()
        return Response(status_code=204)


@contextlib.asynccontextmanager
async def receiving() -> AsyncIterator[Receivers]:
    """Runs the receivers on a free port of the loopback interface."""
    receivers = Receivers()
    app = Starlette(routes=[Route("/{name}", receivers.answer, methods=["POST"])])
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        receivers.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server = QuietServer(uvicorn.Config(app, log_config=None, lifespan="off"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(0.01)
        try:
            yield receivers
        finally:
            server.force_exit = True
            server.finish()
            await serving
