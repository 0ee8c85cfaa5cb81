"""How the gateway proves to a receiver who it is: what a webhook's ``security`` may say."""

import re
from collections.abc import Callable, Iterator

import msgspec

from event_gateway.core.errors import InvalidDefinition

SECRET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
SEALED_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")  # of one that the registry keeps
SEALING_KEY = "sealing_key"  # the secret under which others are sealed is for no receiver
MAX_METHODS = 8
MAX_TEXT = 2048
HEADER_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")
API_KEY_HEADER = "X-API-Key"
CLIENT_AUTH = ("basic", "body")


class Security(msgspec.Struct, frozen=True, omit_defaults=True):
    """One way to authenticate; which fields it takes depends on ``auth_type``.

    Secrets come by name and are never in here. ``header``: that of an API key. ``username``: for
    basic; without it the secret is ``user:password``. ``token_url``, ``client_id``, ``scope``,
    ``client_auth``: of OAuth 2.0 client credentials. ``cert``, ``key``, ``ca``: paths of PEM files.
    """

    auth_type: str
    secret_name: str | None = None
    header: str = ""
    username: str = ""
    token_url: str = ""
    client_id: str = ""
    scope: str = ""
    client_auth: str = ""
    cert: str = ""
    key: str = ""
    ca: str = ""


# What each way must have, and what it may have beyond that.
_FIELDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "api_key": (("secret_name",), ("header",)),
    "bearer_token": (("secret_name",), ()),
    "basic": (("secret_name",), ("username",)),
    "oauth2_client_credentials": (
        ("token_url", "client_id", "secret_name"), ("scope", "client_auth")
    ),
    "hmac_signature": (("secret_name",), ()),
    "mtls": (("cert", "key"), ("ca", "secret_name")),
}  # fmt: skip
AUTH_TYPES = tuple(_FIELDS)
# Those that make the same header cannot be combined.
_ONCE = {"bearer_token": "Authorization", "basic": "Authorization",
         "oauth2_client_credentials": "Authorization", "hmac_signature": "webhook-signature",
         "mtls": "the client certificate"}  # fmt: skip


def security_problems(
    methods: tuple[Security, ...],
    check_url: Callable[[str, str], object],
    reserved: frozenset[str],
    headers: frozenset[str],
    any_file: bool,
) -> Iterator[InvalidDefinition]:
    """All that stands against a webhook's ways to authenticate.

    ``check_url`` raises InvalidDefinition for a URL and its key; ``reserved``: headers that the
    gateway sets, and ``headers`` those that the webhook has anyway, in small letters; ``any_file``:
    files may be anywhere, not only in the folder of the secrets.
    """
    if len(methods) > MAX_METHODS:
        yield InvalidDefinition("security", f"has at most {MAX_METHODS} entries")
    made: set[str] = set()
    for position, method in enumerate(methods[:MAX_METHODS]):
        at = f"security[{position}]"
        fields = _FIELDS.get(method.auth_type)
        if fields is None:
            yield InvalidDefinition(
                f"{at}.auth_type",
                f"is unknown; there are: none, {', '.join(AUTH_TYPES)}",
            )
            continue
        yield from _field_problems(method, at, *fields)
        yield from _value_problems(method, at, check_url, any_file)
        header = method.header or API_KEY_HEADER
        what = _ONCE.get(method.auth_type, header)
        if what.lower() in made:
            yield InvalidDefinition(f"{at}.auth_type", f"{what} is set by an entry before it")
        if what.lower() in headers:
            yield InvalidDefinition(f"{at}.auth_type", f"{what} is also in headers")
        if method.auth_type == "api_key" and (
            header.lower() in reserved or header.lower().startswith("ce-")
        ):
            yield InvalidDefinition(f"{at}.header", f"{header} is set by the gateway itself")
        made.add(what.lower())


def _field_problems(
    method: Security, at: str, needed: tuple[str, ...], allowed: tuple[str, ...]
) -> Iterator[InvalidDefinition]:
    for name in Security.__struct_fields__[1:]:
        value = getattr(method, name)
        if name in needed and not value:
            yield InvalidDefinition(f"{at}.{name}", f"{method.auth_type} needs a {name}")
        elif value and name not in needed and name not in allowed:
            yield InvalidDefinition(f"{at}.{name}", f"{method.auth_type} takes no {name}")
        elif value and (len(value) > MAX_TEXT or not value.isprintable()):
            yield InvalidDefinition(
                f"{at}.{name}", f"must be printable and of at most {MAX_TEXT} characters"
            )


def _value_problems(
    method: Security, at: str, check_url: Callable[[str, str], object], any_file: bool
) -> Iterator[InvalidDefinition]:
    name = method.secret_name
    if name and SECRET_NAME.fullmatch(name) is None:
        yield InvalidDefinition(
            # It is not repeated: it may be the secret itself.
            f"{at}.secret_name",
            f"is not of the form {SECRET_NAME.pattern}: it is a name, no value",
        )
    if name and name.lower().replace("-", "_") == SEALING_KEY:
        yield InvalidDefinition(
            f"{at}.secret_name", "is the key that other secrets are sealed with"
        )
    if method.header and HEADER_NAME.fullmatch(method.header) is None:
        yield InvalidDefinition(f"{at}.header", "is no header name")
    if ":" in method.username:
        yield InvalidDefinition(f"{at}.username", "must not hold a colon (RFC 7617)")
    if method.client_auth and method.client_auth not in CLIENT_AUTH:
        yield InvalidDefinition(f"{at}.client_auth", f"must be {' or '.join(CLIENT_AUTH)}")
    if method.token_url:
        try:
            check_url(method.token_url, f"{at}.token_url")
        except InvalidDefinition as problem:
            yield problem
    for field in ("cert", "key", "ca"):
        path = getattr(method, field)
        if path and not any_file and (path.startswith("/") or ".." in path.split("/")):
            yield InvalidDefinition(
                f"{at}.{field}", "must be a path within secrets.dir: others only from the file"
            )
