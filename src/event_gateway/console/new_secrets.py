"""Random values of secrets that the console makes where its user gives none."""

import base64
import secrets

SIZE = 32  # bytes


def standard_webhooks_key() -> str:
    """A key that signs as Standard Webhooks says: ``whsec_`` and base64."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(SIZE)).decode()}"


def random_secret() -> str:
    """A secret of letters and digits, which any provider takes."""
    return secrets.token_hex(SIZE)
