"""A route that asks something of its caller, and reads a body only after that."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from event_gateway.api.access.audited import Audited
from event_gateway.api.access.authenticator import (
    Authenticator,
    Unauthenticated,
    authorize,
    unauthenticated,
)
from event_gateway.api.access.call_recorder import CallRecorder
from event_gateway.api.access.caller_request import CallerRequest
from event_gateway.api.access.callers import PRINCIPAL, Requirement
from event_gateway.api.access.idempotency import Idempotent, run_once
from event_gateway.api.access.request_id import REQUEST_ID, request_id_of
from event_gateway.api.http.exchange import ANSWER_HEADERS
from event_gateway.api.server import problem_types
from event_gateway.api.server.bodies import json_of, read_body
from event_gateway.api.server.conditional import IF_MATCH
from event_gateway.api.server.dependencies import part_of
from event_gateway.api.server.problems import HANDLED, Problem
from event_gateway.api.server.state import ApiState
from event_gateway.core.access.principal import Principal
from event_gateway.core.errors import ChangedInBetween

Declared = TypeVar("Declared")

# The key of the ASGI scope under which there may be what the authenticator has said of the request
# already: a Caller, or what it raised.
FOUND = "event_gateway.found"


class GuardedRoute(APIRoute):
    """A route whose caller has what its parameter of :mod:`api.access.callers` asks.

    It reads the body only of such a request, and only up to the limit; a JSON body is read
    strictly. ``requirement``: what the route asks. Raises LookupError if it has no such parameter.
    ``audited``: what it changes, by its parameter of :mod:`api.access.audited`; None: nothing.
    """

    requirement: Requirement
    audited: Audited | None

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, behind the checks."""
        requirement = _declared(self, Requirement)
        if requirement is None:
            raise LookupError(f"{self.path} has no parameter that says who may call it")
        audited = _declared(self, Audited)
        self.requirement, self.audited = requirement, audited
        takes_key = _declared(self, Idempotent) is not None
        recorder = CallRecorder(audited, f"{'/'.join(sorted(self.methods or ()))} {self.path}")
        handle = super().get_route_handler()

        async def conditional(request: Request) -> Response:
            try:
                return await handle(request)
            except ChangedInBetween as error:
                if IF_MATCH not in request.headers:
                    raise
                raise Problem(problem_types.PRECONDITION_FAILED, str(error)) from None

        async def guarded(request: Request) -> Response:
            request_id = request.scope[REQUEST_ID] = request_id_of(request.headers)
            principal: Principal | None = None
            try:
                body = BodyOnce(request, part_of(request, ApiState).max_body)
                principal = await caller(part_of(request, Authenticator), request, body)
                authorize(principal, requirement.scope, unconfined=requirement.unconfined)
                if audited is not None:
                    part_of(request, Authenticator).limits.check_change(principal)
                request.scope[PRINCIPAL] = principal
                content = await body.read()

                async def receive() -> Message:
                    return {"type": "http.request", "body": content, "more_body": False}

                inner = _ReadRequest(request.scope, receive)
                if content and self.body_field is not None and _is_json(request.headers):
                    inner.value = json_of(content)
            except HANDLED as error:
                recorder.refused(request, principal, error)
                raise

            async def run() -> Response:
                return await recorder.run(inner, principal, inner.value, conditional)

            if takes_key:
                response = await run_once(request, principal, content, run)
            else:
                response = await run()
            response.headers["X-Request-Id"] = request_id
            return response

        return guarded


class BodyOnce:
    """The body of a request, which is read when it is first needed."""

    __slots__ = ("_content", "_limit", "_request")

    def __init__(self, request: Request, limit: int) -> None:
        """``limit``: bytes."""
        self._request = request
        self._limit = limit
        self._content: bytes | None = None

    async def read(self) -> bytes:
        """The whole body. Raises what read_body raises."""
        if self._content is None:
            self._content = await read_body(self._request, self._limit)
        return self._content


async def caller(
    authenticator: Authenticator, request: Request, body: BodyOnce, *, live: bool = False
) -> Principal:
    """The caller of a request. ``live``: the request is for events of a stream, which a browser
    token opens, and nothing else. Raises the 401 problem, and 429 if it has failed too often or has
    sent too many requests."""
    scope = request.scope
    try:
        found = scope.pop(FOUND, None) or authenticator.authenticate(
            CallerRequest(scope, body.read)
        )
        if isinstance(found, Exception):
            raise found
        principal = found if isinstance(found, Principal) else await found
        if principal.method == "browser_token" and not live:
            raise Unauthenticated("a browser token opens streams and nothing else")
    except Unauthenticated as error:
        raise unauthenticated(error) from None
    quota = authenticator.limits.spend(principal)
    if quota is not None:
        scope[ANSWER_HEADERS] = quota.headers
    authenticator.limits.check_quota(quota)
    return principal


async def authorized_caller(
    authenticator: Authenticator,
    request: Request,
    body: BodyOnce,
    scope: str,
    operation: str,
    *,
    live: bool = False,
) -> Principal:
    """The caller of a request to a route that is no guarded one, and needs a scope. ``operation``:
    the route's name in the audit log, which records a refusal. Raises what :func:`caller` raises,
    and the 403 problem."""
    principal: Principal | None = None
    try:
        principal = await caller(authenticator, request, body, live=live)
        authorize(principal, scope)
    except HANDLED as error:
        request.scope[REQUEST_ID] = request_id_of(request.headers)
        CallRecorder(None, operation).refused(request, principal, error)
        raise
    return principal


def _declared(route: APIRoute, kind: type[Declared]) -> Declared | None:
    """What the parameters of a route's function declare of a kind; None if none does."""
    for dependency in route.dependant.dependencies:
        if isinstance(dependency.call, kind):
            return dependency.call
    return None


class _ReadRequest(Request):
    """A request whose JSON body was read already."""

    value: Any = None

    async def json(self) -> Any:
        return self.value


def _is_json(headers: Mapping[str, str]) -> bool:
    """Whether FastAPI would read the body as JSON, by its content type."""
    media = headers.get("content-type", "").partition(";")[0].strip().lower()
    kind, _, subtype = media.partition("/")
    return kind == "application" and (subtype == "json" or subtype.endswith("+json"))
