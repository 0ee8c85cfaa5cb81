"""``POST /v1/sources/{name}``: takes in the webhooks of third parties.

Callers prove themselves to the source, and to nobody else: these routes need no key of the gateway.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

from event_gateway.api.access.caller_request import CallerRequest
from event_gateway.api.access.mtls import ClientCertificates
from event_gateway.api.routes.events import known_headers, trace_of
from event_gateway.api.server import problem_types
from event_gateway.api.server.bodies import read_body
from event_gateway.api.server.problems import Problem
from event_gateway.api.server.state import ApiState
from event_gateway.broker.event_log import LogFull
from event_gateway.broker.registry import Registry
from event_gateway.core.access.client_certificate import ClientCertificate
from event_gateway.core.errors import NotRegistered
from event_gateway.core.sources.definition import SourceDefinition
from event_gateway.core.sources.inbound import Inbound
from event_gateway.core.sources.provider import Answer, Refused
from event_gateway.core.sources.providers import PROVIDERS
from event_gateway.ingest.provider_documents import TooManyDocuments
from event_gateway.ingest.source_requests import SourceRequests
from event_gateway.transport.document import NotFetched

PATH = "/v1/sources/{name}"
MAX_AT_WORK = 128  # requests of a process that are read and verified at a time
SLOW = 2.0  # seconds for a body, after which its request makes room for another one
LIMIT = "source_requests"  # its name in the metrics
_STATUS = {
    "signature": 401,
    "time": 401,
    "malformed": 400,
    "unconfigured": 503,
    "not_allowed": 403,
    "rejected": 422,
}
_CHALLENGES = {"basic": 'Basic realm="event-gateway"'}
_CREDENTIALS = frozenset((b"authorization", b"x-api-key", b"webhook-key-id"))


class SourceEndpoint:
    """The routes. ``certificates``: of clients; ``limit_reached`` counts that a limit refused a
    request."""

    def __init__(
        self,
        registry: Registry,
        sources: SourceRequests,
        state: ApiState,
        *,
        certificates: ClientCertificates,
        limit_reached: Callable[[str], None],
    ) -> None:
        self._registry = registry
        self._sources = sources
        self._state = state
        self._certificates = certificates
        self._limit_reached = limit_reached
        self._at_work = 0
        self._reading: dict[asyncio.Timeout, float] = {}  # since when, the oldest first

    def routes(self) -> list[Route]:
        """The routes, which must come before those that need a key."""
        return [
            Route(PATH, self.post, methods=["POST"]),
            Route(PATH, self.options, methods=["OPTIONS"]),
            _WithoutCredential(PATH, self.check, self._certificates.names_caller),
        ]

    async def post(self, request: Request) -> Response:
        """Takes a request in; answers 200 once the log has confirmed its events."""
        definition = self._source_of(request)
        if self._state.draining:
            detail = "the gateway is shutting down: the request was not taken, send it again"
            raise Problem(problem_types.SHUTTING_DOWN, detail, {"Retry-After": "2"},
                          outcome="not taken")  # fmt: skip
        if self._at_work >= MAX_AT_WORK and not self._makes_room():
            raise self._too_many(definition)
        self._at_work += 1
        try:
            return await self._take(definition, request)
        finally:
            self._at_work -= 1

    async def check(self, request: Request) -> Response:
        """Says that there is a source: some providers look whether the URL answers before they
        send. Tells nothing else."""
        self._source_of(request)
        return Response(None, 200)

    async def options(self, request: Request) -> Response:
        """Whether the caller may send events (HTTP 1.1 Web Hooks for Event Delivery 1.0.2,
        section 4)."""
        definition = self._source_of(request)
        headers = {"Allow": "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"}  # with a key, too
        origin = request.headers.get("webhook-request-origin")
        if origin is not None:
            inbound = self._inbound(request, b"")
            listed = self._state.allowed_origins & {origin, "*"}
            if listed or await self._sources.may_ask(definition, inbound):
                headers |= {"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "*"}
        return Response(None, 200, headers)

    async def _take(self, definition: SourceDefinition, request: Request) -> Response:
        encoding = request.headers.get("content-encoding", "identity")
        if encoding.lower() != "identity":
            raise Problem(415, f"content-encoding {encoding[:32]} is not supported")
        inbound = self._inbound(request, await self._body(definition, request))
        trace = trace_of(known_headers(request.scope["headers"]))
        outcome = await answered(self._sources.receive(definition, inbound, trace), definition)
        if isinstance(outcome, Answer):
            return _response(outcome)
        if outcome.answer is not None:
            return _response(outcome.answer)
        duplicates = sum(ack.duplicate for ack in outcome.appended)
        shown = {"accepted": len(outcome.appended) - duplicates, "duplicates": duplicates}
        return Response(json.dumps(shown), 200, media_type="application/json")

    async def _body(self, definition: SourceDefinition, request: Request) -> bytes:
        try:
            async with asyncio.timeout(None) as reading:
                self._reading[reading] = asyncio.get_running_loop().time()
                try:
                    return await read_body(request, self._state.max_body)
                finally:
                    self._reading.pop(reading, None)
        except TimeoutError:
            raise self._too_many(definition) from None

    def _makes_room(self) -> bool:
        """Ends the request whose body has been awaited for longest, if that is slow: its sender is
        not verified, and must not keep others from sending theirs."""
        now = asyncio.get_running_loop().time()
        reading, since = next(iter(self._reading.items()), (None, now))
        if reading is None or now - since < SLOW:
            return False
        del self._reading[reading]
        reading.reschedule(now)
        return True

    def _too_many(self, definition: SourceDefinition) -> Problem:
        self._limit_reached(LIMIT)
        detail = "too many requests to sources are at work, send it again"
        return Problem(PROVIDERS[definition.type].too_many, detail, {"Retry-After": "1"})

    def _source_of(self, request: Request) -> SourceDefinition:
        name = request.path_params["name"]
        definition = self._registry.sources.get(name)
        if definition is None:
            raise NotRegistered(f"there is no source {name[:64]}")
        if not definition.enabled:
            raise Problem(503, f"the source {name} is not enabled", {"Retry-After": "60"})
        return definition

    def _inbound(self, request: Request, body: bytes) -> Inbound:
        return inbound_of(request, body, self._certificates.trusted)


async def answered(outcome: Awaitable[Any], definition: SourceDefinition) -> Any:
    """What a request to a source comes to. Raises Problems for refusals; those that the provider
    can do nothing about have a status after which it sends the request again."""
    try:
        return await outcome
    except Refused as refused:
        headers = {}
        status = _STATUS[refused.reason]
        if status == 401:
            headers = {"WWW-Authenticate": _CHALLENGES.get(definition.type, "Signature")}
        elif status == 503:
            headers = {"Retry-After": "60"}
        raise Problem(status, refused.detail, headers, reason=refused.reason) from None
    except TooManyDocuments as error:
        status = PROVIDERS[definition.type].too_many
        raise Problem(status, f"{error}: send it again", {"Retry-After": "60"}) from None
    except NotFetched as error:
        detail = f"the request cannot be verified now: {error}"
        raise Problem(503, detail, {"Retry-After": "10"}) from None
    except LogFull as error:
        # Providers repeat a request after 503; 507 is a status that some of them do not know.
        detail = f"the log is full: {error}"
        raise Problem(503, detail, {"Retry-After": "60"}, outcome="not taken") from None


def inbound_of(
    request: Request, body: bytes, certificate: Callable[[CallerRequest], ClientCertificate | None]
) -> Inbound:
    """A request as sources take it."""

    seen = CallerRequest(request.scope, _no_body)
    headers: dict[str, str] = {}
    for name, value in request.scope["headers"]:
        key, text = name.decode("latin-1"), _text(value)
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    target = seen.target.decode("latin-1")
    return Inbound(
        method=request.method,
        target=target,
        url=f"{seen.scheme}://{headers.get('host', '')}{target}",
        headers=headers,
        body=body,
        received_at=time.time(),
        certificate=certificate(seen),
    )


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _response(answer: Answer) -> Response:
    media_type = (
        answer.media_type if answer.body or answer.media_type != "application/json" else None
    )
    return Response(answer.body, answer.status, dict(answer.headers), media_type)


class _WithoutCredential(Route):
    """A route for ``GET`` without a credential: requests with one get the source's definition.
    ``names_caller``: whether a client certificate is a credential."""

    def __init__(
        self,
        path: str,
        endpoint: Callable[[Request], Awaitable[Response]],
        names_caller: Callable[[CallerRequest], bool],
    ) -> None:
        super().__init__(path, endpoint, methods=["GET"])
        self._names_caller = names_caller

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """None for requests with a credential."""
        match, child = super().matches(scope)
        if match is Match.NONE or not _has_credential(scope, self._names_caller):
            return match, child
        return Match.NONE, {}


def _has_credential(scope: Scope, names_caller: Callable[[CallerRequest], bool]) -> bool:
    if any(name in _CREDENTIALS for name, _ in scope["headers"]):
        return True
    return names_caller(CallerRequest(scope, _no_body))


async def _no_body() -> bytes:
    return b""
