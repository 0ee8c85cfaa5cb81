"""Signing in with an API key, a one-time link or an OpenID provider, and signing out."""

import time
from datetime import datetime
from urllib.parse import urlencode, urlsplit

from jinja2 import Environment
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from event_gateway.client import GatewayError, GatewayUnreachable
from event_gateway.console.failures import in_a_line
from event_gateway.console.gateway_connection import GatewayConnection
from event_gateway.console.links import PATH as ONCE
from event_gateway.console.links import OneTimeLinks
from event_gateway.console.oidc import CALLBACK, START, IssuedToken, Oidc, OidcFailed
from event_gateway.console.page_request import FormRefused, check_token, read_form, render
from event_gateway.console.sessions import Sessions, SessionTooLarge
from event_gateway.console.settings import ConsoleSettings
from event_gateway.core.access.failed_logins import FailedLogins
from event_gateway.core.access.forwarded import Client
from event_gateway.core.access.trusted_proxies import TrustedProxies

SIGN_IN, SIGN_OUT = "/sign-in", "/sign-out"
FAILURES, PERIOD = 10, 60.0  # failed attempts of an address, and seconds
MAX_KEY = 8192  # characters
MAX_TARGET = 1500  # characters: the cookie of a sign-in at a provider holds it
MAX_FORM = 64 * 1024  # bytes, of a client that is not signed in


class SignIn:
    """The pages for those who are not signed in yet."""

    def __init__(
        self,
        settings: ConsoleSettings,
        *,
        connection: GatewayConnection,
        sessions: Sessions,
        links: OneTimeLinks,
        templates: Environment,
        oidc: Oidc | None,
    ) -> None:
        """``oidc``: the provider with which users may sign in, too."""
        self._oidc = oidc
        self._provider = None if settings.oidc is None else urlsplit(settings.oidc.issuer).netloc
        self._connection = connection
        self._sessions = sessions
        self._links = links
        self._templates = templates
        self._proxies = TrustedProxies(settings.trusted_proxies, settings.client_address_header)
        self._failed = FailedLogins(FAILURES, PERIOD)

    def routes(self) -> list[Route]:
        """The routes of the pages."""
        return [
            Route(SIGN_IN, self.show, methods=["GET"]),
            Route(SIGN_IN, self.with_key, methods=["POST"]),
            Route(ONCE, self.with_link, methods=["GET"]),
            Route(START, self.with_provider, methods=["GET"]),
            Route(CALLBACK, self.from_provider, methods=["GET"]),
            Route(SIGN_OUT, self.sign_out, methods=["POST"]),
        ]

    def url(self, request: Request, *, ended: bool = False) -> str:
        """The page that leads back to the page of a request. ``ended``: it says that the key is not
        valid any more."""
        given = {"next": _page_of(request)}
        if given["next"] == "/":
            given = {}
        if ended:
            given["ended"] = "1"
        return SIGN_IN + (f"?{urlencode(given)}" if given else "")

    async def show(self, request: Request) -> Response:
        """The page."""
        if self._sessions.read(request.cookies) is not None:
            return RedirectResponse(_inside(request.query_params.get("next")), 303)
        message = None
        if request.query_params.get("ended"):
            message = "Your key is not valid any more, or your session has ended. Sign in again."
        return self._page(request.query_params.get("next"), message, 200)

    def in_place_of_form(self, request: Request) -> Response:
        """The page for a user whose session has ended before a form was sent. It leads back to
        the page of the form."""
        text = "Your session has ended, and nothing was changed. Sign in, and send the form again."
        return self._page(_page_of(request), text, 401)

    async def with_key(self, request: Request) -> Response:
        """Signs in with the key of the form."""
        try:
            form = await read_form(request, MAX_FORM)
        except FormRefused as error:
            return self._page(None, f"Refused: {error}.", 400)
        key = form.get("key", [""])[0].strip()
        target = form.get("next", [""])[0]
        wait = self._failed.wait(self._address(request), time.monotonic())
        if wait > 0:
            text = f"Too many attempts have failed. Try again in {wait:.0f} s."
            return self._page(target, text, 429)
        if not key or len(key) > MAX_KEY or not key.isascii() or not key.isprintable():
            return self._page(target, "Enter an API key of the gateway.", 422)
        return await self._enter(request, key, target)

    async def with_link(self, request: Request) -> Response:
        """Signs in with a one-time link. A client that only asks for headers, such as a preview of
        links, does not use it up."""
        if request.method != "GET":
            return Response(status_code=405, headers={"Allow": "GET"})
        link = self._links.take(request.query_params.get("token", ""))
        if link is None:
            text = "This link was used already, or its time is over. Sign in with an API key."
            return self._page(None, text, 403)
        response = await self._enter(request, link.key, None)
        if response.status_code >= 500:  # the gateway could not be asked
            link.give_back()
        else:
            link.used()
        return response

    async def with_provider(self, request: Request) -> Response:
        """Leads to the provider of OpenID Connect."""
        if self._oidc is None:
            return RedirectResponse(SIGN_IN, 303)
        target = _inside(request.query_params.get("next"))
        try:
            return await self._oidc.start(request, target)
        except OidcFailed as error:
            return self._page(target, str(error), 502)

    async def from_provider(self, request: Request) -> Response:
        """Signs in with what the provider gives."""
        if self._oidc is None:
            return RedirectResponse(SIGN_IN, 303)
        try:
            tokens, target = await self._oidc.finish(request)
        except OidcFailed as error:
            return self._page(None, str(error), 403)
        response: Response = self._page(None, "The provider gave no token.", 403)
        for token in tokens:
            response = await self._enter(
                request, token.text, target, what="the provider's token", token=token
            )
            if response.status_code != 401:
                break
        self._oidc.forget(response)
        return response

    async def sign_out(self, request: Request) -> Response:
        """Ends the session."""
        session = self._sessions.read(request.cookies)
        if session is not None:
            try:
                check_token(session, request, await read_form(request))
            except FormRefused as error:
                return self._page(None, f"Refused: {error}.", 403)
            if session.refresh is not None and self._oidc is not None:
                await self._oidc.revoke(session.refresh)
        response = RedirectResponse(SIGN_IN, 303)
        self._sessions.clear(response, request.cookies)
        return response

    async def _enter(
        self, request: Request, key: str, target: str | None, what: str = "this key",
        token: IssuedToken | None = None,
    ) -> Response:  # fmt: skip
        """Begins a session, if the gateway knows the key, which ``what`` names. ``token``: of the
        provider, which the key is."""
        try:
            caller = await self._connection.client(key).show_caller()
        except GatewayError as error:
            if error.status == 401:
                self._failed.failed(self._address(request), time.monotonic())
            text = f"The gateway does not know {what}." if error.status == 401 else None
            return self._page(target, text or in_a_line(error), error.status)
        except GatewayUnreachable as error:
            return self._page(target, in_a_line(error), 502)
        lifetime = None
        if caller["expires_at"] is not None:
            lifetime = datetime.fromisoformat(caller["expires_at"]).timestamp() - time.time()
        response = RedirectResponse(_inside(target), 303)
        try:
            if token is None:
                session = self._sessions.new(key, lifetime)
            else:
                session = self._sessions.new(key, lifetime, refresh=token.refresh, kind=token.kind)
            self._sessions.write(response, session, request.cookies)
        except SessionTooLarge:
            return self._page(target, "The token is too large for the cookies of a session.", 413)
        return response

    def _address(self, request: Request) -> str:
        """Whose failures are counted: the browser's address, behind proxies that are trusted."""
        if request.client is None:
            return ""
        peer = Client(request.client.host, request.url.scheme)
        return self._proxies.client(peer, request.headers.raw).address

    def _page(self, target: str | None, message: str | None, status: int) -> Response:
        return render(
            self._templates, "access/sign_in.html", status, user=None, nav=[], group=None,
            flash=None, message=message, target=_inside(target),
            oidc=self._provider,
        )  # fmt: skip


def _page_of(request: Request) -> str:
    """The path and query of the page that a request is for, or came from if it is for a part of one
    (htmx names it) or brings a form."""
    url = str(request.url)
    if request.method == "POST" or request.headers.get("hx-request"):
        url = request.headers.get("hx-current-url") or request.headers.get("referer", "/")
    parts = urlsplit(url)
    return _inside(parts.path + (f"?{parts.query}" if parts.query else ""))


def _inside(target: str | None) -> str:
    """A page of this console; the first one for anything else."""
    if not target or not target.startswith("/") or target.startswith(("//", "/\\", SIGN_IN)):
        return "/"
    if len(target) > MAX_TARGET:
        return "/"
    return target if target.isprintable() else "/"
