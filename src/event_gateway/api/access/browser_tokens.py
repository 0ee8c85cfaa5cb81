"""Browser tokens: short-lived, in a header or in ``?token=``, as browsers set no headers."""

import time

from event_gateway.api.access.authenticator import Unauthenticated
from event_gateway.api.access.caller_request import CallerRequest
from event_gateway.core.access.browser_token import PREFIX, InvalidToken, issue, read
from event_gateway.core.access.principal import Principal


class BrowserTokens:
    """Issues and checks tokens. No dataclass: its ``repr`` must not show the key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    async def authenticate(self, request: CallerRequest) -> Principal | None:
        """The holder of a token."""
        token = request.parameter("token") or request.bearer
        if not token.startswith(PREFIX):
            return None
        try:
            return read(self._key, token, time.time())
        except InvalidToken as error:
            raise Unauthenticated(str(error)) from None

    def still_valid(self, principal: Principal) -> bool:
        """Whether the token has not expired."""
        return principal.expires_at is None or time.time() < principal.expires_at

    def issue(self, principal: Principal, until: float) -> str:
        """A token for a principal; ``until`` in seconds since the epoch."""
        return issue(self._key, principal, until)
