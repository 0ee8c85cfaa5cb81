"""API keys: a key in a header."""

from event_gateway.api.access.authenticator import Unauthenticated
from event_gateway.api.access.caller_request import CallerRequest
from event_gateway.core.access.api_key import is_made
from event_gateway.core.access.principal import Principal
from event_gateway.registration.key_ring import InvalidKey, KeyRing


class ApiKeys:
    """Checks keys against those of the key ring."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    def authenticate(self, request: CallerRequest) -> Principal | None:
        """The holder of the key in ``Authorization: Bearer`` or ``X-API-Key``."""
        given = request.bearer
        if not given:
            return None
        try:
            return self._ring.holder(given)
        except InvalidKey as error:
            raise Unauthenticated(str(error)) from None

    def not_guessed(self, request: CallerRequest) -> Principal | None:
        """The holder of a key that a gateway has made: its secret is random, while the admin key
        may be any text that an operator has written into its file."""
        given = request.bearer
        if not is_made(given):
            return None
        try:
            return self._ring.holder(given)
        except InvalidKey:
            return None

    def still_valid(self, principal: Principal) -> bool:
        """Whether the key is neither revoked nor expired, and allows no less than it did."""
        return self._ring.still_valid(principal)
