"""A webhook's ``security``: the settings with which the gateway authenticates at a receiver."""

import re
from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

SECRET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
SEALED_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")  # of a secret in the registry
SEALING_KEY = "sealing_key"  # the secret that seals the others; nothing can name it
API_KEY_HEADER = "X-API-Key"
CLIENT_AUTH = ("basic", "body")


class Security(msgspec.Struct, frozen=True, omit_defaults=True):
    """The settings of one auth method. Which of them it takes, ``auth_type`` decides
    (:mod:`event_gateway.core.webhook.auth`).

    Secrets come by name and are never in here. ``header``: that of an API key. ``username``: for
    basic; without it the secret is ``user:password``. ``token_url``, ``client_id``, ``scope``,
    ``client_auth``, ``audience``, ``params`` (further parameters of the token request): of OAuth
    2.0 client credentials. ``cert``, ``key``, ``ca``: paths of PEM files.
    """

    auth_type: str
    secret_name: str | None = None
    header: str = ""
    username: str = ""
    token_url: str = ""
    client_id: str = ""
    scope: str = ""
    client_auth: str = ""
    audience: str = ""
    params: dict[str, str] = msgspec.field(default_factory=dict)
    cert: str = ""
    key: str = ""
    ca: str = ""


def tls_files_of(security: Iterable[Security], ca: str) -> Security | None:
    """The settings that name a webhook's TLS files: its client certificate, and its authorities,
    which are ``ca`` unless the method mtls names others. None if it has neither."""
    mtls = next((settings for settings in security if settings.auth_type == "mtls"), None)
    if mtls is None and not ca:
        return None
    files = mtls or Security("mtls")
    return replace(files, ca=files.ca or ca)


def is_sealing_key(name: str) -> bool:
    """Whether a name leads to the sealing key: names are equal if they lead to one environment
    variable, or to one file where the file system ignores case."""
    return name.upper().replace("-", "_").replace(".", "_") == SEALING_KEY.upper()
