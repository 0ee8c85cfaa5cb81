"""The HTTP application: routes, authentication and errors in one place."""

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from event_gateway.api.live import sse
from event_gateway.api.routes import (
    dead_letters,
    deliveries,
    event_types,
    health,
    matching,
    rejected,
    repair,
    replays,
    secrets,
    streams,
    subscriptions,
    transformations,
    webhooks,
)
from event_gateway.api.routes.events import options_events, post_events
from event_gateway.api.routes.signing_keys import PublishedKeys
from event_gateway.api.server.context import Context
from event_gateway.api.server.problems import KINDS, Problem, problem_of

log = structlog.get_logger(__name__)


async def _problem(_request: Request, error: Exception) -> Response:
    return problem_of(error).response()


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers) if error.headers else None
    return Problem(error.status_code, str(error.detail), headers).response()


async def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [
        {"key": ".".join(str(part) for part in one["loc"][1:]), "detail": one["msg"]}
        for one in error.errors()
    ]
    malformed = any(one["type"] == "json_invalid" for one in error.errors())
    detail = "; ".join(f"{one['key']}: {one['detail']}".lstrip(": ") for one in errors[:10])
    return Problem(400 if malformed else 422, detail, errors=errors).response()


async def _unexpected(request: Request, error: Exception) -> Response:
    log.exception("unexpected error", path=request.url.path, exc_info=error)
    return Problem(500, "the gateway made a mistake; it is in its log").response()


def build(context: Context) -> FastAPI:
    """The ASGI application of one gateway process."""
    app = FastAPI(title="Event Gateway", version=context.version)
    app.state.context = context
    app.router.routes.append(Route("/v1/events", post_events, methods=["POST"]))
    app.router.routes.append(Route("/v1/events", options_events, methods=["OPTIONS"]))
    app.router.routes.append(Route("/.well-known/webhook-keys.json", PublishedKeys().answer))
    app.include_router(matching.router)
    app.include_router(webhooks.router)
    app.include_router(secrets.router)
    app.include_router(streams.router)
    app.include_router(event_types.router)
    app.include_router(event_types.document)
    app.include_router(sse.router)
    app.include_router(subscriptions.router)
    app.include_router(deliveries.router)
    app.include_router(dead_letters.router)
    app.include_router(replays.router)
    app.include_router(repair.router)
    app.include_router(rejected.router)
    app.include_router(transformations.router)
    app.include_router(health.health)
    app.include_router(health.metrics)
    for kind in KINDS:
        app.add_exception_handler(kind, _problem)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _unexpected)
    return app
