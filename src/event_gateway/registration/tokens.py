"""Issues, lists and revokes browser tokens.

A token carries what it opens, and every process checks it without asking anybody. Redis has a list
of them, and the registry those that were revoked.
"""

import asyncio
import time
from collections.abc import Sequence

import structlog

from event_gateway.broker.registry import Registry, RegistryConflict
from event_gateway.core.access.browser_token import (
    MAX_LENGTH,
    BrowserToken,
    InvalidToken,
    is_id,
    issue,
    new_id,
    read,
)
from event_gateway.core.access.principal import Principal
from event_gateway.core.errors import Conflict, InvalidDefinition, NotRegistered
from event_gateway.registration.key_ring import KeyRing
from event_gateway.state.browser_tokens import ALL, IssuedTokens, TokenPosition
from event_gateway.state.connection import StateError

log = structlog.get_logger(__name__)

MAX_LIFETIME = 3600.0  # seconds
MAX_LIVE = 50_000  # tokens that are not expired
MAX_LIVE_OF_ISSUER = 10_000
MAX_REVOKED = 5_000  # that are not expired
KEPT_FOR_OPERATORS = 1_000  # of these, so that no other caller can prevent a revocation
TRIES = 5  # to write a revocation while others are being written


class TooManyTokens(Exception):
    """No more tokens can be issued or revoked for now; the text says why."""


class Tokens:
    """``key`` signs the tokens. No dataclass: its ``repr`` must not show the key."""

    def __init__(
        self, *, key: bytes, registry: Registry, ring: KeyRing, issued: IssuedTokens
    ) -> None:
        self._key = key
        self._registry = registry
        self._ring = ring
        self._issued = issued

    async def issue(
        self,
        issuer: Principal,
        *,
        name: str,
        streams: Sequence[str],
        subjects: Sequence[str],
        namespaces: Sequence[str] | None,
        types: Sequence[str] | None,
        lifetime: float,
    ) -> tuple[BrowserToken, str, bool]:
        """Issues a token that opens these streams and subjects, for ``lifetime`` seconds or until
        the issuer's key expires. Returns it, its text, and whether it is in the list.

        Raises InvalidDefinition if it would be longer than a URL may be, and TooManyTokens.
        """
        now = time.time()
        token = BrowserToken(
            id=new_id(), name=name, issuer=issuer.identity, issuer_name=issuer.name,
            streams=tuple(streams), subjects=tuple(subjects),
            namespaces=None if namespaces is None else tuple(namespaces),
            types=None if types is None else tuple(types),
            until=min(now + lifetime, issuer.expires_at or now + lifetime),
        )  # fmt: skip
        text = issue(self._key, token)
        if len(text) > MAX_LENGTH:
            raise InvalidDefinition(
                "subjects", f"the token would be longer than the {MAX_LENGTH} bytes that a URL may "
                "have: ask for fewer streams and subjects"
            )  # fmt: skip
        try:
            for of, limit in ((token.issuer, MAX_LIVE_OF_ISSUER), (ALL, MAX_LIVE)):
                if await self._issued.count(now, of) >= limit:
                    whose = "there are" if of == ALL else "this key has"
                    raise TooManyTokens(f"{whose} {limit} tokens that are not expired")
            await self._issued.add(token, now)
        except StateError as error:
            log.warning("a browser token is not in the list of tokens", error=str(error))
            return token, text, False
        return token, text, True

    def holder(self, text: str) -> Principal:
        """The holder of a token. Raises InvalidToken."""
        principal = read(self._key, text, time.time()).principal()
        if principal.id in self._registry.revoked_tokens:
            raise InvalidToken("the token was revoked", signed=True)
        if not self._is_allowed(principal):
            detail = "the key that issued the token is revoked, or allows less now"
            raise InvalidToken(detail, signed=True)
        return principal

    def still_valid(self, principal: Principal) -> bool:
        """Whether a token that was valid is so still."""
        return (
            (principal.expires_at or 0.0) > time.time()
            and principal.id not in self._registry.revoked_tokens
            and self._is_allowed(principal)
        )

    def _is_allowed(self, principal: Principal) -> bool:
        method, _, key_id = principal.issued_by.partition(":")
        if method != "api_key":
            return True  # what issued it says nothing of its revocation; the token expires
        issuer = self._ring.current(key_id)
        return issuer is not None and principal.within(issuer)

    async def page(
        self, issuer: str | None, after: TokenPosition | None, limit: int
    ) -> tuple[list[BrowserToken], TokenPosition | None]:
        """Tokens that are valid, the last to expire first, of one issuer or of all; and the
        position of the next page. Raises what StateError names."""
        tokens, more = await self._issued.page(issuer or ALL, after, limit, time.time())
        return [token for token in tokens if self.still_valid(token.principal())], more

    async def count(self, issuer: str | None) -> int:
        """How many tokens are not expired, of one issuer or of all, also those whose issuer's key
        was revoked. Raises what StateError names."""
        return await self._issued.count(time.time(), issuer or ALL)

    async def revoke(self, token_id: str, issuer: str | None) -> None:
        """Revokes a token; all processes apply that before this returns. ``issuer``: only a token
        of this one. A token that Redis has lost can be revoked by its id, without an issuer.

        Raises NotRegistered, Conflict, TooManyTokens.
        """
        if not is_id(token_id):
            raise _unknown(token_id)
        now = time.time()
        token: BrowserToken | None = None
        try:
            token = await self._issued.find(token_id)
        except StateError as error:
            if issuer is not None:
                raise
            log.warning("a browser token is revoked that could not be read", error=str(error))
        if issuer is not None and (token is None or token.issuer != issuer):
            raise _unknown(token_id)
        limit = MAX_REVOKED if issuer is None else MAX_REVOKED - KEPT_FOR_OPERATORS
        await self._write(token_id, now + MAX_LIFETIME if token is None else token.until, limit)
        if token is not None:
            try:
                await self._issued.remove(token)
            except StateError as error:
                log.warning("a revoked browser token stays in Redis", error=str(error))

    async def _write(self, token_id: str, until: float, limit: int) -> None:
        for attempt in range(TRIES):
            known, now = self._registry.revoked_tokens, time.time()
            if token_id in known:
                return
            left = {other: ends for other, ends in known.items() if ends > now}
            if len(left) >= limit:
                raise TooManyTokens(
                    f"{len(left)} revoked tokens are not expired: revoke the key that issues them"
                )
            try:
                await self._registry.put_revoked_tokens(left | {token_id: until}, known)
                return
            except RegistryConflict:
                await asyncio.sleep(0.02 * (attempt + 1))  # until this process has the other change
        raise Conflict("other tokens are being revoked: try again")


def _unknown(token_id: str) -> NotRegistered:
    # Anything else is not repeated: it may be a token.
    return NotRegistered(f"there is no token {token_id if is_id(token_id) else 'of that id'}")
