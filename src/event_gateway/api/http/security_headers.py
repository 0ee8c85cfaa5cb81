"""Headers that every answer has, so that a browser does with it only what it is for.

What a route says itself stays: pages have a policy of their own, and the public signing keys may be
stored. Everything else may be a caller's secret, and is not.
"""

_LINES = b"x-content-type-options: nosniff\r\nreferrer-policy: no-referrer\r\n"
_NO_STORE = b"cache-control: no-store\r\n"
# Of data, which loads nothing and belongs into no frame.
_POLICY = b"content-security-policy: default-src 'none'; frame-ancestors 'none'\r\n"
_ONLY_TLS = b"strict-transport-security: max-age=31536000\r\n"
_ALL = _LINES + _NO_STORE + _POLICY
_ALL_OVER_TLS = _ALL + _ONLY_TLS


def security_lines(*, stored: bool, policy: bool, secure: bool) -> bytes:
    """The header lines of an answer. ``stored``: it says itself how long it may be stored;
    ``policy``: it has a content security policy; ``secure``: it goes over the gateway's TLS."""
    if not (stored or policy):
        return _ALL_OVER_TLS if secure else _ALL
    lines = _LINES
    if not stored:
        lines += _NO_STORE
    if not policy:
        lines += _POLICY
    return lines + _ONLY_TLS if secure else lines
