"""The request that a receiver gets: head and body, made of a webhook, an event and an attempt."""

import base64
import hmac
import os
import re
import time
from collections.abc import Sequence
from random import getrandbits

import msgspec
import structlog

from event_gateway.core.cloudevents.binary_mode import goes_binary, to_binary
from event_gateway.core.cloudevents.event import Event, Received
from event_gateway.core.errors import ErrorType
from event_gateway.core.transformation.definition import TransformationError
from event_gateway.core.webhook.security import API_KEY_HEADER, Security
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.request import batch_body
from event_gateway.request.auth import AUTHENTICATORS, Authenticator
from event_gateway.request.auth.basic import credentials
from event_gateway.request.auth.header import without
from event_gateway.request.auth.tokens import Tokens, TokenSource
from event_gateway.request.transformations import BodyPending, PendingBody, Transformations
from event_gateway.secrets.named import Secrets
from event_gateway.transport.client import Response, Target, parse_target
from event_gateway.transport.client_certificate import ClientCertificate, Identity

log = structlog.get_logger(__name__)


class Unsendable(Exception):
    """No request can be made, for a reason of the gateway's own; the text holds no secret.
    ``final``: none could be made another time."""

    def __init__(self, error_type: ErrorType, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.final = final


class Request(msgspec.Struct):
    """One request as it is sent. ``identity`` is what its connection must be opened with."""

    head: bytes
    body: bytes
    identity: Identity | None = None

    def __repr__(self) -> str:  # the event loop writes what it cannot call into the log
        return f"Request({len(self.head)} + {len(self.body)} bytes)"


class RequestBuilders:
    """Makes the builder of each webhook. ``key`` is the installation's own; without
    ``transformations`` there are the built-in ones."""

    def __init__(
        self,
        secrets: Secrets,
        tokens: Tokens,
        key: bytes,
        version: str,
        transformations: Transformations | None = None,
    ) -> None:
        self.secrets = secrets
        self.tokens = tokens
        self.key = key
        self.version = version
        self.transformations = transformations or Transformations()

    def for_webhook(self, webhook: Webhook) -> "RequestBuilder":
        """The builder of a webhook as it is now."""
        return RequestBuilder(webhook, self)


class RequestBuilder:
    """Makes the requests of one webhook; what does not change is made once."""

    def __init__(self, webhook: Webhook, common: RequestBuilders) -> None:
        self.target: Target = parse_target(webhook.url)
        self._webhook = webhook
        self._common = common
        self._choose()
        self._mac = hmac.new(common.key, webhook.id.encode() + b"\0", "sha256")
        lines = "".join(f"{name}: {value}\r\n" for name, value in webhook.headers.items())
        if webhook.verify and webhook.verified is not None:
            # The one that the receiver has agreed to, whatever the gateway is called by now.
            lines += f"WebHook-Request-Origin: {webhook.verified.origin}\r\n"
        self._head = (
            f"POST {self.target.path} HTTP/1.1\r\nhost: {self.target.host_header.decode()}\r\n"
            f"user-agent: event-gateway/{common.version}\r\n{lines}"
        ).encode()
        self._methods = [one for one in webhook.security if one.auth_type in AUTHENTICATORS]
        # Of each method the latest, and the secret that it was made of.
        self._authenticators: list[tuple[tuple[str, ...], Authenticator] | None]
        self._authenticators = [None] * len(self._methods)
        self._certificate: ClientCertificate | None = None
        self._password = ""  # the name of that of the certificate's key
        for method in webhook.security:
            if method.auth_type == "mtls":
                self._certificate = ClientCertificate(method, common.secrets.directory)
                self._password = method.secret_name or ""

    def body(self, received: Received) -> tuple[bytes, bytes]:
        """The header lines that describe the body, and the body, made once for all webhooks that
        want the same.

        Raises TransformationError, and BodyPending while it is being made.
        """
        if self._generation != self._common.transformations.generation:
            self._choose()
        if self._missing:
            self._common.transformations.fell_back(self._webhook.transformation)
        made: tuple[bytes, bytes] | PendingBody | None = received.bodies.get(self._body_key)
        if made is None or (isinstance(made, PendingBody) and made.again):
            event = received.event
            if self._webhook.enrich and received.enriched is not None:
                event = received.enriched
            if self._binary and goes_binary(event):
                made = to_binary(event)
            else:
                made = self._transform(event, received.time)
                made = _described(made) if isinstance(made, tuple) else made
            received.bodies[self._body_key] = made
        return made if isinstance(made, tuple) else _described(made.result())

    def _choose(self) -> None:
        """Takes the webhook's transformation as it is now."""
        live, name = self._common.transformations, self._webhook.transformation
        self._generation = live.generation
        chosen = live.of(name)
        self._missing = chosen is None
        chosen = chosen or live.instead_of(name)
        self._transform = chosen.transform
        self._binary = self._webhook.mode == "binary" and chosen.key == "standard"
        mode = "binary" if self._binary else ""
        self._body_key = f"{chosen.key}/{mode}/{self._webhook.enrich}"

    def build(self, received: Received, attempt: int) -> Request:
        """The request of the attempt of this number.

        Raises Unsendable, and TokenPending or BodyPending where that must be there first.
        """
        if self._webhook.mode == "batch":
            return self.build_batch([received], attempt, {})
        described, body = self._transformed(received)
        event = received.event
        message_id = self._message_id(f"{event.source}\0{event.id}")
        return self._request(described, body, message_id, _trace(event), attempt)

    def build_batch(
        self, events: Sequence[Received], attempt: int, refused: dict[int, Unsendable]
    ) -> Request:
        """One request of several events: the JSON batch of CloudEvents where they are sent as they
        are, else a JSON array of what was made of each, or a line for each where that is no JSON.

        Those of which no body can be made are left out; ``refused`` gets why, by their positions.
        Raises what :meth:`build` raises, Unsendable where none is left.
        """
        bodies: list[bytes] = []
        taken: list[Event] = []
        lines, wanted = b"", None
        refused.clear()
        for position, received in enumerate(events):
            try:
                described, body = self._transformed(received)
                lines = lines or batch_body.kind(described)
                if batch_body.kind(described) != lines:
                    raise self._untransformed("another content type than its batch", final=False)
                bodies.append(body)
                taken.append(received.event)
            except Unsendable as error:
                refused[position] = error
            except BodyPending as error:
                wanted = error  # the others are made meanwhile
        if wanted is not None:
            raise wanted
        if not taken:
            raise refused[0]
        trace = _trace(taken[0] if len(taken) == 1 else None)
        body = batch_body.joined(lines, bodies)
        message_id = self._message_id("\0\0".join(f"{one.source}\0{one.id}" for one in taken))
        return self._request(lines, body, message_id, trace, attempt)

    def _transformed(self, received: Received) -> tuple[bytes, bytes]:
        try:
            return self.body(received)
        except BodyPending:
            raise
        except TransformationError as error:
            raise self._untransformed(str(error), final=error.final) from None
        except Exception as error:  # whatever a transformation does wrong hurts only its own event
            log.exception("transformation failed", webhook=self._webhook.id,
                          event_id=received.event.id)  # fmt: skip
            raise self._untransformed(repr(error), final=True) from None

    def _request(
        self, described: bytes, body: bytes, message_id: bytes, trace: bytes, attempt: int
    ) -> Request:
        timestamp = b"%d" % time.time()
        authentication = self._authentication(message_id, timestamp, body)
        head = (
            b"%b%bcontent-length: %d\r\nwebhook-id: %b\r\n"
            b"webhook-timestamp: %b\r\n%b%bx-event-gateway-attempt: %d\r\n\r\n"
            % (
                self._head, described, len(body), message_id, timestamp, authentication,
                trace, attempt,
            )
        )  # fmt: skip
        return Request(head, body, None if self._certificate is None else self._identity())

    def _untransformed(self, why: str, *, final: bool) -> Unsendable:
        message = f"{self._webhook.transformation}: {why}"
        return Unsendable(ErrorType.TRANSFORMATION_ERROR, message, final=final)

    def reject_token(self, request: Request) -> TokenSource | None:
        """The token in that request was not taken; gives where there is another, if it had one."""
        for method in self._methods:
            if method.auth_type == "oauth2_client_credentials":
                secrets = self._common.secrets.find(method.secret_name or "")
                if secrets:
                    source = self._common.tokens.source(method, secrets[0])
                    source.reject(request.head)
                    return source
        return None

    def clean(self, request: Request, response: Response) -> None:
        """A receiver may send back what it was sent: makes the secrets in it unreadable."""
        if not self._webhook.security:
            return
        hidden = self._hidden(request)
        body = response.body.decode("utf-8", "surrogateescape")
        body = without(hidden, body, cut=response.truncated)
        response.body = body.encode("utf-8", "surrogateescape")
        named = hidden | {secret.lower() for secret in hidden}  # names come in small letters
        response.headers = {
            without(named, name): without(hidden, value) for name, value in response.headers.items()
        }

    def _hidden(self, request: Request) -> set[str]:
        """The secrets as they are now, and those in the request, which may have changed since."""
        hidden: set[str] = set()
        headers = {"authorization"}
        for method in self._webhook.security:
            if method.auth_type == "api_key":
                headers.add((method.header or API_KEY_HEADER).lower())
            for secret in self._common.secrets.find(method.secret_name or ""):
                hidden |= {secret, *secret.split()}
                if method.auth_type == "basic":
                    hidden |= {credentials(method, secret), secret.partition(":")[2]}
                elif method.auth_type == "hmac_signature":
                    hidden |= {key.partition("_")[2] for key in secret.split()}
        for line in request.head.decode("utf-8", "replace").split("\r\n"):
            name, _, value = line.partition(": ")
            if name in headers:
                scheme, _, sent = value.partition(" ")
                hidden |= {value, sent}
                if name == "authorization" and scheme == "Basic":
                    both = base64.b64decode(sent).decode("utf-8", "replace")
                    hidden |= {both, both.partition(":")[2]}
        return hidden

    def options(self, lines: bytes) -> Request:
        """An OPTIONS request to the same place, authorised as an attempt is, with these header
        lines besides. Raises what :meth:`build` raises."""
        message_id = b"msg_" + os.urandom(16).hex().encode()
        timestamp = b"%d" % time.time()
        lines += self._authentication(message_id, timestamp, b"")
        lines += b"content-length: 0\r\nwebhook-id: %b\r\nwebhook-timestamp: %b\r\n" % (
            message_id, timestamp,
        )  # fmt: skip
        head = b"OPTIONS%b%b\r\n" % (self._head.removeprefix(b"POST"), lines)
        return Request(head, b"", None if self._certificate is None else self._identity())

    def _authentication(self, message_id: bytes, timestamp: bytes, body: bytes) -> bytes:
        lines = b""
        for position, method in enumerate(self._methods):
            values = self._common.secrets.find(method.secret_name or "")
            made = self._authenticators[position]
            if made is None or made[0] != values:
                made = self._authenticators[position] = self._authenticator(method)
            lines += made[1](message_id, timestamp, body)
        return lines

    def _message_id(self, named: str) -> bytes:
        mac = self._mac.copy()
        mac.update(named.encode())
        return b"msg_" + mac.hexdigest()[:32].encode()

    def _authenticator(self, method: Security) -> tuple[tuple[str, ...], Authenticator]:
        values = self._secret(method.secret_name or "")
        try:
            return values, AUTHENTICATORS[method.auth_type](method, values, self._common.tokens)
        except UnicodeError:  # what it says may hold some of it
            raise _auth_error(f"secret {method.secret_name}: it is not UTF-8") from None
        except ValueError as error:
            raise _auth_error(f"secret {method.secret_name}: {error}") from None

    def _secret(self, name: str) -> tuple[str, ...]:
        values = self._common.secrets.find(name)
        if not values:
            raise Unsendable(ErrorType.SECRET_MISSING, name)
        return values

    def _identity(self) -> Identity:
        assert self._certificate is not None
        password = self._secret(self._password)[0] if self._password else None
        try:
            return self._certificate.identity(password)
        except UnicodeError:
            raise _auth_error(f"secret {self._password}: it is not UTF-8") from None
        except ValueError as error:
            raise _auth_error(str(error)) from None


def _auth_error(message: str) -> Unsendable:
    """A secret, or a file, is there but cannot be used for what the webhook wants."""
    return Unsendable(ErrorType.AUTH_ERROR, message)


# W3C Trace Context: version 00, and what any of its values is made of.
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_TRACESTATE = re.compile(r"[\x20-\x7e]{1,4096}")


def _trace(event: Event | None) -> bytes:
    """The trace that this request belongs to: the event's own where it has one, with its
    ``tracestate``, else a new one."""
    extensions = event.extensions if event else {}
    parent = extensions.get("traceparent")
    # They tell apart and guard nothing; an id of zeros would be none.
    span = getrandbits(64) or 1
    if not isinstance(parent, str) or _TRACEPARENT.fullmatch(parent) is None:
        return b"traceparent: 00-%032x-%016x-01\r\n" % (getrandbits(128) or 1, span)
    line = b"traceparent: %b%016x%b\r\n" % (parent[:36].encode(), span, parent[52:].encode())
    state = extensions.get("tracestate")
    if isinstance(state, str) and _TRACESTATE.fullmatch(state):
        line += b"tracestate: %b\r\n" % state.encode()
    return line


def _described(made: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    """Of a content type and a body: the header line, and the body."""
    return b"content-type: %b\r\n" % made[0], made[1]
