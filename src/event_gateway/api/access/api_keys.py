"""API keys: a key in a header."""

import hmac

from event_gateway.api.access.authenticator import Unauthenticated
from event_gateway.api.access.caller_request import CallerRequest
from event_gateway.core.access.principal import OPERATOR, Principal


class ApiKeys:
    """Checks the admin key. No dataclass: its ``repr`` must not show the key."""

    def __init__(self, admin_key: str) -> None:
        self._admin_key = admin_key.encode()

    async def authenticate(self, request: CallerRequest) -> Principal | None:
        """The holder of the key in ``Authorization: Bearer`` or ``X-API-Key``."""
        given = request.bearer
        if not given:
            return None
        if hmac.compare_digest(given.encode(), self._admin_key):
            return OPERATOR
        raise Unauthenticated("the key is not known")

    def still_valid(self, principal: Principal) -> bool:
        """A key is valid for as long as the process runs."""
        return True
