"""Signed requests, as in Standard Webhooks 1.0: HMAC-SHA256 (``v1``) and Ed25519 (``v1a``).

Standard Webhooks signs id, time and body, and neither method nor path: an attacker that holds a
request back could send it to another path. So ``v1`` is accepted for events and for reading, and
what changes something else is signed with method and path before that content (``v1r``, ``v1ar``),
as is a request that reads and has a body: it could be that of an event.
"""

import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from event_gateway.api.access.authenticator import Unauthenticated
from event_gateway.api.access.caller_request import CallerRequest
from event_gateway.api.server.problems import unavailable
from event_gateway.core.access.principal import Principal
from event_gateway.core.webhook.signing_keys import Checker, checker, split_keys
from event_gateway.observability.refusals import Refusals
from event_gateway.state.connection import StateError

KEY_ID, MESSAGE_ID = b"webhook-key-id", b"webhook-id"
TIMESTAMP, SIGNATURE = b"webhook-timestamp", b"webhook-signature"
TOLERANCE = 300.0  # seconds between a request's time and the gateway's
MAX_SIGNATURES = 5  # of a request
EVENTS = "/v1/events"
_SAFE = frozenset(("GET", "HEAD"))
_MESSAGE_ID = re.compile(r"[!-\-/-~]{1,128}")  # visible ASCII without dots
_BATCHED = re.compile(r"application/cloudevents(-batch)?(\+json)?\s*(;.*)?", re.IGNORECASE)

NOT_SIGNED = "the request is not signed by a client of this gateway"
WRONG_TIME = "webhook-timestamp is not within 5 minutes of the gateway's time"
USED = "a request with this webhook-id was accepted before"
NEEDS_BOUND = (
    "a request that changes something is signed with its method and path (v1r or v1ar), as the "
    "guide on signed requests shows"
)
UNSIGNED_ATTRIBUTES = (
    "a signed event is structured or in a batch (application/cloudevents+json): a signature does "
    "not cover the attributes in headers"
)
IsFirst = Callable[[str, str, float], Awaitable[bool]]


class HmacClient(msgspec.Struct, frozen=True, kw_only=True):
    """A client that signs. Its keys are the values of the secret ``secret_name``, and
    ``public_keys``."""

    principal: Principal
    secret_name: str | None
    public_keys: tuple[str, ...]


class HmacSignatures:
    """Checks signed requests. ``secrets`` finds the values of a secret; ``is_first`` says of a
    client's id and the id of a request whether it was never used, and keeps that for some seconds.
    """

    def __init__(self, secrets: Callable[[str], Sequence[str]], is_first: IsFirst) -> None:
        self._secrets = secrets
        self._is_first = is_first
        self._clients: Mapping[str, HmacClient] = {}
        # By client: its checkers, and the keys from which they were made.
        self._checkers: dict[str, tuple[tuple[str, ...], list[Checker]]] = {}
        self._refusals = Refusals("a signed request")

    def configure(self, clients: Sequence[HmacClient]) -> None:
        """Knows these clients, and no others."""
        self._clients = {client.principal.id: client for client in clients}
        self._checkers.clear()

    def authenticate(self, request: CallerRequest) -> Awaitable[Principal] | None:
        """The client that has signed a request, which ``webhook-key-id`` names.

        The body is read only for a known client and a recent time. Raises the 503 problem if it is
        not known whether the request was used before.
        """
        if not self._clients:
            return None
        key_id = request.header(KEY_ID)
        return None if key_id is None else self._signer(request, key_id)

    async def _signer(self, request: CallerRequest, key_id: str) -> Principal:
        client = self._clients.get(key_id)
        if client is None:
            raise self._refused("", "its webhook-key-id is not configured")
        message_id, sent_at = _message_id(request), _timestamp(request)
        if message_id is None or sent_at is None:
            raise self._refused(key_id, "its webhook-id or webhook-timestamp is missing or wrong")
        now = time.time()
        if abs(now - sent_at) > TOLERANCE:
            raise Unauthenticated(WRONG_TIME)
        signatures = _signatures(request)
        if not signatures:
            raise self._refused(key_id, "it has no webhook-signature of a known version")
        publishes = request.method == "POST" and request.path == EVENTS
        changes = not publishes and request.method not in _SAFE
        if publishes:
            if _BATCHED.fullmatch(request.header(b"content-type") or "") is None:
                raise Unauthenticated(UNSIGNED_ATTRIBUTES)
        elif changes and not any(name[-1:] == "r" for name, _ in signatures):
            raise Unauthenticated(NEEDS_BOUND)
        await self._check(client, request, message_id, int(sent_at), signatures, changes)
        # An event that is sent again is a duplicate to the log: clients may repeat a request whose
        # answer they missed, as Standard Webhooks has it, under the same id.
        if not publishes:
            await self._check_first(key_id, message_id, sent_at + TOLERANCE - now)
        return client.principal

    def still_valid(self, principal: Principal) -> bool:
        """Whether the client is configured as before, and has a key."""
        client = self._clients.get(principal.id)
        return client is not None and client.principal == principal and bool(self._keys(client))

    async def _check(
        self, client: HmacClient, request: CallerRequest, message_id: str, sent_at: int,
        signatures: Sequence[tuple[str, bytes]], bound_only: bool,
    ) -> None:  # fmt: skip
        """Raises Unauthenticated unless the client has signed the request. ``bound_only``: only
        signatures that cover method and path count."""
        checkers = self._keys(client)
        if not checkers:
            raise self._refused(client.principal.id, "its secret is missing or no signing key")
        body = await request.body()
        if body and request.method in _SAFE:
            bound_only = True  # else an eavesdropper on a published event could read the API
        content = b"%b.%d.%b" % (message_id.encode(), sent_at, body)
        bound = b"%b %b\n%b" % (request.method.encode(), request.target, content)
        for made_by in checkers:
            for suffix, signed in (("", content), ("r", bound)):
                if bound_only and not suffix:
                    continue
                given = [value for name, value in signatures if name == made_by.version + suffix]
                if given and made_by.has_made(signed, given):
                    return
        raise self._refused(client.principal.id, "its signature is wrong")

    async def _check_first(self, key_id: str, message_id: str, seconds: float) -> None:
        try:
            first = await self._is_first(key_id, message_id, seconds + 1)
        except StateError:
            raise unavailable("Redis") from None
        if not first:
            raise Unauthenticated(USED)

    def _keys(self, client: HmacClient) -> list[Checker]:
        values = () if client.secret_name is None else tuple(self._secrets(client.secret_name))
        known = self._checkers.get(client.principal.id)
        if known is None or known[0] != values:
            try:
                keys = [*split_keys(values), *client.public_keys]
                known = values, [checker(key) for key in keys]
            except ValueError:
                known = values, []
            self._checkers[client.principal.id] = known
        return known[1]

    def _refused(self, key_id: str, why: str) -> Unauthenticated:
        self._refusals.log(key_id, why)
        return Unauthenticated(NOT_SIGNED)


def _message_id(request: CallerRequest) -> str | None:
    given = request.header(MESSAGE_ID)
    return given if given is not None and _MESSAGE_ID.fullmatch(given) else None


def _timestamp(request: CallerRequest) -> float | None:
    given = request.header(TIMESTAMP) or ""
    plain = given.isascii() and given.isdigit() and len(given) <= 12 and given == str(int(given))
    return float(given) if plain else None


def _signatures(request: CallerRequest) -> list[tuple[str, bytes]]:
    """The signatures of a request with their versions, of those that the gateway knows."""
    parts = (request.header(SIGNATURE) or "").split()[: 4 * MAX_SIGNATURES]
    named = [part.partition(",") for part in parts]
    return [
        (version, value.encode("latin-1"))
        for version, _, value in named
        if version in ("v1", "v1a", "v1r", "v1ar")
    ][:MAX_SIGNATURES]
