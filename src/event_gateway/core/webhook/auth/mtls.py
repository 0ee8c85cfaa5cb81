"""``mtls``: a client certificate, which the connection presents; it sets no header.

:mod:`event_gateway.transport.tls_files` reads its files. The secret is the password of the
certificate's private key.
"""

from event_gateway.core.webhook.auth.method import AuthMethod, HiddenTexts, nothing_more

MTLS = AuthMethod(
    auth_type="mtls",
    required=("cert", "key"),
    optional=("ca", "secret_name"),
    header=None,
    authenticator=None,
    redaction=HiddenTexts(header=False, from_secret=nothing_more, from_header=nothing_more),
)
