"""The browser tokens that are not expired, for lists. A token is valid without its entry here."""

from typing import Annotated, Any, cast

import msgspec
from redis.asyncio import Redis

from event_gateway.core.access.browser_token import BrowserToken
from event_gateway.state.keys import BROWSER_TOKEN, BROWSER_TOKENS

ALL = "all"  # in place of an issuer
_TIES = 32  # tokens more than a page that are read at once, as many can expire with their key
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(BrowserToken).decode


class TokenPosition(msgspec.Struct, frozen=True):
    """The token after which a page begins; ``until`` in milliseconds since the epoch."""

    until: Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]
    id: Annotated[str, msgspec.Meta(max_length=64)]


class IssuedTokens:
    """The tokens, by their issuers. Methods raise the exceptions in StateError."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def count(self, now: float, issuer: str = ALL) -> int:
        """How many tokens there are; ``now`` in seconds since the epoch."""
        key = BROWSER_TOKENS.key(issuer)
        return int(await cast(Any, self._client.zcount(key, _score(now), "+inf")))

    async def add(self, token: BrowserToken, now: float) -> None:
        """Stores a token until it expires."""
        lifetime = max(1, _score(token.until) - _score(now))
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.set(BROWSER_TOKEN.key(token.id), _encode(token), px=lifetime)
            for issuer in (ALL, token.issuer):
                key = BROWSER_TOKENS.key(issuer)
                pipe.zremrangebyscore(key, "-inf", _score(now))
                pipe.zadd(key, {token.id: _score(token.until)})
                pipe.pexpire(key, BROWSER_TOKENS.ttl_ms)
            await pipe.execute()

    async def page(
        self, issuer: str, after: TokenPosition | None, limit: int, now: float
    ) -> tuple[list[BrowserToken], TokenPosition | None]:
        """At most ``limit`` tokens behind a position, the last to expire first; and the position of
        the last one if there are more."""
        most: Any = "+inf" if after is None else after.until
        places: list[tuple[int, str]] = []
        start, asked = 0, limit + _TIES
        while len(places) <= limit:
            found = await cast(
                Any,
                self._client.zrevrangebyscore(
                    BROWSER_TOKENS.key(issuer), most, _score(now),
                    start=start, num=asked, withscores=True,
                ),
            )  # fmt: skip
            read = [(int(score), token_id.decode()) for token_id, score in found]
            places += [place for place in read if after is None or place < (after.until, after.id)]
            start += len(found)
            if len(found) < asked:
                break
        page = places[:limit]
        if not page:
            return [], None
        stored = await self._client.mget([BROWSER_TOKEN.key(token_id) for _, token_id in page])
        more = TokenPosition(*page[-1]) if len(places) > limit else None
        return [_decode(raw) for raw in stored if raw is not None], more

    async def find(self, token_id: str) -> BrowserToken | None:
        """The token with an id."""
        raw = await self._client.get(BROWSER_TOKEN.key(token_id))
        return None if raw is None else _decode(raw)

    async def remove(self, token: BrowserToken) -> None:
        """Removes a token."""
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.delete(BROWSER_TOKEN.key(token.id))
            for issuer in (ALL, token.issuer):
                pipe.zrem(BROWSER_TOKENS.key(issuer), token.id)
            await pipe.execute()


def _score(seconds: float) -> int:
    return int(seconds * 1000)
