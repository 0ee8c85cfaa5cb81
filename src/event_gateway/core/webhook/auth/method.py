"""The declaration of an auth method: its settings, its header, and what must be redacted."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from event_gateway.core.webhook.security import Security

MAX_VALUE = 16 * 1024  # characters of a header's value
SETTINGS = frozenset(Security.__struct_fields__[1:])

# (webhook-id, webhook-timestamp, body) to the complete header line with its CRLF.
Authenticator = Callable[[bytes, bytes, bytes], bytes]


class TokenSource(Protocol):
    """Returns the header line with an access token; raises if there is no valid token."""

    def line(self) -> bytes: ...


class TokenSources(Protocol):
    """Finds the token source of a method's client, scope and secret."""

    def source(self, method: Security, secret: str) -> TokenSource: ...


# From the settings, the values of the secret (the current value first, then those that it has just
# replaced) and the token sources. Raises ValueError, without the secret, if they cannot be used.
MakeAuthenticator = Callable[[Security, tuple[str, ...], TokenSources], Authenticator]


def nothing_more(*_arguments: object) -> tuple[str, ...]:
    """For :class:`HiddenTexts`: no further texts."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HiddenTexts:
    """The texts to hide in what the gateway shows. There are no defaults: each method decides.

    The secret itself, and each of its words, is always hidden. ``header``: whether the value of the
    header that the method sets is hidden too, whole and without its scheme. ``from_secret``:
    returns further texts to hide, from the settings and a secret. ``from_header``: returns further
    texts to hide, from a sent value of that header; the secret may have changed since.
    """

    header: bool
    from_secret: Callable[[Security, str], Iterable[str]]
    from_header: Callable[[str], Iterable[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthMethod:
    """One way to authenticate at a receiver.

    ``required`` and ``optional`` name the fields of :class:`Security` that it takes. ``header``
    returns the name of the header that it sets, from the settings; None for the client certificate,
    which sets none. ``uses_token``: the header contains an access token; if a receiver answers 401,
    the gateway fetches a new one.
    """

    auth_type: str
    required: tuple[str, ...]
    optional: tuple[str, ...]
    header: Callable[[Security], str] | None
    authenticator: MakeAuthenticator | None
    redaction: HiddenTexts
    uses_token: bool = False

    @property
    def settings(self) -> tuple[str, ...]:
        """The fields of :class:`Security` that it takes."""
        return self.required + self.optional

    def exclusive(self, settings: Security) -> str:
        """The name of what only one method of a webhook can set: a header, or the certificate."""
        return "the client certificate" if self.header is None else self.header(settings)


def by_auth_type(*methods: AuthMethod) -> dict[str, AuthMethod]:
    """The registered methods by their ``auth_type``.

    Raises ValueError if two have the same name, or if a method takes a setting that
    :class:`Security` does not have, declares no redaction, or sets a header without naming it.
    """
    registered: dict[str, AuthMethod] = {}
    for method in methods:
        name = method.auth_type
        if name in registered or name == "none":
            raise ValueError(f"{name}: there is a method of this name already")
        unknown = {*method.required, *method.optional} - SETTINGS
        if unknown:
            raise ValueError(f"{name}: Security has no field {', '.join(sorted(unknown))}")
        if not isinstance(method.redaction, HiddenTexts):
            raise ValueError(f"{name}: it does not declare what must be redacted")
        if (method.header is None) != (method.authenticator is None):
            raise ValueError(f"{name}: header and authenticator go together")
        registered[name] = method
    return registered


def authorization(_settings: Security) -> str:
    """For :class:`AuthMethod`: the header ``Authorization``."""
    return "Authorization"


def header_line(name: str, value: str) -> bytes:
    """The complete line with its CRLF.

    Raises ValueError, without the value, if a header cannot carry it.
    """
    if not value.isascii() or not value.isprintable():
        raise ValueError("it contains characters that a header cannot carry")
    if len(value) > MAX_VALUE:
        raise ValueError(f"it is longer than {MAX_VALUE} characters")
    return f"{name.lower()}: {value}\r\n".encode()
