"""Finds out who calls, by the methods that are configured."""

from collections.abc import Sequence
from typing import Protocol

from event_gateway.api.access.caller_limits import CallerLimits
from event_gateway.api.access.caller_request import CallerRequest
from event_gateway.api.server import problem_types
from event_gateway.api.server.problems import Problem
from event_gateway.core.access.api_key import named_id
from event_gateway.core.access.principal import Principal

HOW_TO_CALL = (
    "send a key as 'Authorization: Bearer KEY' or 'X-API-Key: KEY', or prove who calls in another "
    "way that the gateway is configured for"
)


class Unauthenticated(Exception):
    """The request does not prove who sends it; the text says what to send. ``invalid_token``: it
    has a bearer token that is not valid; then the text is also the description in the header.
    ``key``: the id of the key that it names, if that is known; ``guess``: whether the credential
    may be a guess, so that it counts as a failed login, and not one that was valid once."""

    def __init__(
        self, detail: str, *, invalid_token: bool = False, key: str = "", guess: bool = True
    ) -> None:
        super().__init__(detail)
        self.guess = guess
        self.invalid_token = invalid_token
        self.key = key


class AuthMethod(Protocol):
    """A method by which callers prove themselves."""

    async def authenticate(self, request: CallerRequest) -> Principal | None:
        """The caller; None if the request has no credential of this method.

        Raises Unauthenticated if it has one that is not valid.
        """

    def still_valid(self, principal: Principal) -> bool:
        """Whether the credential of a caller of this method is still valid."""


class Authenticator:
    """Asks each method, in order. ``methods``: by the name that their principals have; ``limits``:
    how often callers may fail, and call."""

    def __init__(self, methods: dict[str, AuthMethod], limits: CallerLimits) -> None:
        self._methods = methods
        self.limits = limits
        self._in_order: Sequence[AuthMethod] = tuple(methods.values())

    @property
    def method_names(self) -> tuple[str, ...]:
        """The methods that are in use, in the order in which they are asked."""
        return tuple(self._methods)

    async def authenticate(self, request: CallerRequest) -> Principal:
        """The caller of a request. Raises Unauthenticated, and the 429 problem if its client or
        the key has failed too often."""
        self.limits.check(request)
        try:
            for method in self._in_order:
                principal = await method.authenticate(request)
                if principal is not None:
                    self.limits.succeeded(request)
                    return principal
        except Unauthenticated as error:
            if error.guess:
                self.limits.failed(request, error.key or named_id(request.bearer))
            raise
        raise Unauthenticated(HOW_TO_CALL)

    def still_valid(self, principal: Principal) -> bool:
        """Whether a caller could come again: its credential is not revoked or expired."""
        return self._methods[principal.method].still_valid(principal)


def unauthenticated(error: Unauthenticated) -> Problem:
    """The answer to a request without a valid credential (RFC 9110, 15.5.2; RFC 6750, 3)."""
    challenge = "Bearer"
    if error.invalid_token:
        challenge = f'Bearer error="invalid_token", error_description="{error}"'
    return Problem(401, str(error), {"WWW-Authenticate": challenge})


def authorize(principal: Principal, scope: str, *, unconfined: bool = False) -> None:
    """Raises the 403 problem if the caller lacks a scope, or, with ``unconfined``, if the scope is
    narrowed."""
    if not principal.allows(scope):
        has = ", ".join(sorted(principal.scopes)) or "none"
        challenge = {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'}
        detail = f"this needs the scope {scope}; the caller has: {has}"
        raise Problem(problem_types.MISSING_SCOPE, detail, challenge)
    if unconfined and principal.confined:
        detail = f"this needs the scope {scope} without namespaces, types or streams"
        raise Problem(problem_types.MISSING_SCOPE, detail)
