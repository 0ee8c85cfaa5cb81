"""Access tokens: fetched from authorization servers, kept, and renewed before they end.

One source for each client and scope, whatever number of webhooks uses it (RFC 6749, 4.4 and 5).
"""

import asyncio
import base64
import hashlib
import time
from urllib.parse import quote_plus, urlencode

import msgspec
import structlog

from event_gateway.core.webhook.auth.method import header_line
from event_gateway.core.webhook.security import Security
from event_gateway.request.redaction import without
from event_gateway.transport.client import Failure, HttpClient, Response, parse_target

log = structlog.get_logger(__name__)

MAX_SOURCES = 1024
TIMEOUT = 15.0  # seconds for an answer of the authorization server
LIFETIME = 300.0  # seconds, of a token of which nothing is said
LONGEST = 86400.0  # seconds for which a token is used, whatever is said
EARLY = 60.0  # seconds before its end at which a token is renewed, or a fifth of its life
AGAIN = 2.0  # seconds until a server that gave none is asked again


class TokenPending(Exception):
    """There is no token yet; ``source`` fetches it."""

    def __init__(self, source: "TokenSource") -> None:
        super().__init__("no access token yet")
        self.source = source


class TokenRefused(Exception):
    """The authorization server gave no token, and why; nothing secret is in it."""


class _Answer(msgspec.Struct):
    access_token: str
    token_type: str = "Bearer"
    expires_in: float | str | None = None

    def __repr__(self) -> str:
        return "_Answer(…)"


class _Error(msgspec.Struct):
    error: str
    error_description: str = ""

    def __repr__(self) -> str:  # it may repeat what was sent
        return "_Error(…)"


class TokenSource:
    """The tokens of one client for one scope."""

    def __init__(self, http: HttpClient, method: Security, secret: str) -> None:
        """Raises ValueError where the token URL cannot be sent to."""
        self._http = http
        self._target = parse_target(method.token_url)
        form = {"grant_type": "client_credentials"}
        if method.scope:
            form["scope"] = method.scope
        identity = b""
        plain = base64.b64encode(f"{method.client_id}:{secret}".encode()).decode()
        self._hidden = {secret, quote_plus(secret), plain}
        if method.client_auth == "body":
            form |= {"client_id": method.client_id, "client_secret": secret}
        else:
            both = f"{quote_plus(method.client_id)}:{quote_plus(secret)}"
            encoded = base64.b64encode(both.encode()).decode()
            self._hidden.add(encoded)
            identity = header_line("Authorization", f"Basic {encoded}")
        self._body = urlencode(form).encode()
        self._head = (
            b"POST %b HTTP/1.1\r\nhost: %b\r\naccept: application/json\r\n%b"
            b"content-type: application/x-www-form-urlencoded\r\ncontent-length: %d\r\n\r\n"
        ) % (self._target.path.encode(), self._target.host_header, identity, len(self._body))
        self._token = ""
        self._line = b""
        self._ends = 0.0
        self._renew_at = 0.0
        self._refused: tuple[str, float] = ("", 0.0)  # why, and until when nobody asks again
        self._asking: asyncio.Future[None] | None = None

    def line(self) -> bytes:
        """The header line with the token. Raises TokenPending where there is none that is good."""
        now = time.monotonic()
        if not self._line or now >= self._ends:
            raise TokenPending(self)
        if now >= self._renew_at and self._asking is None:
            self._start_request()  # meanwhile the one at hand is good
        return self._line

    def reject(self, head: bytes) -> None:
        """A receiver did not take the token in that request: it is not used again."""
        if self._line and self._line in head:
            self._line, self._token = b"", ""

    async def fetch(self) -> None:
        """Returns once there is a token; who asks at the same time waits for the same answer.

        Raises TokenRefused.
        """
        if self._line and time.monotonic() < self._ends:
            return
        if self._asking is None:
            why, until = self._refused
            if time.monotonic() < until:
                raise TokenRefused(why)
            self._start_request()
        assert self._asking is not None
        await asyncio.shield(self._asking)
        if not self._line:
            raise TokenRefused(self._refused[0])

    def _start_request(self) -> None:
        self._asking = asyncio.get_running_loop().create_future()
        self._http.post(self._target, self._head, self._body, TIMEOUT, self._answered)

    def _answered(self, result: Response | Failure) -> None:
        asking, self._asking = self._asking, None
        now = time.monotonic()
        try:
            token, lifetime = self._taken(result)
            self._line = header_line("Authorization", f"Bearer {token}")
        except (TokenRefused, ValueError) as error:
            why = f"{self._target.host} gave no access token: {error}"
            self._refused = (why, now + AGAIN)
            self._renew_at = now + AGAIN
            log.warning("no access token", endpoint=self._target.host, why=str(error))
        else:
            self._token = token
            self._ends = now + lifetime - min(5.0, lifetime / 10)
            self._renew_at = now + lifetime - min(EARLY, lifetime / 5)
        if asking is not None and not asking.done():
            asking.set_result(None)

    def _taken(self, result: Response | Failure) -> tuple[str, float]:
        """Token and lifetime in seconds. Raises TokenRefused."""
        if isinstance(result, Failure):
            raise TokenRefused(f"{result.error_type}, {result.message}")
        if result.status != 200:
            said = ""
            try:
                error = msgspec.json.decode(result.body, type=_Error)
                said = f", {error.error} {error.error_description}"
            except msgspec.DecodeError:
                pass
            # First hidden, then cut: the beginning of a secret would not be known as one.
            said = without({*self._hidden, self._token}, said)[:200].rstrip()
            raise TokenRefused(f"HTTP {result.status}{said}")
        try:
            answer = msgspec.json.decode(result.body, type=_Answer)
            lifetime = LIFETIME if answer.expires_in is None else float(answer.expires_in)
        except (msgspec.DecodeError, ValueError):
            raise TokenRefused("its answer is not understood") from None
        if answer.token_type.lower() != "bearer" or not answer.access_token:
            raise TokenRefused("its answer holds no bearer token")
        if not lifetime > 0:  # not a number, either
            raise TokenRefused("its token has ended already")
        return answer.access_token, min(lifetime, LONGEST)


class AccessTokens:
    """All sources of this process."""

    def __init__(self, http: HttpClient) -> None:
        self._http = http
        self._sources: dict[tuple[str, ...], TokenSource] = {}

    def source(self, method: Security, secret: str) -> TokenSource:
        """The one for a client, a scope and a secret. Raises ValueError as it does."""
        digest = hashlib.sha256(secret.encode()).hexdigest()
        key = (method.token_url, method.client_id, method.scope, method.client_auth, digest)
        source = self._sources.get(key)
        if source is None:
            source = self._sources[key] = TokenSource(self._http, method, secret)
            if len(self._sources) > MAX_SOURCES:  # whoever uses it keeps it
                del self._sources[next(iter(self._sources))]
        return source
