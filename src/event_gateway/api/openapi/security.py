"""How callers prove themselves, as OpenAPI's security schemes."""

from collections.abc import Iterable
from typing import Any

from event_gateway.core.access.scope import SCOPES

_KEY_IN_HEADER = {"type": "apiKey", "in": "header", "name": "X-API-Key"}
# By the name of the method: its schemes. Several in one requirement are needed together.
_METHODS: dict[str, list[dict[str, dict[str, Any]]]] = {
    "api_key": [
        {"ApiKey": {"type": "http", "scheme": "bearer", "description": "An API key."}},
        {"ApiKeyHeader": {**_KEY_IN_HEADER, "description": "The same API key."}},
    ],
    "jwt": [
        {"JWT": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                 "description": "A token of a configured issuer (OAuth 2.0)."}},
    ],
    "hmac": [
        {name: {"type": "apiKey", "in": "header", "name": header,
                "description": "A signature of the request, as Standard Webhooks has it."}
         for name, header in (("SignatureKey", "webhook-key-id"),
                              ("SignatureId", "webhook-id"),
                              ("SignatureTime", "webhook-timestamp"),
                              ("Signature", "webhook-signature"))},
    ],
    "mtls": [{"ClientCertificate": {"type": "mutualTLS"}}],
    "browser_token": [
        {"BrowserToken": {"type": "apiKey", "in": "query", "name": "token",
                          "description": "A token of POST /v1/tokens. It opens streams only."}},
    ],
}  # fmt: skip


def security_schemes(methods: Iterable[str]) -> dict[str, Any]:
    """The schemes of the methods that are in use, by name."""
    schemes: dict[str, Any] = {}
    for method in methods:
        for together in _METHODS[method]:
            schemes |= together
    return schemes


def requirements(methods: Iterable[str], scope: str, *, live: bool) -> list[dict[str, list[str]]]:
    """What an operation requires: one of these. ``scope``: empty for any caller; ``live``: it
    is for events of a stream, which a browser token opens too."""
    return [
        {name: [scope] if scope else [] for name in together}
        for method in methods
        if live or method != "browser_token"
        for together in _METHODS[method]
    ]


def scope_note(scope: str, *, unconfined: bool = False) -> str:
    """The sentence that says what an operation requires. ``scope``: empty for any caller."""
    if not scope:
        return "Needs a valid credential, of whatever scope."
    narrowed = ", not narrowed to namespaces, types or streams" if unconfined else ""
    return f"Needs the scope `{scope}`{narrowed}."


def scope_list() -> str:
    """All scopes, as a list in Markdown."""
    return "\n".join(f"- `{name}`: {description}" for name, description in SCOPES.items())
