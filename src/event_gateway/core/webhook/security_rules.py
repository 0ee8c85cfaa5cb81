"""Checks a webhook's ``security`` before it is registered."""

import re
from collections.abc import Callable, Iterator

from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.webhook.auth import METHODS
from event_gateway.core.webhook.auth.method import AuthMethod
from event_gateway.core.webhook.headers import HEADER_NAME, is_reserved, normal
from event_gateway.core.webhook.security import CLIENT_AUTH, SECRET_NAME, Security, is_sealing_key

MAX_METHODS = 8
PATH_RULE = "must be a path within secrets.dir; only the configuration file may name others"
MAX_TEXT = 2048
MAX_PARAMS = 16
PARAM_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
# Parameters of a token request that have settings of their own, and those that are credentials.
_OWN_PARAMS = frozenset(("grant_type", "scope", "audience", "client_id", "client_secret"))
_SECRET_PARAMS = frozenset((
    "actor_token", "assertion", "client_assertion", "code", "password", "refresh_token",
    "subject_token",
))  # fmt: skip


def security_problems(
    methods: tuple[Security, ...],
    check_url: Callable[[str, str], object],
    headers: frozenset[str],
    any_file: bool,
) -> Iterator[InvalidDefinition]:
    """All problems of a webhook's ``security``.

    ``check_url`` raises InvalidDefinition for a URL and its key. ``headers``: those that
    the webhook configures, in the form in which names are compared.
    ``any_file``: files may be anywhere, not only in the folder of the secrets.
    """
    if len(methods) > MAX_METHODS:
        yield InvalidDefinition("security", f"has at most {MAX_METHODS} entries")
    used: set[str] = set()
    for position, settings in enumerate(methods[:MAX_METHODS]):
        at = f"security[{position}]"
        method = METHODS.get(settings.auth_type)
        if method is None:
            yield InvalidDefinition(
                f"{at}.auth_type", f"is unknown; there are: none, {', '.join(METHODS)}"
            )
            continue
        yield from _field_problems(settings, at, method)
        yield from _value_problems(settings, at, check_url, any_file)
        name = method.exclusive(settings)
        if normal(name) in used:
            yield InvalidDefinition(f"{at}.auth_type", f"{name} is set by an entry before it")
        if normal(name) in headers:
            yield InvalidDefinition(f"{at}.auth_type", f"{name} is also in headers")
        if "header" in method.settings and is_reserved(name):
            yield InvalidDefinition(f"{at}.header", f"{name} is set by the gateway itself")
        used.add(normal(name))


def _field_problems(settings: Security, at: str, method: AuthMethod) -> Iterator[InvalidDefinition]:
    for name in Security.__struct_fields__[1:]:
        value = getattr(settings, name)
        if name in method.required and not value:
            yield InvalidDefinition(f"{at}.{name}", f"{method.auth_type} needs a {name}")
        elif value and name not in method.settings:
            yield InvalidDefinition(f"{at}.{name}", f"{method.auth_type} takes no {name}")
        elif isinstance(value, dict):
            yield from _param_problems(value, f"{at}.{name}")
        elif value and (len(value) > MAX_TEXT or not value.isprintable()):
            yield InvalidDefinition(
                f"{at}.{name}", f"must be printable and of at most {MAX_TEXT} characters"
            )


def _param_problems(params: dict[str, str], at: str) -> Iterator[InvalidDefinition]:
    """Problems of the further parameters of a token request."""
    if len(params) > MAX_PARAMS:
        yield InvalidDefinition(at, f"has at most {MAX_PARAMS} entries")
        return
    for name, value in params.items():
        if PARAM_NAME.fullmatch(name) is None:
            yield InvalidDefinition(at, f"{name[:64]!r} is not of the form {PARAM_NAME.pattern}")
        elif name.lower() in _OWN_PARAMS:
            yield InvalidDefinition(f"{at}.{name}", "is set by the gateway itself")
        elif name.lower() in _SECRET_PARAMS:
            yield InvalidDefinition(f"{at}.{name}", "would store a secret in clear text")
        elif len(value) > MAX_TEXT or not value.isprintable():
            yield InvalidDefinition(
                f"{at}.{name}", f"must be printable and of at most {MAX_TEXT} characters"
            )


def _value_problems(
    settings: Security, at: str, check_url: Callable[[str, str], object], any_file: bool
) -> Iterator[InvalidDefinition]:
    name = settings.secret_name
    if name and SECRET_NAME.fullmatch(name) is None:
        yield InvalidDefinition(
            # The text is not shown: it may be the secret itself.
            f"{at}.secret_name",
            f"is not of the form {SECRET_NAME.pattern}: it is the name of a secret, not its value",
        )
    if name and is_sealing_key(name):
        yield InvalidDefinition(f"{at}.secret_name", "is the key that seals other secrets")
    if settings.header and HEADER_NAME.fullmatch(settings.header) is None:
        yield InvalidDefinition(f"{at}.header", "is not a header name")
    if ":" in settings.username:
        yield InvalidDefinition(f"{at}.username", "must not contain a colon (RFC 7617)")
    if settings.client_auth and settings.client_auth not in CLIENT_AUTH:
        yield InvalidDefinition(f"{at}.client_auth", f"must be {' or '.join(CLIENT_AUTH)}")
    if settings.token_url:
        try:
            check_url(settings.token_url, f"{at}.token_url")
        except InvalidDefinition as problem:
            yield problem
    for field in ("cert", "key", "ca"):
        path = getattr(settings, field)
        if path and not any_file and leads_out(path):
            yield InvalidDefinition(f"{at}.{field}", PATH_RULE)


def leads_out(path: str) -> bool:
    """Whether a path leads out of the folder to which it is relative."""
    return path.startswith("/") or ".." in path.split("/")
