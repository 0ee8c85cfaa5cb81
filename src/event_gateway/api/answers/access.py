"""Answers about API keys and tokens for browsers."""

from typing import Literal

from typing_extensions import TypedDict

from event_gateway.api.answers.common import Confidential, Duration, Time, Warned


class RequestLimitAnswer(TypedDict):
    """How many requests a key may send to a process."""

    requests: int
    per: Duration


class KeyAnswer(TypedDict):
    """An API key, without its value. ``file``: where the admin key is."""

    id: str
    name: str
    scopes: list[str]
    namespaces: list[str] | None
    types: list[str] | None
    streams: list[str] | None
    limits: RequestLimitAnswer | None
    created_at: Time | None
    created_by: str | None
    expires_at: Time | None
    rotated_at: Time | None
    former_until: Time | None
    used_at: Time | None
    managed_by: Literal["api", "file"]
    file: str | None


class ChangedKey(KeyAnswer):
    """An API key after a change."""

    warnings: list[Warned]


class NewKey(ChangedKey):
    """An API key with its value, which is shown this once."""

    key: Confidential


class TokenIssuer(TypedDict):
    """The key that issued a token: its id and its name."""

    method: str
    key: str
    name: str


class TokenAnswer(TypedDict):
    """A token for a browser, without its text."""

    id: str
    principal: str
    streams: list[str]
    subjects: list[str]
    namespaces: list[str] | None
    types: list[str] | None
    issued_by: TokenIssuer
    expires_at: Time


class NewToken(TokenAnswer):
    """A token with its text, which is shown this once."""

    token: Confidential
    warnings: list[Warned]


class CallerAnswer(TypedDict):
    """Who the caller is, and what it may do. ``namespaces``, ``types`` and ``streams``: what
    narrows its scopes, null where nothing does; ``operator``: it may do what concerns the whole
    installation; ``version``: the gateway's."""

    name: str
    method: Literal["api_key", "browser_token", "hmac", "jwt", "mtls"]
    id: str
    scopes: list[str]
    namespaces: list[str] | None
    types: list[str] | None
    streams: list[str] | None
    operator: bool
    expires_at: Time | None
    version: str
