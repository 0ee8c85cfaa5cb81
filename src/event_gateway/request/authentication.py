"""Authentication at one webhook's receiver: header lines, client certificate, and redaction.

The auth methods themselves are declared in :mod:`event_gateway.core.webhook.auth`.
"""

from collections.abc import Callable

from event_gateway.core.webhook.auth import METHODS
from event_gateway.core.webhook.auth.method import Authenticator, AuthMethod
from event_gateway.core.webhook.error_type import AttemptErrorType
from event_gateway.core.webhook.security import Security, tls_files_of
from event_gateway.request.access_tokens import AccessTokens, ClientTokens
from event_gateway.request.redaction import redact
from event_gateway.request.request import Request, Unsendable
from event_gateway.secrets.named import Secrets
from event_gateway.transport.client import Response
from event_gateway.transport.tls_files import Identity, TlsFiles, Trust


class Authentication:
    """Applies a webhook's auth methods to its requests.

    ``ca``: the webhook's own authorities (a file), in place of those of ``trust``. ``identity`` is
    None where the webhook has neither them nor a client certificate; else it returns these files
    as they are now, and raises Unsendable where they cannot be used.
    """

    def __init__(
        self,
        security: tuple[Security, ...],
        secrets: Secrets,
        tokens: AccessTokens,
        *,
        ca: str = "",
        trust: Trust | None = None,
    ) -> None:
        self._security = security
        self._secrets = secrets
        self._tokens = tokens
        self._in_head = [
            (METHODS[settings.auth_type], settings, settings.secret_name or "")
            for settings in security
            if settings.auth_type in METHODS
            and METHODS[settings.auth_type].authenticator is not None
        ]
        # For each method its latest authenticator, and the secret values from which it was built.
        self._authenticators: list[tuple[tuple[str, ...], Authenticator] | None]
        self._authenticators = [None] * len(self._in_head)
        self.identity: Callable[[], Identity] | None = None
        files = tls_files_of(security, ca)
        if files is not None:
            self._files = TlsFiles(files, secrets.directory, secrets.is_private, trust)
            self._password = files.secret_name or ""  # the name of the secret
            self._files_error = (
                AttemptErrorType.AUTH_ERROR if files.cert else AttemptErrorType.TLS_ERROR
            )
            self.identity = self._identity

    def lines(self, message_id: bytes, timestamp: bytes, body: bytes) -> bytes:
        """The header lines of one request.

        Raises Unsendable where a secret is missing or unusable, TokenPending where an access token
        must be fetched first.
        """
        lines = b""
        for position, (method, settings, name) in enumerate(self._in_head):
            values = self._secrets.find(name)
            built = self._authenticators[position]
            if built is None or built[0] != values:
                built = self._authenticator(method, settings, name)
                lines += _checked(method, settings, built[1](message_id, timestamp, body))
                self._authenticators[position] = built
            else:
                lines += built[1](message_id, timestamp, body)
        return lines

    def reject_token(self, request: Request) -> ClientTokens | None:
        """Drops the access token in this request, which a receiver has refused.

        Returns the source of the next token; None if the webhook uses no access token.
        """
        for method, settings, name in self._in_head:
            if method.uses_token and (values := self._secrets.find(name)):
                source = self._tokens.source(settings, values[0])
                source.reject(request.head)
                return source
        return None

    def redact(self, request: Request, response: Response) -> None:
        """Hides this webhook's secrets in a response, since receivers may send back a request.

        The secrets are the present ones and those in the request, which may be older.
        """
        if not self._security:
            return
        hidden = self._hidden(request)
        body = response.body.decode("utf-8", "surrogateescape")
        body = redact(hidden, body, cut=response.truncated)
        response.body = body.encode("utf-8", "surrogateescape")
        lowered = hidden | {secret.lower() for secret in hidden}  # as header names are
        response.headers = {
            redact(lowered, name): redact(hidden, value) for name, value in response.headers.items()
        }

    def shown(self, request: Request, max_body: int) -> tuple[dict[str, str], str]:
        """Headers and body of a request as a user may see them, without this webhook's secrets.
        ``max_body``: the most bytes of the body."""
        hidden = self._hidden(request)
        headers: dict[str, str] = {}
        for line in request.head.decode("utf-8", "replace").split("\r\n")[1:]:
            name, colon, value = line.partition(": ")
            if colon:
                headers[name.lower()] = redact(hidden, value)
        cut = len(request.body) > max_body
        body = request.body[:max_body].decode("utf-8", "replace")
        return headers, redact(hidden, body, cut=cut)

    def _hidden(self, request: Request) -> set[str]:
        hidden: set[str] = set()
        in_header: dict[str, AuthMethod] = {}
        for settings in self._security:
            method = METHODS.get(settings.auth_type)
            if method is not None and method.header is not None and method.redaction.header:
                in_header[method.header(settings).lower()] = method
            for secret in self._secrets.find(settings.secret_name or ""):
                hidden |= {secret, *secret.split()}
                if method is not None:
                    hidden.update(method.redaction.from_secret(settings, secret))
        for line in request.head.decode("utf-8", "replace").split("\r\n"):
            name, _, value = line.partition(": ")
            if name in in_header:
                hidden |= {value, value.partition(" ")[2]}
                hidden.update(in_header[name].redaction.from_header(value))
        return hidden

    def _authenticator(
        self, method: AuthMethod, settings: Security, name: str
    ) -> tuple[tuple[str, ...], Authenticator]:
        assert method.authenticator is not None
        values = self._values(name)
        try:
            return values, method.authenticator(settings, values, self._tokens)
        except UnicodeError:  # its text may hold a part of the secret
            raise _auth_error(f"secret {name}: it is not UTF-8") from None
        except ValueError as error:
            raise _auth_error(f"secret {name}: {error}") from None

    def _values(self, name: str) -> tuple[str, ...]:
        values = self._secrets.find(name)
        if not values:
            raise Unsendable(AttemptErrorType.SECRET_MISSING, name)
        return values

    def _identity(self) -> Identity:
        password = self._values(self._password)[0] if self._password else None
        try:
            return self._files.identity(password)
        except UnicodeError:
            raise _auth_error(f"secret {self._password}: it is not UTF-8") from None
        except ValueError as error:
            raise Unsendable(self._files_error, str(error)) from None


def _checked(method: AuthMethod, settings: Security, line: bytes) -> bytes:
    """The line. Raises Unsendable unless it is one header of the declared name: others would not
    be redacted."""
    assert method.header is not None
    name, _, rest = line.partition(b": ")
    if name != method.header(settings).lower().encode() or rest.find(b"\r\n") != len(rest) - 2:
        raise _auth_error(f"{method.auth_type} sets another header than the one that it declares")
    return line


def _auth_error(message: str) -> Unsendable:
    return Unsendable(AttemptErrorType.AUTH_ERROR, message)
