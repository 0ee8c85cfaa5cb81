"""The application of the admin port: metrics and health without a key, and nothing else."""

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from event_gateway.api.routes.health import HealthParts, metrics_response, readiness
from event_gateway.api.server import problem_types
from event_gateway.api.server.problems import Problem

_DETAIL = "the admin port has /metrics, /healthz and /readyz, which can be read"


def admin_application(parts: HealthParts) -> Starlette:
    """The ASGI application of the admin port."""

    async def alive(request: Request) -> Response:
        return JSONResponse({"status": "ok", "version": parts.version})

    async def ready(request: Request) -> Response:
        status, answer = readiness(parts)
        return JSONResponse(answer, status)

    async def show_metrics(request: Request) -> Response:
        return await metrics_response(parts, request)

    endpoints: dict[str, Callable[[Request], Awaitable[Response]]] = {
        "/healthz": alive, "/readyz": ready, "/metrics": show_metrics,
    }  # fmt: skip
    app = Starlette(
        routes=[Route(path, endpoint) for path, endpoint in endpoints.items()],
        exception_handlers={HTTPException: _on_http_error},
    )
    app.router.redirect_slashes = False  # to whatever host the request names
    return app


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers) if error.headers else None
    kind = problem_types.NO_SUCH_PATH if error.status_code == 404 else error.status_code
    return Problem(kind, _DETAIL, headers).response()
