"""The HTTP application: its routes, and how errors are answered."""

from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from event_gateway.api.routes.events import EventsEndpoint
from event_gateway.api.routes.signing_keys import PATH as SIGNING_KEYS
from event_gateway.api.routes.signing_keys import SigningKeysEndpoint
from event_gateway.api.server.auth import Authenticator
from event_gateway.api.server.dependencies import check_provided, provide
from event_gateway.api.server.problems import HANDLED, Problem, problem_of
from event_gateway.api.server.state import ApiState

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RouteGroup:
    """The routers of a module, and the object that their routes get as a dependency."""

    parts: object
    routers: tuple[APIRouter, ...]


def build_application(
    version: str,
    *,
    authenticator: Authenticator,
    state: ApiState,
    events: EventsEndpoint,
    signing_keys: SigningKeysEndpoint,
    groups: Sequence[RouteGroup],
) -> FastAPI:
    """The ASGI application of one gateway process. ``version`` is the gateway's.

    If two routes fit a path, the first in ``groups`` answers. Raises LookupError if a route needs
    parts that no group has.
    """
    app = FastAPI(title="Event Gateway", version=version)
    provide(app, authenticator, state)
    app.router.routes.append(Route("/v1/events", events.post, methods=["POST"]))
    app.router.routes.append(Route("/v1/events", events.options, methods=["OPTIONS"]))
    app.router.routes.append(Route(SIGNING_KEYS, signing_keys.get))
    for group in groups:
        provide(app, group.parts)
        for router in group.routers:
            check_provided(app, router)
            app.include_router(router)
    for kind in HANDLED:
        app.add_exception_handler(kind, _on_problem)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(Exception, _on_unexpected)
    return app


async def _on_problem(_request: Request, error: Exception) -> Response:
    return problem_of(error).response()


async def _on_http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers) if error.headers else None
    return Problem(error.status_code, str(error.detail), headers).response()


async def _on_invalid_request(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [
        {"key": ".".join(str(part) for part in item["loc"][1:]), "detail": item["msg"]}
        for item in error.errors()
    ]
    malformed = any(item["type"] == "json_invalid" for item in error.errors())
    detail = "; ".join(f"{item['key']}: {item['detail']}".lstrip(": ") for item in errors[:10])
    return Problem(400 if malformed else 422, detail, errors=errors).response()


async def _on_unexpected(request: Request, error: Exception) -> Response:
    log.exception("request failed", path=request.url.path, exc_info=error)
    return Problem(500, "internal error; the gateway's log has the details").response()
