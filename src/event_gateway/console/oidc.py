"""Signing in with a provider of OpenID Connect: authorization code with PKCE (RFC 6749, RFC 7636).

The token that comes of it is the user's key for the gateway, which checks it as an issuer in
``auth.jwt`` says. The console checks what the flow itself needs: state, nonce, issuer and audience.
"""

import base64
import contextlib
import hashlib
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from event_gateway.console.sealing import Sealer
from event_gateway.console.settings import OidcSettings

START, CALLBACK = "/sign-in/oidc", "/sign-in/oidc/callback"
LIFETIME = 600.0  # seconds in which the user signs in at the provider
KEEP = 3600.0  # seconds for which the provider's document is kept
TIMEOUT = 15.0  # seconds


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token of a provider that may be a key of the gateway. ``kind``: its name in the answer;
    ``refresh``: with which the next one is asked for."""

    text: str = field(repr=False)
    kind: str
    refresh: str | None = field(default=None, repr=False)


class OidcFailed(Exception):
    """The sign-in did not succeed; the text says why, for the user."""


class OidcRefused(OidcFailed):
    """The provider has answered, and gives no token."""


class Oidc:
    """The flow with one provider. ``cookie``: the name of that of a flow; ``secure``: it is sent
    over HTTPS only; ``public_url``: the console's address, where it is not the one that browsers
    send."""

    def __init__(
        self,
        settings: OidcSettings,
        *,
        sealer: Sealer,
        cookie: str,
        secure: bool,
        public_url: str | None,
    ) -> None:
        self._settings = settings
        self._sealer = sealer
        self._cookie = cookie
        self._secure = secure
        self._public_url = public_url
        self._document: dict[str, Any] = {}
        self._read_at = 0.0
        self._http = httpx.AsyncClient(timeout=TIMEOUT)

    async def start(self, request: Request, target: str) -> Response:
        """Leads to the provider. ``target``: the page to go to afterwards. Raises OidcFailed."""
        document = await self._discover()
        flow = {
            "state": secrets.token_urlsafe(24),
            "nonce": secrets.token_urlsafe(24),
            "verifier": secrets.token_urlsafe(48),
            "target": target,
        }
        digest = hashlib.sha256(flow["verifier"].encode()).digest()
        query = urlencode(
            {
                "response_type": "code",
                "client_id": self._settings.client_id,
                "redirect_uri": self._redirect_uri(request),
                "scope": " ".join(self._settings.scopes),
                "state": flow["state"],
                "nonce": flow["nonce"],
                "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
                "code_challenge_method": "S256",
            }
        )
        place = str(document["authorization_endpoint"])
        response = RedirectResponse(f"{place}{'&' if '?' in place else '?'}{query}", 303)
        sealed = self._sealer.seal("oidc", flow, time.time() + LIFETIME)
        response.set_cookie(
            self._cookie, sealed, max_age=int(LIFETIME), path=START, httponly=True,
            samesite="lax", secure=self._secure,
        )  # fmt: skip
        return response

    async def finish(self, request: Request) -> tuple[list[IssuedToken], str]:
        """The tokens that the provider gives for its code, the likelier one for the API first, and
        the page to go to. Raises OidcFailed."""
        given = request.query_params
        flow = self._sealer.open("oidc", request.cookies.get(self._cookie, ""))
        state = given.get("state", "")
        if flow is None or not secrets.compare_digest(state.encode(), flow["state"].encode()):
            raise OidcFailed("This sign-in was not begun here, or took too long. Begin again.")
        if "error" in given:
            why = given.get("error_description") or given["error"]
            raise OidcFailed(f"The provider refused: {why[:300]}")
        document = await self._discover()
        if given.get("iss", document["issuer"]) != document["issuer"]:  # RFC 9207
            raise OidcFailed("The answer is from another provider.")
        tokens = await self._exchange(request, given.get("code", ""), flow["verifier"], document)
        claims = _claims(tokens.get("id_token"))
        audience = claims.get("aud")
        if (
            claims.get("nonce") != flow["nonce"]
            or claims.get("iss") != document["issuer"]
            or self._settings.client_id
            not in (audience if isinstance(audience, list) else [audience])
        ):
            raise OidcFailed("The provider's token is not for this sign-in.")
        found = _tokens(tokens)
        return [token for token in found if token.text.count(".") == 2] or found, flow["target"]

    async def refresh(self, kind: str, refresh: str) -> IssuedToken:
        """The next token (RFC 6749, section 6). Raises OidcRefused where the provider gives none
        any more, OidcFailed where it does not answer."""
        document = await self._discover()
        tokens = await self._ask(
            document, {"grant_type": "refresh_token", "refresh_token": refresh}
        )
        for token in _tokens(tokens, refresh):
            if token.kind == kind:
                return token
        raise OidcRefused("The provider gave no token.")

    async def revoke(self, refresh: str) -> None:
        """Tells the provider that the console does not need a token any more (RFC 7009), if it
        takes that."""
        with contextlib.suppress(OidcFailed, httpx.HTTPError):
            if place := (await self._discover()).get("revocation_endpoint"):
                form, auth = self._as_client({"token": refresh, "token_type_hint": "refresh_token"})
                await self._http.post(str(place), data=form, auth=auth)

    def forget(self, response: Response) -> None:
        """Has the browser forget the flow."""
        response.set_cookie(self._cookie, "", max_age=0, path=START, httponly=True,
                            samesite="lax", secure=self._secure)  # fmt: skip

    async def close(self) -> None:
        """Closes the connections to the provider."""
        await self._http.aclose()

    async def _exchange(
        self, request: Request, code: str, verifier: str, document: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Gives the code for tokens. The provider is asked directly and over TLS, which proves
        whose token it is (OpenID Connect Core, 3.1.3.7); the gateway checks its signature."""
        return await self._ask(
            document,
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": self._redirect_uri(request),
                "code_verifier": verifier,
            },
        )

    async def _ask(self, document: Mapping[str, Any], form: dict[str, str]) -> dict[str, Any]:
        """What the token endpoint answers."""
        given, auth = self._as_client(form)
        try:
            answer = await self._http.post(str(document["token_endpoint"]), data=given, auth=auth)
            tokens = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise OidcFailed(f"The provider does not answer: {type(error).__name__}.") from error
        if answer.status_code != 200 or not isinstance(tokens, dict):
            why = tokens.get("error", "") if isinstance(tokens, dict) else ""
            refused = answer.status_code < 500 and answer.status_code not in (408, 429)
            kind = OidcRefused if refused else OidcFailed
            raise kind(f"The provider gave no token: {answer.status_code} {why}".rstrip())
        return tokens

    def _as_client(self, form: dict[str, str]) -> tuple[dict[str, str], Any]:
        """A form with what proves who the console is: in it, or as credentials beside it."""
        secret = self._settings.client_secret
        if secret is None:
            return form | {"client_id": self._settings.client_id}, httpx.USE_CLIENT_DEFAULT
        return form, (self._settings.client_id, secret)

    async def _discover(self) -> dict[str, Any]:
        """The provider's document (OpenID Connect Discovery)."""
        if self._document and time.monotonic() - self._read_at < KEEP:
            return self._document
        issuer = self._settings.issuer
        try:
            answer = await self._http.get(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
            answer.raise_for_status()
            document = answer.json()
            places = [document[name] for name in ("authorization_endpoint", "token_endpoint")]
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise OidcFailed(
                f"The provider {issuer} cannot be used now: {type(error).__name__}."
            ) from error
        if document.get("issuer") != issuer:
            raise OidcFailed(f"The provider says that it is another than {issuer}.")
        if issuer.startswith("https:") and not all(str(at).startswith("https:") for at in places):
            raise OidcFailed("The provider has endpoints without TLS.")
        self._document, self._read_at = document, time.monotonic()
        return self._document

    def _redirect_uri(self, request: Request) -> str:
        base = self._public_url or f"{request.url.scheme}://{request.url.netloc}"
        return base.rstrip("/") + CALLBACK


def _tokens(answer: Mapping[str, Any], refresh: str | None = None) -> list[IssuedToken]:
    """The tokens of an answer, the likelier one for the API first. ``refresh``: what is still valid
    where the answer has no new one."""
    following = answer.get("refresh_token") or refresh
    return [
        IssuedToken(str(answer[kind]), kind, None if following is None else str(following))
        for kind in ("access_token", "id_token")
        if answer.get(kind)
    ]


def _claims(token: Any) -> dict[str, Any]:
    """The claims of an ID token; empty if it is none."""
    try:
        part = str(token).split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, IndexError):
        return {}
    return claims if isinstance(claims, dict) else {}
