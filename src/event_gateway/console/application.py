"""The application of a console process: pages, sign-in, assets."""

import contextlib
import functools
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from event_gateway.client import GatewayError, GatewayUnreachable
from event_gateway.console.assets import Assets
from event_gateway.console.failures import described
from event_gateway.console.gateway_connection import GatewayConnection
from event_gateway.console.guard import Guard
from event_gateway.console.links import OneTimeLinks
from event_gateway.console.oidc import Oidc
from event_gateway.console.page_group import PageGroup, PageRoute
from event_gateway.console.page_request import (
    FormRefused,
    HiddenFieldRefused,
    PageRequest,
    check_token,
    read_form,
    render,
)
from event_gateway.console.pages import GROUPS
from event_gateway.console.rendering import templates
from event_gateway.console.renewal import Renewal
from event_gateway.console.sealing import sealer_in
from event_gateway.console.sessions import Session, Sessions, SessionTooLarge
from event_gateway.console.settings import ConsoleSettings
from event_gateway.console.sign_in import SignIn

log = structlog.get_logger(__name__)


class Console:
    """Answers all requests. ``port``: on which it listens, which tells its cookies from those of
    other consoles on the host. Raises OSError if the directory or the logo cannot be used."""

    def __init__(self, settings: ConsoleSettings, port: int) -> None:
        directory = Path(settings.directory)
        sealer = sealer_in(directory)
        secure = settings.tls_cert is not None or (settings.public_url or "").startswith("https:")
        self._sessions = Sessions(
            sealer, name=f"eg-console-{port}", secure=secure, lifetime=settings.session
        )
        assets = Assets(settings.logo)
        self._templates = templates(settings.name, assets, GROUPS)
        self._connection = GatewayConnection(settings)
        self._oidc = None
        if settings.oidc is not None:
            self._oidc = Oidc(
                settings.oidc, sealer=sealer, cookie=f"eg-console-{port}-oidc", secure=secure,
                public_url=settings.public_url,
            )  # fmt: skip
        self._renewal = Renewal(self._oidc, self._connection)
        self._sign_in = SignIn(
            settings,
            connection=self._connection,
            sessions=self._sessions,
            links=OneTimeLinks(directory, sealer),
            templates=self._templates,
            oidc=self._oidc,
        )
        app = Starlette(
            routes=[
                Route("/assets/{version}/{name:path}", assets.get),
                Route("/healthz", _alive),
                *self._sign_in.routes(),
                *(self._route(group, each) for group in GROUPS for each in group.routes),
            ],
            exception_handlers={HTTPException: self._on_http_error},
        )
        self.asgi: ASGIApp = Guard(app, secure=secure, public_url=settings.public_url)

    async def close(self) -> None:
        """Closes the connections to the gateway."""
        await self._connection.close()
        if self._oidc is not None:
            await self._oidc.close()

    def _route(self, group: PageGroup, route: PageRoute) -> Route:
        method = "POST" if route.changes else "GET"
        answer = functools.partial(self._answer, group, route)
        return Route(route.path, _named(answer), methods=[method])

    async def _answer(self, group: PageGroup, route: PageRoute, request: Request) -> Response:
        try:
            return await self._respond(group, route, request)
        except Exception as error:
            log.error("a page failed", path=request.url.path, exc_info=error)
            return self._page(
                status=500, title="The console failed",
                detail="This is a fault of the console; its log has the details.",
                remedy="The gateway and its deliveries are not affected.",
            )  # fmt: skip

    async def _respond(self, group: PageGroup, route: PageRoute, request: Request) -> Response:
        found = self._sessions.read(request.cookies)
        if found is None:
            return self._to_sign_in(request)
        session = await self._renewal.current(found)
        if session is None:
            response = self._to_sign_in(request, ended=True)
            self._sessions.clear(response, request.cookies)
            return response
        response = await self._page_of(group, route, request, session)
        if session is not found and not self._sessions.wrote(response):
            with contextlib.suppress(SessionTooLarge):  # then the user signs in again
                self._sessions.write(response, session, request.cookies)
        return response

    async def _page_of(
        self, group: PageGroup, route: PageRoute, request: Request, session: Session
    ) -> Response:
        gateway = self._connection.client(session.key)
        try:
            form = {}
            if route.changes:
                form = await read_form(request)
                check_token(session, request, form)
            page_request = PageRequest(
                http_request=request, session=session, sessions=self._sessions, gateway=gateway,
                caller=await gateway.show_caller(), templates=self._templates, group=group,
                groups=GROUPS, form=form,
            )  # fmt: skip
        except FormRefused as error:
            return self._page(
                status=403, title="Not done", detail=f"The console refused the form: {error}.",
                remedy="Nothing was changed.",
            )  # fmt: skip
        except (GatewayError, GatewayUnreachable) as error:
            return self._failed(request, error)
        try:
            return await route.handler(page_request)
        except HiddenFieldRefused as error:
            return await page_request.render(
                "error.html", status=400, title="Not done", errors=[], retry=False,
                detail=f"The console refused the form: {error}.",
                remedy="Nothing was changed. Load the page again and repeat your change.",
            )  # fmt: skip
        except GatewayError as error:
            if error.status == 401:
                return self._failed(request, error)
            about = described(error)
            if error.status == 404 and request.headers.get("hx-target") == "results":
                about["status"] = 422  # a filter names what there is not: htmx shows that, too
            return await page_request.render("error.html", **about)
        except GatewayUnreachable as error:
            return self._failed(request, error)

    def _failed(self, request: Request, error: GatewayError | GatewayUnreachable) -> Response:
        """The answer where the caller is not known."""
        if isinstance(error, GatewayError) and error.status == 401:
            response = self._to_sign_in(request, ended=True)
            self._sessions.clear(response, request.cookies)
            return response
        return self._page(**described(error))

    def _to_sign_in(self, request: Request, *, ended: bool = False) -> Response:
        """Leads to the sign-in page, which leads back. A part of a page has the page lead there; a
        form was not carried out, and gets the sign-in page for its answer."""
        if request.headers.get("hx-request"):
            url = self._sign_in.url(request, ended=ended)
            return Response(status_code=401, headers={"HX-Redirect": url})
        if request.method == "POST":
            return self._sign_in.in_place_of_form(request)
        return RedirectResponse(self._sign_in.url(request, ended=ended), 303)

    def _page(self, *, status: int, title: str, detail: str, remedy: str = "",
              errors: object = (), retry: bool = False) -> Response:  # fmt: skip
        return render(
            self._templates, "failure.html", status, user=None, flash=None, nav=[], group=None,
            title=title, detail=detail, remedy=remedy, errors=errors, retry=retry,
        )  # fmt: skip

    async def _on_http_error(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        if status == 404:
            return self._page(
                status=404, title="No such page", detail="The console has no page at this address.",
                remedy="The navigation leads to all pages.",
            )  # fmt: skip
        return PlainTextResponse(str(getattr(error, "detail", "")), status)


async def _alive(request: Request) -> Response:
    return PlainTextResponse("ok")


def _named(
    answer: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    """Starlette takes a function for an endpoint, and a partial for an ASGI application."""

    async def endpoint(request: Request) -> Response:
        return await answer(request)

    return endpoint
