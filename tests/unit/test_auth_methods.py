"""An auth method is registered only with its settings, its header and its redaction."""

from pathlib import Path
from typing import Any

import pytest

from event_gateway.core.webhook.auth import METHODS
from event_gateway.core.webhook.auth.method import (
    Authenticator,
    AuthMethod,
    HiddenTexts,
    TokenSources,
    by_auth_type,
    header_line,
    nothing_more,
)
from event_gateway.core.webhook.security import Security
from event_gateway.request.access_tokens import AccessTokens
from event_gateway.request.authentication import Authentication
from event_gateway.request.request import Request, Unsendable
from event_gateway.secrets.external import ExternalSecrets
from event_gateway.secrets.named import Secrets
from event_gateway.transport.client import HttpClient, Response
from event_gateway.transport.egress_guard import EgressGuard

SECRET = "the-secret-of-the-receiver"
SETTINGS = Security("reversed", "key")


def _authenticator(
    _settings: Security, secrets: tuple[str, ...], _tokens: TokenSources
) -> Authenticator:
    line = header_line("X-Reversed", f"Rev {secrets[0][::-1]}")
    return lambda _id, _timestamp, _body: line


DECLARED: dict[str, Any] = {
    "auth_type": "reversed",
    "required": ("secret_name",),
    "optional": (),
    "header": lambda _settings: "X-Reversed",
    "authenticator": _authenticator,
    "redaction": HiddenTexts(header=True, from_secret=nothing_more, from_header=nothing_more),
}


def authentication(monkeypatch: pytest.MonkeyPatch, **changed: Any) -> Authentication:
    registered = by_auth_type(AuthMethod(**DECLARED | changed))
    monkeypatch.setitem(METHODS, "reversed", registered["reversed"])
    secrets = Secrets(ExternalSecrets({"S_KEY": SECRET}, "S_", Path("/nonexistent")))
    return Authentication((SETTINGS,), secrets, AccessTokens(HttpClient(EgressGuard())))


@pytest.mark.parametrize("missing", ["redaction", "header", "authenticator", "required"])
def test_a_method_without_a_declaration_cannot_be_made(missing: str) -> None:
    declared = {name: value for name, value in DECLARED.items() if name != missing}
    with pytest.raises(TypeError, match=missing):
        AuthMethod(**declared)


@pytest.mark.parametrize("missing", ["header", "from_secret", "from_header"])
def test_redaction_has_no_defaults(missing: str) -> None:
    declared: dict[str, Any] = {
        "header": True, "from_secret": nothing_more, "from_header": nothing_more,
    }  # fmt: skip
    del declared[missing]
    with pytest.raises(TypeError, match=missing):
        HiddenTexts(**declared)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"redaction": None}, "does not declare what must be redacted"),
        ({"header": None}, "header and authenticator go together"),
        ({"authenticator": None}, "header and authenticator go together"),
        ({"optional": ("colour",)}, "Security has no field colour"),
        ({"auth_type": "none"}, "a method of this name already"),
        ({"auth_type": "basic"}, "a method of this name already"),
    ],
)
def test_invalid_methods_are_not_registered(changed: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        by_auth_type(METHODS["basic"], AuthMethod(**DECLARED | changed))


def test_the_declared_header_is_redacted(monkeypatch: pytest.MonkeyPatch) -> None:
    result = authentication(monkeypatch)
    line = result.lines(b"id", b"0", b"")
    assert line == f"x-reversed: Rev {SECRET[::-1]}\r\n".encode()
    head = b"POST / HTTP/1.1\r\n%b\r\n" % line
    echo = Response(500, {"x-you-sent": line.decode()}, SECRET[::-1].encode(), False)
    result.redact(Request(head, b""), echo)
    assert SECRET[::-1] not in f"{echo}"
    assert echo.body == b"[hidden]"


@pytest.mark.parametrize(
    "line",
    [
        b"x-other: %b\r\n" % SECRET.encode(),
        b"x-reversed: 1\r\nx-other: %b\r\n" % SECRET.encode(),
        b"x-reversed: %b" % SECRET.encode(),
        b"",
    ],
)
def test_no_other_header_leaves_the_gateway(monkeypatch: pytest.MonkeyPatch, line: bytes) -> None:
    result = authentication(monkeypatch, authenticator=lambda *_: lambda *_: line)
    for _ in range(2):  # each attempt, not only the first
        with pytest.raises(Unsendable, match="another header") as refused:
            result.lines(b"id", b"0", b"")
        assert SECRET not in str(refused.value)
