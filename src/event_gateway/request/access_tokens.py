"""Access tokens: fetches them from authorization servers, caches them, renews them in time.

Webhooks with the same client, scope, audience and parameters share a source (RFC 6749, 4.4 and 5).
"""

import asyncio
import base64
import hashlib
import time
from itertools import chain
from urllib.parse import quote_plus, urlencode

import msgspec
import structlog

from event_gateway.core.webhook.auth.method import header_line
from event_gateway.core.webhook.security import Security
from event_gateway.request.redaction import redact
from event_gateway.transport.client import Failure, HttpClient, Response, parse_target
from event_gateway.transport.response_text import decode_body

log = structlog.get_logger(__name__)

MAX_SOURCES = 1024
TIMEOUT = 15.0  # seconds for a response of the authorization server
DEFAULT_LIFETIME = 300.0  # seconds, of a token without expires_in
MAX_LIFETIME = 86400.0  # seconds, even if expires_in is longer
RENEW_EARLY = 60.0  # seconds before its expiry, or a fifth of its lifetime if that is shorter
RETRY_AFTER = 2.0  # seconds after a failed request for a token


class TokenPending(Exception):
    """There is no token yet; ``source`` fetches it."""

    def __init__(self, source: "ClientTokens") -> None:
        super().__init__("no access token yet")
        self.source = source


class NoAccessToken(Exception):
    """The authorization server gave no token. The text says why, and holds no secret."""


class _TokenResponse(msgspec.Struct):
    access_token: str
    token_type: str = "Bearer"
    expires_in: float | str | None = None

    def __repr__(self) -> str:
        return "_TokenResponse(…)"


class _ErrorResponse(msgspec.Struct):
    error: str
    error_description: str = ""

    def __repr__(self) -> str:  # a server may repeat the secret that it received
        return "_ErrorResponse(…)"


class ClientTokens:
    """The tokens of one client for one scope, audience and set of parameters."""

    def __init__(self, http: HttpClient, method: Security, secret: str) -> None:
        """``method`` names the authorization server, the client and the scope; ``secret`` is the
        client's. Raises ValueError if requests cannot be sent to the token URL."""
        self._http = http
        self._target = parse_target(method.token_url)
        form = {"grant_type": "client_credentials"}
        if method.scope:
            form["scope"] = method.scope
        if method.audience:
            form["audience"] = method.audience
        form |= method.params
        identity = b""
        plain = base64.b64encode(f"{method.client_id}:{secret}".encode()).decode()
        self._hidden = {secret, quote_plus(secret), plain}
        if method.client_auth == "body":
            form |= {"client_id": method.client_id, "client_secret": secret}
        else:
            pair = f"{quote_plus(method.client_id)}:{quote_plus(secret)}"
            encoded = base64.b64encode(pair.encode()).decode()
            self._hidden.add(encoded)
            identity = header_line("Authorization", f"Basic {encoded}")
        self._body = urlencode(form).encode()
        self._head = (
            b"POST %b HTTP/1.1\r\nhost: %b\r\naccept: application/json\r\n"
            b"accept-encoding: identity\r\n%b"
            b"content-type: application/x-www-form-urlencoded\r\ncontent-length: %d\r\n\r\n"
        ) % (self._target.path.encode(), self._target.host_header, identity, len(self._body))
        self._token = ""
        self._line = b""
        self._expires_at = 0.0
        self._renew_at = 0.0
        self._refused: tuple[str, float] = ("", 0.0)  # the reason, and when to ask again
        self._request: asyncio.Future[None] | None = None

    def line(self) -> bytes:
        """The header line with the token. Raises TokenPending if there is no valid token."""
        now = time.monotonic()
        if not self._line or now >= self._expires_at:
            raise TokenPending(self)
        if now >= self._renew_at and self._request is None:
            self._start_request()  # the present token is used until the response is there
        return self._line

    def reject(self, head: bytes) -> None:
        """Drops the token in this request head: a receiver has refused it."""
        if self._line and self._line in head:
            self._line, self._token = b"", ""

    async def fetch(self) -> None:
        """Returns once there is a token. Concurrent callers share one request.

        Raises NoAccessToken.
        """
        if self._line and time.monotonic() < self._expires_at:
            return
        if self._request is None:
            why, until = self._refused
            if time.monotonic() < until:
                raise NoAccessToken(why)
            self._start_request()
        assert self._request is not None
        await asyncio.shield(self._request)
        if not self._line:
            raise NoAccessToken(self._refused[0])

    def _start_request(self) -> None:
        self._request = asyncio.get_running_loop().create_future()
        self._http.post(self._target, self._head, self._body, TIMEOUT, self._answered)

    def _answered(self, result: Response | Failure) -> None:
        request, self._request = self._request, None
        now = time.monotonic()
        try:
            token, lifetime = self._parse(result)
            self._line = header_line("Authorization", f"Bearer {token}")
        except (NoAccessToken, ValueError) as error:
            why = f"{self._target.host} gave no access token: {error}"
            self._refused = (why, now + RETRY_AFTER)
            self._renew_at = now + RETRY_AFTER
            log.warning("no access token", endpoint=self._target.host, reason=str(error))
        else:
            self._token = token
            self._expires_at = now + lifetime - min(5.0, lifetime / 10)
            self._renew_at = now + lifetime - min(RENEW_EARLY, lifetime / 5)
        if request is not None and not request.done():
            request.set_result(None)

    def _parse(self, result: Response | Failure) -> tuple[str, float]:
        """The token and its lifetime in seconds. Raises NoAccessToken."""
        if isinstance(result, Failure):
            raise NoAccessToken(f"{result.error_type}, {result.message}")
        decode_body(result)
        if result.status != 200:
            detail = ""
            try:
                error = msgspec.json.decode(result.body, type=_ErrorResponse)
                detail = f", {error.error} {error.error_description}"
            except msgspec.DecodeError:
                pass
            # Redacted before it is cut: the first part of a secret would not be recognized.
            detail = redact({*self._hidden, self._token}, detail)[:200].rstrip()
            raise NoAccessToken(f"HTTP {result.status}{detail}")
        try:
            answer = msgspec.json.decode(result.body, type=_TokenResponse)
            lifetime = DEFAULT_LIFETIME if answer.expires_in is None else float(answer.expires_in)
        except (msgspec.DecodeError, ValueError):
            raise NoAccessToken("its answer is not understood") from None
        if answer.token_type.lower() != "bearer" or not answer.access_token:
            raise NoAccessToken("its answer holds no bearer token")
        if not lifetime > 0:  # also refuses NaN
            raise NoAccessToken("its token has expired already")
        return answer.access_token, min(lifetime, MAX_LIFETIME)


class AccessTokens:
    """The token sources of this process, at most :data:`MAX_SOURCES`."""

    def __init__(self, http: HttpClient) -> None:
        self._http = http
        self._sources: dict[tuple[str, ...], ClientTokens] = {}

    def source(self, method: Security, secret: str) -> ClientTokens:
        """The source for a token request and a secret. Raises ValueError if requests cannot be
        sent to the token URL."""
        digest = hashlib.sha256(secret.encode()).hexdigest()
        key = (
            method.token_url, method.client_id, method.scope, method.client_auth, method.audience,
            *chain.from_iterable(sorted(method.params.items())), digest,
        )  # fmt: skip
        source = self._sources.get(key)
        if source is None:
            source = self._sources[key] = ClientTokens(self._http, method, secret)
            if len(self._sources) > MAX_SOURCES:  # its users still hold the dropped source
                del self._sources[next(iter(self._sources))]
        return source
