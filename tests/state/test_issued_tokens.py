"""The list of browser tokens on a real Valkey."""

import time

from redis.asyncio import Redis

from event_gateway.core.access.browser_token import BrowserToken, new_id
from event_gateway.state.browser_tokens import ALL, IssuedTokens, TokenPosition


async def test_all_tokens_that_expire_with_their_key_are_listed(redis: Redis) -> None:
    issued, now = IssuedTokens(redis), time.time()
    until = now + 600
    ids = sorted(new_id() for _ in range(100))
    for token_id in ids:
        token = BrowserToken(
            id=token_id, name="ada", issuer="api_key:k", issuer_name="k", streams=("work",),
            subjects=(), until=until,
        )  # fmt: skip
        await issued.add(token, now)
    for issuer in (ALL, "api_key:k"):
        after: TokenPosition | None = None
        listed: list[str] = []
        while after is not None or not listed:
            page, after = await issued.page(issuer, after, 10, now)
            listed += [token.id for token in page]
        assert listed == ids[::-1]
