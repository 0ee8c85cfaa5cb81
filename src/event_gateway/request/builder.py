"""Builds the requests of a webhook: head and body, from the webhook, an event and an attempt."""

import os
import time
from binascii import hexlify
from collections.abc import Sequence

import structlog

from event_gateway.core.access.narrowing import is_of
from event_gateway.core.cloudevents.binary_mode import goes_binary, to_binary
from event_gateway.core.cloudevents.enrichment import without_others
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.transformation.definition import TransformationError
from event_gateway.core.webhook.error_type import AttemptErrorType
from event_gateway.core.webhook.hmac_sha256 import hmac_sha256
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.request import batch_body
from event_gateway.request.access_tokens import AccessTokens
from event_gateway.request.authentication import Authentication
from event_gateway.request.request import Request, Unsendable
from event_gateway.request.trace_context import trace_lines
from event_gateway.request.transformations import BodyPending, PendingBody, Transformations
from event_gateway.secrets.named import Secrets
from event_gateway.transport.target import Target, parse_target
from event_gateway.transport.tls_files import Trust

log = structlog.get_logger(__name__)


class RequestBuilders:
    """Makes the request builder of each webhook. ``key`` is the installation's own secret, from
    which message ids are derived; ``version`` is the gateway's."""

    def __init__(
        self,
        *,
        secrets: Secrets,
        tokens: AccessTokens,
        key: bytes,
        version: str,
        transformations: Transformations,
        trust: Trust | None = None,
    ) -> None:
        self.trust = trust or Trust()
        self.secrets = secrets
        self.tokens = tokens
        self.key = key
        self.mac = hmac_sha256(key)
        self.version = version
        self.transformations = transformations

    def check(self, webhook: Webhook) -> None:
        """Raises ValueError if there can be no builder of a webhook: no request can be sent to its
        URL."""
        parse_target(webhook.url)

    def for_webhook(self, webhook: Webhook) -> "RequestBuilder":
        """The builder of a webhook as it is now."""
        return RequestBuilder(webhook, self)

    def with_transformations(self, transformations: Transformations) -> "RequestBuilders":
        """A copy with other transformations."""
        return RequestBuilders(
            secrets=self.secrets,
            tokens=self.tokens,
            key=self.key,
            version=self.version,
            transformations=transformations,
            trust=self.trust,
        )


class RequestBuilder:
    """Builds the requests of one webhook. The parts that all of them share are built once."""

    def __init__(self, webhook: Webhook, common: RequestBuilders) -> None:
        self.target: Target = parse_target(webhook.url)
        self.authentication = Authentication(
            webhook.security, common.secrets.of(webhook.owner), common.tokens,
            ca=webhook.tls.ca, trust=common.trust,
        )  # fmt: skip
        self._webhook = webhook
        self._owner = webhook.owner
        self._transformations = common.transformations
        self._choose_transformation()
        name = webhook.message_name or webhook.id
        self._mac, self._message_name = common.mac, f"{name}\0"
        lines = "".join(f"{name}: {value}\r\n" for name, value in webhook.headers.items())
        if all(name.lower() != "accept-encoding" for name in webhook.headers):
            lines += "accept-encoding: identity\r\n"
        if webhook.verify and webhook.verified is not None:
            # The origin that the receiver confirmed, even if the gateway has another one by now.
            lines += f"WebHook-Request-Origin: {webhook.verified.origin}\r\n"
        self._head = (
            f"{webhook.method} {self.target.path} HTTP/1.1\r\n"
            f"host: {self.target.host_header.decode()}\r\n"
            f"user-agent: event-gateway/{common.version}\r\n{lines}"
        ).encode()
        self._content_type = b""  # the header line, if the webhook has one of its own
        if webhook.content_type is not None:
            self._content_type = b"content-type: %b\r\n" % webhook.content_type.encode()
        self._authenticate = self.authentication.lines
        self._identity = self.authentication.identity

    def build(self, received: Received, attempt: int, span: str = "") -> Request:
        """The request of an event; ``attempt`` counts from 1, ``span`` is the id of its span, a new
        one by default.

        Raises Unsendable; TokenPending or BodyPending while there is no access token or no body
        yet.
        """
        if self._webhook.mode == "batch":
            return self.build_batch([received], attempt, {}, span)
        try:
            body_header, body = self.body(received)
        except Exception as error:
            raise self._not_made(received, error) from None
        event = received.event
        message_id = self._message_id(f"{event.source}\0{event.id}")
        return self._request(body_header, body, message_id, trace_lines(received, span), attempt)

    def build_batch(
        self, events: Sequence[Received], attempt: int, refused: dict[int, Unsendable],
        span: str = "", traceparent: str = "",
    ) -> Request:  # fmt: skip
        """One request of several events: a CloudEvents JSON batch if they are not transformed, else
        a JSON array of the transformed events, or a line for each if they are not JSON.

        Events whose body cannot be made are left out; ``refused`` receives the reasons, by the
        positions of the events. ``traceparent``: that of a request of several events, by default a
        new trace. Raises what :meth:`build` raises; Unsendable if no event is left.
        """
        bodies: list[bytes] = []
        included: list[Received] = []
        header, pending = b"", None
        refused.clear()
        for position, received in enumerate(events):
            try:
                try:
                    body_header, body = self.body(received)
                except Exception as error:
                    raise self._not_made(received, error) from None
                header = header or batch_body.batch_header(body_header)
                if batch_body.batch_header(body_header) != header:
                    raise self._untransformed("another content type than its batch", final=False)
                bodies.append(body)
                included.append(received)
            except Unsendable as error:
                refused[position] = error
            except BodyPending as error:
                pending = error  # goes on, so that the other bodies are started too
        if pending is not None:
            raise pending
        if not included:
            raise refused[0]
        if traceparent:
            trace = b"traceparent: %b\r\n" % traceparent.encode()
        else:
            trace = trace_lines(included[0] if len(included) == 1 else None, span)
        body = batch_body.join(header, bodies)
        identities = "\0\0".join(
            f"{received.event.source}\0{received.event.id}" for received in included
        )
        return self._request(header, body, self._message_id(identities), trace, attempt)

    def options(self, lines: bytes) -> Request:
        """An OPTIONS request to the webhook's URL with these header lines, authenticated as an
        attempt is. Raises what :meth:`build` raises."""
        message_id = b"msg_" + os.urandom(16).hex().encode()
        timestamp = b"%d" % time.time()
        lines += self._authenticate(message_id, timestamp, b"")
        lines += b"content-length: 0\r\nwebhook-id: %b\r\nwebhook-timestamp: %b\r\n" % (
            message_id, timestamp,
        )  # fmt: skip
        head = b"OPTIONS%b%b\r\n" % (self._head.removeprefix(self._webhook.method.encode()), lines)
        return Request(head, b"", None if self._identity is None else self._identity())

    def body(self, received: Received) -> tuple[bytes, bytes]:
        """The header lines that describe the body, and the body. Webhooks with the same format
        share both.

        Raises TransformationError; BodyPending while a function makes the body.
        """
        if self._generation != self._transformations.generation:
            self._choose_transformation()
        if self._missing:
            self._transformations.on_fallback(self._webhook.transformation)
        if self._owner and not is_of(received, self._owner):
            # Matching leaves such events out. A delivery of a former webhook of this id may remain.
            raise TransformationError("the event is not of a namespace of the webhook's owner")
        content: tuple[bytes, bytes] | PendingBody | None = received.bodies.get(self._body_key)
        if content is None or (isinstance(content, PendingBody) and content.may_retry):
            event = received.event
            if self._webhook.enrich and received.enriched is not None:
                event = without_others(received) if self._owner else received.enriched
            if self._binary and goes_binary(event):
                content = to_binary(event)
            else:
                content = self._transform(event, received.time)
                content = _with_header(content) if isinstance(content, tuple) else content
            received.bodies[self._body_key] = content
        return content if isinstance(content, tuple) else _with_header(content.result())

    def _choose_transformation(self) -> None:
        """Looks up the webhook's transformation among those of now."""
        available, name = self._transformations, self._webhook.transformation
        self._generation = available.generation
        chosen = available.find(name)
        self._missing = chosen is None
        chosen = chosen or available.fallback(name)
        self._transform = chosen.transform
        self._binary = self._webhook.mode == "binary" and chosen.key == "standard"
        mode = "binary" if self._binary else ""
        alone = "alone" if self._owner else ""
        self._body_key = f"{chosen.key}/{mode}/{self._webhook.enrich}/{alone}"

    def _not_made(self, received: Received, error: Exception) -> Exception:
        """What to raise in place of what :meth:`body` has raised."""
        if isinstance(error, BodyPending):
            return error
        if isinstance(error, TransformationError):
            return self._untransformed(str(error), final=error.final)
        # A bug in a transformation affects only this event.
        log.error("transformation failed", webhook=self._webhook.id,
                  event_id=received.event.id, transformation=self._webhook.transformation,
                  fault=error)  # fmt: skip
        return self._untransformed(repr(error), final=True)

    def _request(
        self, body_header: bytes, body: bytes, message_id: bytes, trace: bytes, attempt: int
    ) -> Request:
        timestamp = b"%d" % time.time()
        authentication = self._authenticate(message_id, timestamp, body)
        head = (
            b"%b%bcontent-length: %d\r\nwebhook-id: %b\r\n"
            b"webhook-timestamp: %b\r\n%b%bx-event-gateway-attempt: %d\r\n\r\n"
            % (
                self._head, self._content_type or body_header, len(body), message_id, timestamp,
                authentication, trace, attempt,
            )
        )  # fmt: skip
        return Request(head, body, None if self._identity is None else self._identity())

    def _untransformed(self, why: str, *, final: bool) -> Unsendable:
        message = f"{self._webhook.transformation}: {why}"
        return Unsendable(AttemptErrorType.TRANSFORMATION_ERROR, message, final=final)

    def _message_id(self, identities: str) -> bytes:
        mac = self._mac(f"{self._message_name}{identities}".encode())
        return b"msg_%b" % hexlify(mac[:16])


def _with_header(content: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    """From a content type and a body: the header line and the body."""
    return b"content-type: %b\r\n" % content[0], content[1]
