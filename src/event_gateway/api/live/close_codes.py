"""WebSocket close codes: those of RFC 6455, and the gateway's own in its private range."""

PROTOCOL_ERROR = 1002
UNSUPPORTED = 1003
POLICY = 1008
TOO_BIG = 1009
INTERNAL = 1011
GOING_AWAY = 1012  # "service restart": the client should connect again
TRY_AGAIN = 1013
UNAUTHENTICATED = 4401
FORBIDDEN = 4403
TOO_SLOW = 4408
TOO_MANY = 4429


def reason_of(code: int | None) -> str:
    """Why subscriptions ended, for lifecycle events. ``code``: with which the gateway closed their
    connection; None if the client closed it."""
    if code == TOO_SLOW:
        return "too slow"
    return "unauthenticated" if code == UNAUTHENTICATED else "closed"
