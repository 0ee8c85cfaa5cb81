"""``hmac_signature``: HMAC-SHA256 as in Standard Webhooks 1.0, scheme ``v1``."""

import base64
import binascii
import hmac
from collections.abc import Callable

PREFIX = "whsec_"


def hmac_signature(secret: str) -> Callable[[bytes, bytes, bytes], bytes]:
    """An authenticator. The secret is base64, with or without ``whsec_``.

    Raises ValueError where it is not, or is empty.
    """
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("a signing secret is base64, with or without whsec_ before it") from None
    if not key:
        raise ValueError("the signing secret is empty")
    keyed = hmac.new(key, digestmod="sha256")  # the key schedule is paid for once

    def authenticate(message_id: bytes, timestamp: bytes, body: bytes) -> bytes:
        mac = keyed.copy()
        mac.update(b"%b.%b.%b" % (message_id, timestamp, body))
        return b"webhook-signature: v1,%b\r\n" % base64.b64encode(mac.digest())

    return authenticate
