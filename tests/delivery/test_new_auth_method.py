"""A new auth method is registered in one line, and its credential appears nowhere."""

import json

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
from support.client import Client, event
from support.receiver import Receiver

SECRET = "open-sesame-for-this-receiver"
CREDENTIAL = SECRET[::-1]


def _authenticator(
    _settings: Security, secrets: tuple[str, ...], _tokens: TokenSources
) -> Authenticator:
    line = header_line("X-Reversed", f"Rev {secrets[0][::-1]}")
    return lambda _id, _timestamp, _body: line


REVERSED = AuthMethod(
    auth_type="reversed",
    required=("secret_name",),
    optional=("username",),
    header=lambda _settings: "X-Reversed",
    authenticator=_authenticator,
    redaction=HiddenTexts(header=True, from_secret=nothing_more, from_header=nothing_more),
)


async def test_the_credential_of_a_new_method_appears_nowhere(
    client: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setitem(METHODS, "reversed", by_auth_type(REVERSED)["reversed"])
    monkeypatch.setenv("EVENT_GATEWAY_SECRET_KEY", SECRET)
    security = [{"auth_type": "reversed", "secret_name": "key"}]
    refused = await client.http.post(
        "/v1/webhooks",
        json={"id": "x", "url": f"{receiver.url}/w", "events": ["a.>"],
              "security": [security[0] | {"scope": "s"}]},
    )  # fmt: skip
    assert (refused.status_code, "reversed takes no scope" in refused.text) == (422, True)
    await client.webhook(
        id="w", url=f"{receiver.url}/w", events=["a.>"], security=security,
        retry_policy={"initial_delay": "10ms", "max_attempts": 2},
    )  # fmt: skip
    receiver.headers["/w"] = {
        "X-You-Sent": f"Rev {CREDENTIAL} or {SECRET}",
        CREDENTIAL: "1",
    }
    receiver.answers["/w"] = [500]
    sent = event("a.b")
    await client.send(sent)
    await client.until("w", sent["id"], "dead_letter")
    assert {result.headers["x-reversed"] for result in receiver.requests} == {f"Rev {CREDENTIAL}"}

    shown = {
        path: (await client.http.get(path)).text
        for path in (
            "/v1/webhooks/w", "/v1/webhooks", "/v1/webhooks/w/stats", "/metrics", "/readyz",
            f"/v1/deliveries/w/{sent['id']}", "/v1/deliveries?webhook=w", "/v1/dead-letters",
        )
    }  # fmt: skip
    tried = await client.http.post("/v1/webhooks/w/test")
    assert tried.json()["response"]["headers"]["x-you-sent"] == "[hidden] or [hidden]"
    preview = await client.http.post(
        "/v1/transformations/preview", json={"webhook": "w", "event": sent}
    )
    assert preview.json()["authentication"] == ["reversed"]
    shown |= {"test": tried.text, "preview": preview.text}
    letters = await client.stream_messages("GATEWAY_DEAD_LETTERS")
    shown["dead letters"] = "".join(f"{letter.headers}{letter.data!r}" for letter in letters)
    failed = await client.lifecycle_events(2, "webhook.failed")
    shown["lifecycle"] = json.dumps(client.lifecycle)
    out, err = capfd.readouterr()
    shown["logs"] = out + err
    assert letters
    assert failed
    assert "[hidden]" in shown[f"/v1/deliveries/w/{sent['id']}"] + tried.text
    for place, text in shown.items():
        for credential in (CREDENTIAL, SECRET):
            assert credential not in text, place
            assert credential.lower() not in text, place
