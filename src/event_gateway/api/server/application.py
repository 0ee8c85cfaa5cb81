"""The HTTP application: its routes, and how errors are answered."""

import functools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from event_gateway.api.access.authenticator import Authenticator
from event_gateway.api.access.guarded_route import BodyOnce, caller
from event_gateway.api.access.request_id import REQUEST_ID
from event_gateway.api.openapi.docs import Docs
from event_gateway.api.openapi.document import openapi_document
from event_gateway.api.routes.events import EventsEndpoint
from event_gateway.api.routes.events_at_once import EventsAtOnce
from event_gateway.api.routes.signing_keys import PATH as SIGNING_KEYS
from event_gateway.api.routes.signing_keys import SigningKeysEndpoint
from event_gateway.api.routes.source_endpoint import SourceEndpoint
from event_gateway.api.server import problem_types
from event_gateway.api.server.dependencies import check_provided, part_of, provide
from event_gateway.api.server.problems import HANDLED, Problem, problem_of
from event_gateway.api.server.request_spans import EVENTS, TracedApplication
from event_gateway.api.server.state import ApiState
from event_gateway.audit.trail import AuditTrail
from event_gateway.config.request_bodies import InvalidBody
from event_gateway.observability.tracing.spans import Tracing
from event_gateway.state.idempotent_answers import IdempotentAnswers

log = structlog.get_logger(__name__)

_DETAILS = {
    404: "there is nothing at this path; note that no path of the API ends with a slash",
    405: "this path does not have the method; the header Allow names those that it has",
}
_LIMITS = {413: "request_size", 507: "storage"}  # that a status tells of


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
    audit: AuditTrail,
    answers: IdempotentAnswers,
    events: EventsEndpoint,
    signing_keys: SigningKeysEndpoint,
    sources: SourceEndpoint,
    groups: Sequence[RouteGroup],
    limit_reached: Callable[[str], None],
    tracing: Tracing,
) -> "Application":
    """The ASGI application of one gateway process. ``version`` is the gateway's; ``limit_reached``
    counts that a limit refused a request, by the limit's name; ``answers`` keeps those to requests
    with an idempotency key.

    If two routes fit a path, the first in ``groups`` answers. Raises LookupError if a route needs
    parts that no group has.
    """
    # A redirect would lead to whatever host the request names.
    app = FastAPI(
        title="Event Gateway", version=version, redirect_slashes=False,
        openapi_url=None, docs_url=None, redoc_url=None,
        # Its own would name queries, which may have a token, and the texts of exceptions.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )  # fmt: skip
    provide(app, authenticator, state, audit, answers)
    app.router.routes.append(Route(EVENTS, events.post, methods=["POST"]))
    app.router.routes.append(Route(EVENTS, events.options, methods=["OPTIONS"]))
    app.router.routes.append(Route(SIGNING_KEYS, signing_keys.get))
    app.router.routes += sources.routes()
    described = [route for group in groups for router in group.routers for route in router.routes]
    make_document = functools.partial(
        openapi_document,
        app,
        [route for route in described if isinstance(route, APIRoute)],
        methods=authenticator.method_names,
        signing_keys=SIGNING_KEYS,
    )
    app.router.routes += Docs(authenticator, state, make_document).routes()
    for group in groups:
        provide(app, group.parts)
        for router in group.routers:
            check_provided(app, router)
            # include_router analyses every route again, at the first request.
            app.router.routes.extend(router.routes)
    on_problem = functools.partial(_on_problem, limit_reached)
    for kind in HANDLED:
        app.add_exception_handler(kind, on_problem)
    app.add_exception_handler(HTTPException, functools.partial(_on_http_error, app.router.routes))
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(Exception, _on_unexpected)
    return Application(app, events, on_problem, tracing)


class Application:
    """Answers all requests. ``app`` has all routes.

    An event goes straight to the endpoint that ``app`` has for it, too: on the way through its
    middleware and its routes a request costs more than all that is done with the event. Errors are
    answered by the same functions. ``at_once``: the shortcut of HTTP connections, which goes round
    ASGI, too.
    """

    def __init__(
        self,
        app: FastAPI,
        events: EventsEndpoint,
        on_problem: Callable[[Request, Exception], Awaitable[Response]],
        tracing: Tracing,
    ) -> None:
        self.app = app
        self._traced = TracedApplication(self._answer, tracing)
        self._events = events
        self._on_problem = on_problem
        self.at_once = EventsAtOnce(events, self._refusing)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answers a request (ASGI)."""
        return self._traced(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != EVENTS or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        scope["app"] = self.app
        request = Request(scope, receive)
        try:
            response = await self._events.post(request)
        except Exception as error:
            response = await self._answer_to(request, error)
        await response(scope, receive, send)

    async def _answer_to(self, request: Request, error: Exception) -> Response:
        if isinstance(error, HANDLED):
            return await self._on_problem(request, error)
        return await _on_unexpected(request, error)

    def _refusing(self, error: Exception) -> ASGIApp:
        """What answers a request to the endpoint that has failed already."""

        async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
            scope["app"] = self.app
            response = await self._answer_to(Request(scope, receive), error)
            await response(scope, receive, send)

        return refuse


async def _on_problem(
    limit_reached: Callable[[str], None], request: Request, error: Exception
) -> Response:
    problem = problem_of(error)
    if (limit := _LIMITS.get(problem.status)) is not None:
        limit_reached(limit)
    return _with_id(request, problem.response())


def _with_id(request: Request, response: Response) -> Response:
    """The response with the id of its request, which guarded routes give it."""
    if (request_id := request.scope.get(REQUEST_ID)) is not None:
        response.headers["X-Request-Id"] = request_id
    return response


async def _on_http_error(
    routes: Sequence[BaseRoute], request: Request, error: Exception
) -> Response:
    """Answers where there is no route. Below ``/v1/`` only to a known caller."""
    assert isinstance(error, HTTPException)
    if request.url.path.startswith("/v1/") and error.status_code in _DETAILS:
        body = BodyOnce(request, part_of(request, ApiState).max_body)
        try:
            await caller(part_of(request, Authenticator), request, body)
        except HANDLED as problem:
            return problem_of(problem).response()
    headers = dict(error.headers) if error.headers else None
    if error.status_code == 405:
        headers = {"Allow": ", ".join(sorted(_methods(routes, request)))}
    detail = _DETAILS.get(error.status_code, str(error.detail))
    kind = problem_types.NO_SUCH_PATH if error.status_code == 404 else error.status_code
    return Problem(kind, detail, headers).response()


def _methods(routes: Sequence[BaseRoute], request: Request) -> set[str]:
    """The methods of a path, over all routes that it fits."""
    fitting = (
        route for route in routes
        if isinstance(route, Route | APIRoute) and route.matches(request.scope)[0] != Match.NONE
    )  # fmt: skip
    methods = {method for route in fitting for method in route.methods or ()}
    return methods | {"HEAD"} if "GET" in methods else methods


async def _on_invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = [
        (".".join(str(part) for part in item["loc"][1:]), str(item["msg"]))
        for item in error.errors()
    ]
    return _with_id(request, problem_of(InvalidBody(problems)).response())


async def _on_unexpected(request: Request, error: Exception) -> Response:
    log.error("request failed", path=request.url.path,
              request_id=request.scope.get(REQUEST_ID), fault=error)  # fmt: skip
    problem = Problem(500, "internal error; the gateway's log has the details")
    return _with_id(request, problem.response())
