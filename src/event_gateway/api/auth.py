"""Who may talk to the API: for now whoever holds the admin key."""

import hmac
from collections.abc import Mapping

from event_gateway.api.problems import Problem


def authenticated(headers: Mapping[str, str], key: str) -> bool:
    """Whether ``Authorization: Bearer`` or ``X-API-Key`` holds the key."""
    given = headers.get("x-api-key", "")
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        given = token.strip()
    return hmac.compare_digest(given.encode(), key.encode())


def require(headers: Mapping[str, str], key: str) -> None:
    """Raises the 401 problem where the request does not hold the key."""
    if not authenticated(headers, key):
        raise Problem(
            401, "send the key as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'",
            {"WWW-Authenticate": "Bearer"},
        )  # fmt: skip
