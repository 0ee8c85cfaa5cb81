"""How the gateway proves to a receiver who it is.

An authenticator makes the header lines of one request. A new way is a module with a function that
makes an authenticator of a secret, and a line in ``AUTHENTICATORS``.
"""

from collections.abc import Callable

from event_gateway.delivery.auth.bearer import bearer_token
from event_gateway.delivery.auth.signature import hmac_signature

# (webhook-id, webhook-timestamp, body) to complete header lines, each with its CRLF.
Authenticator = Callable[[bytes, bytes, bytes], bytes]

AUTHENTICATORS: dict[str, Callable[[str], Authenticator]] = {
    "bearer_token": bearer_token,
    "hmac_signature": hmac_signature,
}
