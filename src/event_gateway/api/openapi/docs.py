"""``/openapi.json``, ``/docs``, the page that shows it with assets of the package alone, and
``/problems/{code}``, a description of each type of problem."""

import asyncio
from collections.abc import Callable
from importlib import resources
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from event_gateway.api.access.authenticator import Authenticator
from event_gateway.api.access.guarded_route import BodyOnce, caller
from event_gateway.api.server.problem_reference import description
from event_gateway.api.server.problem_types import PATH as PROBLEMS
from event_gateway.api.server.problem_types import TYPES
from event_gateway.api.server.problems import Problem
from event_gateway.api.server.state import ApiState
from event_gateway.tasks import spawn

DOCUMENT, PAGE = "/openapi.json", "/docs"
_ASSETS = {
    "docs.css": "text/css; charset=utf-8",
    "docs.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
}
# Nothing from elsewhere, no inline script or style; the page may call this gateway.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cache-Control": "no-cache",
}
_ABSENT = "the gateway shows no documentation of its API: server.docs is off"


class Docs:
    """The routes. Whether the document needs a credential, ``server.docs`` says: the page and its
    assets are the same in every installation, and need none."""

    def __init__(
        self,
        authenticator: Authenticator,
        state: ApiState,
        make_document: Callable[[], dict[str, Any]],
    ) -> None:
        self._authenticator = authenticator
        self._state = state
        self._make_document = make_document
        self._document: asyncio.Task[bytes] | None = None  # from the first request on
        self._files: dict[str, bytes] = {}

    def routes(self) -> list[Route]:
        """The routes of the document, the page and its assets, and the types of problems."""
        return [
            Route(DOCUMENT, self.document, methods=["GET"]),
            Route(PAGE, self.page, methods=["GET"]),
            Route(f"{PAGE}/{{name}}", self.asset, methods=["GET"]),
            Route(f"{PROBLEMS}/{{code}}", self.problem_type, methods=["GET"]),
        ]

    async def document(self, request: Request) -> Response:
        """The OpenAPI document; with ``server.docs: key`` for everybody with a valid credential."""
        self._check_shown()
        if self._state.docs == "key":
            body = BodyOnce(request, self._state.max_body)
            await caller(self._authenticator, request, body)
        if self._document is None:
            self._document = spawn(asyncio.to_thread(self._encoded), name="openapi-document")
        # A caller that leaves does not end it for the others.
        document = await asyncio.shield(self._document)
        return Response(document, media_type="application/json")

    def _encoded(self) -> bytes:
        """Takes two thirds of a second of CPU, in which the event loop has other work."""
        return msgspec.json.encode(self._make_document())

    async def page(self, request: Request) -> Response:
        """The page, which asks for a key if the document needs it."""
        self._check_shown()
        return Response(
            self._file("docs.html"), headers=_PAGE_HEADERS, media_type="text/html; charset=utf-8"
        )

    async def asset(self, request: Request) -> Response:
        """A file of the page."""
        self._check_shown()
        name = request.path_params["name"]
        if name not in _ASSETS:
            raise Problem(404, "the documentation has no such file")
        return Response(self._file(name), headers=_PAGE_HEADERS, media_type=_ASSETS[name])

    async def problem_type(self, request: Request) -> Response:
        """What a type of problem means, and what to do: to this path the type points."""
        self._check_shown()
        kind = TYPES.get(request.path_params["code"])
        if kind is None:
            raise Problem(404, "there is no such type of problem")
        return Response(description(kind), media_type="text/plain; charset=utf-8")

    def _check_shown(self) -> None:
        if self._state.docs == "off":
            raise Problem(404, _ABSENT)

    def _file(self, name: str) -> bytes:
        if name not in self._files:
            folder = resources.files("event_gateway.api.openapi") / "assets"
            self._files[name] = (folder / name).read_bytes()
        return self._files[name]
