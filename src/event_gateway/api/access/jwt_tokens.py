"""JSON Web Tokens of the configured issuers, as bearer tokens (RFC 6750)."""

import asyncio
import contextlib
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from event_gateway.api.access.authenticator import Unauthenticated
from event_gateway.api.access.caller_request import CallerRequest
from event_gateway.api.access.issuer_keys import IssuerKeys
from event_gateway.api.access.key_sources import Fetch
from event_gateway.api.server.problems import Problem
from event_gateway.core.access.issuer import Issuer, TokenHolder, token_holder
from event_gateway.core.access.principal import Principal
from event_gateway.core.access.token import (
    Token,
    TokenRefused,
    UnknownKey,
    looks_like_token,
    read_token,
    signer_of,
)
from event_gateway.core.access.verification_keys import VerificationKey
from event_gateway.core.observability.reason import Reason
from event_gateway.core.observability.reason_codes import ISSUER_KEYS
from event_gateway.observability.refusals import Refusals

MAX_KNOWN = 8192  # tokens that are not checked again while they are valid
NO_KEYS = "the keys of the token's issuer cannot be fetched; try again"


class JwtTokens:
    """Checks tokens. A token that was found valid is looked up by its digest from then on.

    ``source`` makes what fetches the keys of an issuer; ``counted`` is called after each request
    for keys with the issuer and whether it gave keys.
    """

    def __init__(
        self, source: Callable[[Issuer], Fetch], counted: Callable[[str, bool], None]
    ) -> None:
        self._source = source
        self._counted = counted
        self._issuers: Mapping[str, IssuerKeys] = {}
        self._known: dict[bytes, TokenHolder] = {}
        self._refusals = Refusals("a token")
        self._reconfigured = asyncio.Event()

    @property
    def reasons(self) -> list[Reason]:
        """Why the health is degraded."""
        return [
            Reason(ISSUER_KEYS, why, name)
            for name, keys in self._issuers.items()
            if (why := keys.reason) is not None
        ]

    def configure(self, issuers: Sequence[Issuer]) -> None:
        """Trusts these issuers, and no others. Issuers that are as before keep their keys."""
        former = self._issuers
        self._issuers = {
            issuer.name: former[issuer.name]
            if issuer.name in former and former[issuer.name].issuer == issuer
            else IssuerKeys(issuer, self._source(issuer), self._forget, self._counted)
            for issuer in issuers
        }
        self._forget()
        self._reconfigured.set()

    def authenticate(self, request: CallerRequest) -> Principal | Awaitable[Principal] | None:
        """The holder of a token."""
        text = request.bearer
        if not self._issuers or not looks_like_token(text):
            return None
        digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
        holder = self._known.get(digest)
        if holder is None:
            return self._check(text, digest)
        if holder.expires_at is None or time.time() < holder.expires_at:
            return holder
        del self._known[digest]
        raise Unauthenticated("the token has expired", invalid_token=True, guess=False)

    def still_valid(self, principal: Principal) -> bool:
        """Whether a token has not expired, and the gateway still trusts its issuer and the key
        that has signed it."""
        if not isinstance(principal, TokenHolder):
            return False
        keys = self._issuers.get(principal.issuer.name)
        return (
            keys is not None
            and keys.issuer is principal.issuer
            and keys.trusts(principal.key)
            and (principal.expires_at is None or time.time() < principal.expires_at)
        )

    async def renew_keys(self) -> None:
        """Fetches the keys of each issuer before they are old. It never returns."""
        while True:
            self._reconfigured.clear()
            now = time.monotonic()
            due = [keys for keys in self._issuers.values() if keys.renew_at <= now]
            if due:
                await asyncio.gather(*(keys.renew() for keys in due))
                continue
            times = [keys.renew_at for keys in self._issuers.values()]
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(times) - now if times else None):
                    await self._reconfigured.wait()

    async def _check(self, text: str, digest: bytes) -> TokenHolder:
        issuer, signed = "", False
        try:
            token = read_token(text)
            keys = self._issuers.get(token.issuer)
            if keys is None:
                raise TokenRefused("its issuer is not configured")
            issuer = keys.issuer.name
            key = await self._signer_of(token, keys)
            signed = True
            if self._issuers.get(issuer) is not keys:  # a reload, while the keys were fetched
                raise TokenRefused("its issuer is not configured any more")
            holder = token_holder(keys.issuer, token.claims, key.thumbprint, time.time())
        except TokenRefused as error:
            self._refusals.log(issuer, str(error))
            description = error.description
            raise Unauthenticated(description, invalid_token=True, guess=not signed) from None
        if len(self._known) >= MAX_KNOWN:
            del self._known[next(iter(self._known))]
        self._known[digest] = holder
        return holder

    async def _signer_of(self, token: Token, keys: IssuerKeys) -> VerificationKey:
        """The key that has signed a token; one that the issuer has since a moment ago, too."""
        algorithms = keys.issuer.algorithms
        try:
            return signer_of(token, keys.keys, algorithms)
        except UnknownKey:
            fetched = await keys.look_again()
            if keys.missing:
                raise Problem(503, NO_KEYS, {"Retry-After": "5"}) from None
            if not fetched:
                raise
            return signer_of(token, keys.keys, algorithms)

    def _forget(self) -> None:
        """Has all tokens checked again: keys or issuers have changed."""
        self._known.clear()
