"""The request that a receiver gets: head and body, made of a webhook, an event and an attempt."""

import hashlib
import hmac
import os
import time

from event_gateway.core.event import Event, Received
from event_gateway.core.webhook import Webhook
from event_gateway.delivery.auth import AUTHENTICATORS, Authenticator
from event_gateway.delivery.secrets import Secrets
from event_gateway.delivery.sender import Target, parse_target
from event_gateway.delivery.transformations import TRANSFORMATIONS


class SecretMissing(Exception):
    """A secret that the webhook names is nowhere to be found."""


class AuthError(Exception):
    """A secret is there but cannot be used for what the webhook wants."""


class RequestBuilder:
    """Makes the requests of one webhook; what does not change is made once."""

    def __init__(self, webhook: Webhook, secrets: Secrets, key: bytes, version: str) -> None:
        self.target: Target = parse_target(webhook.url)
        self._webhook = webhook
        self._secrets = secrets
        self._transform = TRANSFORMATIONS.get(webhook.transformation, TRANSFORMATIONS["standard"])
        self._body_key = f"{webhook.transformation}/{webhook.enrich}"
        self._mac = hmac.new(key, webhook.id.encode() + b"\0", "sha256")
        lines = "".join(f"{name}: {value}\r\n" for name, value in webhook.headers.items())
        if webhook.verify and webhook.verified is not None:
            # The one that the receiver has agreed to, whatever the gateway is called by now.
            lines += f"WebHook-Request-Origin: {webhook.verified.origin}\r\n"
        self._head = (
            f"POST {self.target.path} HTTP/1.1\r\nhost: {self.target.host_header.decode()}\r\n"
            f"user-agent: event-gateway/{version}\r\n{lines}"
        ).encode()
        self._authenticators: dict[tuple[str, str], Authenticator] = {}

    def body(self, received: Received) -> tuple[bytes, bytes]:
        """Content type and body, made once for all webhooks that want the same."""
        made = received.bodies.get(self._body_key)
        if made is None:
            event = received.event
            if self._webhook.enrich and received.enriched is not None:
                event = received.enriched
            made = received.bodies[self._body_key] = self._transform(event)
        return made

    def build(self, received: Received, attempt: int) -> tuple[bytes, bytes]:
        """Head and body of the attempt of this number. Raises SecretMissing, AuthError."""
        content_type, body = self.body(received)
        event = received.event
        message_id = self._message_id(event)
        timestamp = b"%d" % time.time()
        authentication = b""
        for method in self._webhook.security:
            authenticate = self._authenticator(method.auth_type, method.secret_name or "")
            authentication += authenticate(message_id, timestamp, body)
        head = (
            b"%bcontent-type: %b\r\ncontent-length: %d\r\nwebhook-id: %b\r\n"
            b"webhook-timestamp: %b\r\n%btraceparent: %b\r\nx-event-gateway-attempt: %d\r\n\r\n"
            % (
                self._head, content_type, len(body), message_id, timestamp, authentication,
                _traceparent(event), attempt,
            )
        )  # fmt: skip
        return head, body

    def options(self, lines: bytes) -> bytes:
        """The whole of an OPTIONS request to the same place, authorised as an attempt is, with
        these header lines besides. Raises SecretMissing, AuthError."""
        message_id = b"msg_" + os.urandom(16).hex().encode()
        timestamp = b"%d" % time.time()
        for method in self._webhook.security:
            authenticate = self._authenticator(method.auth_type, method.secret_name or "")
            lines += authenticate(message_id, timestamp, b"")
        lines += b"content-length: 0\r\nwebhook-id: %b\r\nwebhook-timestamp: %b\r\n" % (
            message_id, timestamp,
        )  # fmt: skip
        return b"OPTIONS%b%b\r\n" % (self._head.removeprefix(b"POST"), lines)

    def _message_id(self, event: Event) -> bytes:
        mac = self._mac.copy()
        mac.update(f"{event.source}\0{event.id}".encode())
        return b"msg_" + mac.hexdigest()[:32].encode()

    def _authenticator(self, auth_type: str, name: str) -> Authenticator:
        secret = self._secrets.get(name)
        if secret is None:
            raise SecretMissing(name)
        # Keyed by the secret's digest, so that a changed one is taken up and none is kept twice.
        key = (auth_type, hashlib.sha256(secret.encode()).hexdigest())
        authenticate = self._authenticators.get(key)
        if authenticate is None:
            try:
                authenticate = AUTHENTICATORS[auth_type](secret)
            except ValueError as error:
                raise AuthError(f"secret {name}: {error}") from None
            if len(self._authenticators) >= 8:
                self._authenticators.clear()
            self._authenticators[key] = authenticate
        return authenticate


def _traceparent(event: Event) -> bytes:
    """W3C Trace Context: the event's own trace where it has one, else a new one."""
    parent = event.extensions.get("traceparent")
    span = os.urandom(8).hex()
    if isinstance(parent, str) and len(parent) == 55 and parent.startswith("00-"):
        return f"{parent[:36]}{span}{parent[52:]}".encode()
    return f"00-{os.urandom(16).hex()}-{span}-01".encode()
