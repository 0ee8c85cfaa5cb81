"""Auth methods: how the gateway authenticates at a receiver.

Each module declares one method: its settings, how it makes its header line, and what must be
redacted. A new method is a module here and an entry in ``METHODS``:
docs/development/how-to-add.md.
"""

from event_gateway.core.webhook.auth.api_key import API_KEY
from event_gateway.core.webhook.auth.basic import BASIC
from event_gateway.core.webhook.auth.bearer_token import BEARER_TOKEN
from event_gateway.core.webhook.auth.hmac_signature import HMAC_SIGNATURE
from event_gateway.core.webhook.auth.method import by_auth_type
from event_gateway.core.webhook.auth.mtls import MTLS
from event_gateway.core.webhook.auth.oauth2_client_credentials import OAUTH2_CLIENT_CREDENTIALS

# In the order in which the reference documents them.
METHODS = by_auth_type(
    API_KEY,
    BEARER_TOKEN,
    BASIC,
    OAUTH2_CLIENT_CREDENTIALS,
    HMAC_SIGNATURE,
    MTLS,
)
AUTH_TYPES = tuple(METHODS)
