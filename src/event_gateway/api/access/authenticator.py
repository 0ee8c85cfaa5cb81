"""Authenticates callers, by the methods that are configured."""

from collections.abc import Awaitable, Callable, Sequence
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


# A caller; where the check has to wait, an awaitable of one, which raises Unauthenticated.
Caller = Principal | Awaitable[Principal]


class CallerMethod(Protocol):
    """A method by which callers prove themselves."""

    def authenticate(self, request: CallerRequest) -> Caller | None:
        """The caller; None if the request has no credential of this method.

        Raises Unauthenticated if it has one that is not valid.
        """

    def still_valid(self, principal: Principal) -> bool:
        """Whether the credential of a caller of this method is still valid."""


class Authenticator:
    """Asks each method, in order. ``methods``: by the name that their principals have; ``limits``:
    how often callers may fail, and call; ``not_guessed``: finds a caller by a credential that
    cannot be guessed, and None for all others."""

    def __init__(
        self,
        methods: dict[str, CallerMethod],
        limits: CallerLimits,
        not_guessed: Callable[[CallerRequest], Principal | None],
    ) -> None:
        self._methods = methods
        self.limits = limits
        self._not_guessed = not_guessed
        self._in_order: Sequence[CallerMethod] = tuple(methods.values())

    @property
    def method_names(self) -> tuple[str, ...]:
        """The methods that are in use, in the order in which they are asked."""
        return tuple(self._methods)

    def authenticate(self, request: CallerRequest) -> Caller:
        """The caller of a request: no coroutine, as most callers are known at once. Raises
        Unauthenticated, and the 429 problem if its client or the key has failed too often."""
        if seconds := self.limits.wait(request):
            return self._surely_valid(request, seconds)
        try:
            for method in self._in_order:
                found = method.authenticate(request)
                if found is not None:
                    break
            else:
                raise Unauthenticated(HOW_TO_CALL, guess=False)
        except Unauthenticated as error:
            raise self._failed(request, error) from None
        if isinstance(found, Principal):
            self.limits.succeeded(request)
            return found
        return self._asked(request, found)

    def _surely_valid(self, request: CallerRequest, seconds: float) -> Principal:
        """The caller, although its address must wait: it has a valid credential that cannot have
        been guessed. Others are refused unseen, as an answer would tell which guess is right."""
        principal = self._not_guessed(request)
        if principal is None:
            raise self.limits.refused_unseen(seconds)
        self.limits.succeeded(request)
        return principal

    async def _asked(self, request: CallerRequest, found: Awaitable[Principal]) -> Principal:
        try:
            principal = await found
        except Unauthenticated as error:
            raise self._failed(request, error) from None
        self.limits.succeeded(request)
        return principal

    def _failed(self, request: CallerRequest, error: Unauthenticated) -> Unauthenticated:
        """The error, which counts as a failed login if the credential may be a guess."""
        if error.guess:
            self.limits.failed(request, error.key or named_id(request.bearer))
        return error

    def still_valid(self, principal: Principal) -> bool:
        """Whether a caller could call again: its credential is not revoked or expired."""
        return self._methods[principal.method].still_valid(principal)


def unauthenticated(error: Unauthenticated) -> Problem:
    """The answer to a request without a valid credential (RFC 9110, 15.5.2; RFC 6750, 3)."""
    challenge = "Bearer"
    if error.invalid_token:
        challenge = f'Bearer error="invalid_token", error_description="{error}"'
    return Problem(401, str(error), {"WWW-Authenticate": challenge})


def authorize(principal: Principal, scope: str, *, unconfined: bool = False) -> None:
    """Raises the 403 problem if the caller lacks a scope (empty: any will do), or, with
    ``unconfined``, if the scope is narrowed."""
    if not scope:
        return
    if not principal.allows(scope):
        has = ", ".join(sorted(principal.scopes)) or "none"
        challenge = {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'}
        detail = f"this needs the scope {scope}; the caller has: {has}"
        raise Problem(problem_types.MISSING_SCOPE, detail, challenge)
    if unconfined and principal.confined:
        detail = f"this needs the scope {scope} without namespaces, types or streams"
        raise Problem(problem_types.MISSING_SCOPE, detail)
