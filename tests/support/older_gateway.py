"""A gateway that answers as an older version does: without members that came later."""

import contextlib
import socket
from asyncio import create_task
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from event_gateway.quiet_server import QuietServer
from support.patience import PATIENCE

# Members of 1.1, by the beginning of the path: what was added, and what had another form.
SINCE_1_0: Mapping[str, Mapping[str, Any]] = {
    "/v1/secrets": dict.fromkeys(
        ("used_by_sources", "unreadable", "unreadable_count", "unreadable_subject_keys")
    ),
    "/v1/rejected": {"source": None, "cut": bool},
}


@contextlib.asynccontextmanager
async def older_gateway(url: str) -> AsyncIterator[str]:
    """Passes requests on to the gateway at ``url``; its own URL."""
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE, trust_env=False) as http:

        async def pass_on(request: Request) -> Response:
            headers = {
                name: value for name, value in request.headers.items()
                if name not in ("host", "content-length")
            }  # fmt: skip
            answer = await http.request(
                request.method, request.url.path, params=request.query_params,
                content=await request.body(), headers=headers,
            )  # fmt: skip
            content = answer.content
            changed = [
                each for path, each in SINCE_1_0.items() if request.url.path.startswith(path)
            ]
            if changed and "json" in answer.headers.get("content-type", ""):
                content = httpx.Response(200, json=_former(answer.json(), changed[0])).content
            kept = {name: answer.headers[name] for name in ("content-type", "etag")
                    if name in answer.headers}  # fmt: skip
            return Response(content, answer.status_code, kept)

        methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
        app = Starlette(routes=[Route("/{path:path}", pass_on, methods=methods)])
        listener = socket.create_server(("127.0.0.1", 0))
        server = QuietServer(uvicorn.Config(app, log_config=None, lifespan="off", ws="none"))
        serving = create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.finish()
            await serving


def _former(value: Any, members: Mapping[str, Any]) -> Any:
    """A value without these members; those with a type have the value as that type."""
    if isinstance(value, list):
        return [_former(each, members) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _former(each, members) if name not in members else members[name](each)
        for name, each in value.items()
        if members.get(name, True) is not None
    }
