"""Sessions of the console whose key is renewed while the gateway is away."""

import time
from typing import Any, cast

from event_gateway.client import GatewayUnreachable
from event_gateway.console.oidc import IssuedToken
from event_gateway.console.renewal import Renewal
from event_gateway.console.sessions import Session


class _Provider:
    """Takes each token once, as providers do that rotate them."""

    def __init__(self) -> None:
        self.taken: list[str] = []

    async def refresh(self, kind: str, refresh: str) -> IssuedToken:
        assert refresh not in self.taken
        self.taken.append(refresh)
        return IssuedToken(f"key-{len(self.taken)}", kind, f"refresh-{len(self.taken)}")


class _NoGateway:
    def client(self, _key: str) -> "_NoGateway":
        return self

    async def show_caller(self) -> dict[str, Any]:
        raise GatewayUnreachable("nobody listens")


async def test_a_new_refresh_token_is_kept_while_the_gateway_is_away() -> None:
    """The provider takes the former one no more: the user would be signed out."""
    provider = _Provider()
    renewal = Renewal(cast(Any, provider), cast(Any, _NoGateway()))
    first = Session(
        key="key-0", csrf="x", until=time.time() + 9999, key_until=time.time(), refresh="refresh-0"
    )
    second = await renewal.current(first)
    assert second is not None
    assert (second.key, second.refresh) == ("key-1", "refresh-1")
    assert await renewal.current(first) == second  # another request of the same page
    third = await renewal.current(second)
    assert third is not None
    assert third.refresh == "refresh-2"
    assert provider.taken == ["refresh-0", "refresh-1"]
