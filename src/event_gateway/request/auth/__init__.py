"""How the gateway proves to a receiver who it is.

An authenticator makes the header lines of one request. A new way is a module with a function that
makes an authenticator, a line in ``AUTHENTICATORS``, and one in
:mod:`event_gateway.core.webhook.security` that says which settings it takes.
"""

from collections.abc import Callable

from event_gateway.core.webhook.security import Security
from event_gateway.request.auth.api_key import api_key
from event_gateway.request.auth.basic import basic
from event_gateway.request.auth.bearer import bearer_token
from event_gateway.request.auth.oauth2 import oauth2_client_credentials
from event_gateway.request.auth.signature import hmac_signature
from event_gateway.request.auth.tokens import Tokens

# (webhook-id, webhook-timestamp, body) to complete header lines, each with its CRLF.
Authenticator = Callable[[bytes, bytes, bytes], bytes]

# The values of a secret, that in force first and behind it those that it has just replaced, make an
# authenticator; ValueError says why they cannot be used.
AUTHENTICATORS: dict[str, Callable[[Security, tuple[str, ...], Tokens], Authenticator]] = {
    "api_key": api_key,
    "basic": basic,
    "bearer_token": bearer_token,
    "hmac_signature": hmac_signature,
    "oauth2_client_credentials": oauth2_client_credentials,
}
