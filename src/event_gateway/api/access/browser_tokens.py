"""Browser tokens: short-lived, in a header or in ``?token=``, as browsers set no headers."""

from event_gateway.api.access.authenticator import Unauthenticated
from event_gateway.api.access.caller_request import CallerRequest
from event_gateway.core.access.browser_token import PREFIX, InvalidToken
from event_gateway.core.access.principal import Principal
from event_gateway.registration.tokens import Tokens


class BrowserTokens:
    """Checks tokens."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def authenticate(self, request: CallerRequest) -> Principal | None:
        """The holder of a token."""
        token = request.bearer
        if request.has_query:
            token = request.parameter("token") or token
        if not token.startswith(PREFIX):
            return None
        try:
            return self._tokens.holder(token)
        except InvalidToken as error:
            raise Unauthenticated(str(error), guess=not error.signed) from None

    def still_valid(self, principal: Principal) -> bool:
        """Whether the token and the key that issued it are neither revoked nor expired."""
        return self._tokens.still_valid(principal)
