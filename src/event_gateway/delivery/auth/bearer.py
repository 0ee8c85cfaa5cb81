"""``bearer_token``: the secret as it is, in ``Authorization`` (RFC 6750, section 2.1)."""

from collections.abc import Callable


def bearer_token(secret: str) -> Callable[[bytes, bytes, bytes], bytes]:
    """An authenticator. Raises ValueError where the secret cannot stand in a header."""
    if not secret.isascii() or not secret.isprintable():
        raise ValueError("the token holds characters that a header cannot carry")
    line = b"authorization: Bearer %b\r\n" % secret.encode()

    def authenticate(_id: bytes, _timestamp: bytes, _body: bytes) -> bytes:
        return line

    return authenticate
