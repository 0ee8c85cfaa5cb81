"""What every request must pass, and what every answer has, whatever page it is.

Forms: a browser says where a request that changes something comes from (``Sec-Fetch-Site``, or
``Origin``), and only the console's own pages may send one. The cookie is ``SameSite=Lax``, and the
form repeats a token of the session, which :mod:`event_gateway.console.page_request` checks.
"""

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY = 1024 * 1024 + 64 * 1024  # bytes of a form: the largest event that the gateway takes
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_SAFE = ("GET", "HEAD")


class Guard:
    """Refuses forms of other sites and large bodies, and adds the headers of security."""

    def __init__(self, app: ASGIApp, *, secure: bool, public_url: str | None) -> None:
        """``public_url``: the console's own address, where a proxy changes the header Host."""
        self._app = app
        self._secure = secure
        self._own = None if public_url is None else urlsplit(public_url).netloc

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request (ASGI)."""
        if scope["type"] != "http":
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add_headers(MutableHeaders(scope=message))
            await send(message)

        refusal = self._refusal(scope["method"], Headers(scope=scope))
        app = self._app if refusal is None else refusal
        await app(scope, receive, send_guarded)

    def _refusal(self, method: str, headers: Headers) -> PlainTextResponse | None:
        if method in _SAFE:
            return None
        if not self._is_own(headers):
            return PlainTextResponse("This form was not sent by a page of this console.", 403)
        if int(headers.get("content-length") or 0) > MAX_BODY:
            return PlainTextResponse("The form is larger than the console takes.", 413)
        return None

    def _is_own(self, headers: Headers) -> bool:
        site = headers.get("sec-fetch-site")
        if site is not None:
            return site == "same-origin"
        origin = urlsplit(headers.get("origin", ""))
        return bool(origin.netloc) and origin.netloc in (headers.get("host"), self._own)

    def _add_headers(self, headers: MutableHeaders) -> None:
        headers["Content-Security-Policy"] = POLICY
        headers["X-Content-Type-Options"] = "nosniff"
        # With no-referrer, browsers send "Origin: null" with the console's own forms.
        headers["Referrer-Policy"] = "same-origin"
        headers["Cross-Origin-Opener-Policy"] = "same-origin"
        headers.setdefault("Cache-Control", "no-store")
        if self._secure:
            headers["Strict-Transport-Security"] = "max-age=31536000"
