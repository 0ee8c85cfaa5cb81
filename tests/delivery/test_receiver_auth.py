"""Authentication at receivers: what the gateway sends, and how it handles refusals."""

import asyncio
import base64
import gzip
import hmac
import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest
import standardwebhooks
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from support.client import Client, event
from support.patience import PATIENCE
from support.receiver import Receiver
from support.scripted_server import ScriptedServer
from support.token_server import TokenServer, running_token_server

pytestmark = pytest.mark.shared

SEED = bytes(range(32))
PUBLIC = Ed25519PrivateKey.from_private_bytes(SEED).public_key().public_bytes_raw()
FIRST, SECOND = (base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))
FAST: dict[str, Any] = {
    "retry_policy": {"initial_delay": "50ms", "max_attempts": 4},
    "circuit_breaker": {"failure_threshold": 100},
}


def _set(monkeypatch: pytest.MonkeyPatch, **secrets: str) -> None:
    for name, value in secrets.items():
        monkeypatch.setenv(f"EVENT_GATEWAY_SECRET_{name.upper()}", value)


async def _hook(client: Client, receiver: Receiver, *security: Any, **more: Any) -> None:
    await client.webhook(
        id="w", url=f"{receiver.url}/w", events=["a.>"], security=list(security), **FAST | more
    )


async def _delivered(client: Client, receiver: Receiver, count: int = 1) -> Any:
    sent = event("a.b")
    await client.send(sent)
    await receiver.until(count)
    await client.until("w", sent["id"], "succeeded")
    return receiver.requests[-1]


@pytest.fixture
async def tokens() -> AsyncIterator[TokenServer]:
    async with running_token_server() as first:
        yield first


@pytest.mark.parametrize(
    ("security", "secret", "header", "value"),
    [
        ({"auth_type": "api_key"}, "k3y", "x-api-key", "k3y"),
        ({"auth_type": "api_key", "header": "X-Tenant_Key"}, "k3y", "x-tenant_key", "k3y"),
        ({"auth_type": "bearer_token"}, "t0ken", "authorization", "Bearer t0ken"),
        ({"auth_type": "basic", "username": "Aladdin"}, "open sesame", "authorization",
         "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),  # the example of RFC 7617
        ({"auth_type": "basic"}, "Aladdin:open sesame", "authorization",
         "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        ({"auth_type": "basic", "username": "test"}, "123\u00a3", "authorization",
         "Basic dGVzdDoxMjPCow=="),  # UTF-8, likewise
    ],
)  # fmt: skip
@pytest.mark.alone
async def test_static_credentials(
    client: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch,
    security: dict[str, str], secret: str, header: str, value: str,
) -> None:  # fmt: skip
    _set(monkeypatch, theirs=secret)
    await _hook(client, receiver, security | {"secret_name": "theirs"})
    request = await _delivered(client, receiver)
    assert request.headers[header] == value


async def test_auth_methods_are_combined(
    client: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    _set(monkeypatch, key="k3y", token="t0ken", signing=FIRST)
    await _hook(
        client, receiver,
        {"auth_type": "api_key", "secret_name": "key"},
        {"auth_type": "bearer_token", "secret_name": "token"},
        {"auth_type": "hmac_signature", "secret_name": "signing"},
    )  # fmt: skip
    request = await _delivered(client, receiver)
    assert (request.headers["x-api-key"], request.headers["authorization"]) == (
        "k3y",
        "Bearer t0ken",
    )
    standardwebhooks.Webhook(FIRST).verify(request.body, request.headers)


CLIENT = {"auth_type": "oauth2_client_credentials", "secret_name": "a", "client_id": "c"}
TOKENS = CLIENT | {"token_url": "https://auth.example/t"}
BAD_SETTINGS: list[tuple[list[Any], str]] = [
    ([{"auth_type": "basic", "secret_name": "a"}, {"auth_type": "bearer_token",
      "secret_name": "b"}], "security.1.auth_type"),
    ([{"auth_type": "api_key", "secret_name": "a", "header": "Webhook-Id"}], "security.0.header"),
    ([{"auth_type": "api_key", "secret_name": "a", "header": "X Y"}], "security.0.header"),
    ([{"auth_type": "api_key", "secret_name": "a", "header": "X\nY"}], "security.0.header"),
    ([{"auth_type": "basic", "secret_name": "a", "username": "x:y"}], "security.0.username"),
    ([{"auth_type": "bearer_token", "secret_name": "a", "header": "X"}], "security.0.header"),
    ([{"auth_type": "bearer_token", "secret_name": "../a"}], "security.0.secret_name"),
    ([{"auth_type": "bearer_token", "secret_name": "sealing_key"}], "security.0.secret_name"),
    ([CLIENT], "security.0.token_url"),
    ([CLIENT | {"token_url": "https://u:p@auth.example/t"}], "security.0.token_url"),
    ([CLIENT | {"token_url": "https://169.254.169.254/t"}], "security.0.token_url"),
    ([CLIENT | {"token_url": "https://auth.example/t", "client_auth": "no"}],
     "security.0.client_auth"),
    ([TOKENS | {"params": {"grant_type": "password"}}], "security.0.params.grant_type"),
    ([TOKENS | {"params": {"Client_Secret": "x"}}], "security.0.params.Client_Secret"),
    ([TOKENS | {"params": {"audience": "x"}}], "security.0.params.audience"),
    ([TOKENS | {"params": {"password": "hunter2"}}], "security.0.params.password"),
    ([TOKENS | {"params": {"a&b": "x"}}], "security.0.params"),
    ([TOKENS | {"params": {"": "x"}}], "security.0.params"),
    ([TOKENS | {"params": {"a": "x\ny"}}], "security.0.params.a"),
    ([TOKENS | {"params": {"a": "x" * 3000}}], "security.0.params.a"),
    ([TOKENS | {"params": {f"p{n}": "x" for n in range(17)}}], "security.0.params"),
    ([TOKENS | {"audience": "a\rb"}], "security.0.audience"),
    ([{"auth_type": "bearer_token", "secret_name": "a", "params": {"a": "b"}}],
     "security.0.params"),
    ([{"auth_type": "mtls", "cert": "c.pem"}], "security.0.key"),
    ([{"auth_type": "mtls", "cert": "/etc/passwd", "key": "k.pem"}], "security.0.cert"),
    ([{"auth_type": "mtls", "cert": "c.pem", "key": "a/../../k.pem"}], "security.0.key"),
]  # fmt: skip


async def test_settings_that_are_refused(client: Client, subtests: pytest.Subtests) -> None:
    body = {"id": "w", "url": "https://receiver.example/", "events": ["a"]}
    for security, key in BAD_SETTINGS:
        with subtests.test(security=security, key=key):
            answer = await client.http.post("/v1/webhooks", json=body | {"security": security})
            assert answer.status_code == 422, answer.text
            expected = key.replace(".0.", "[0].").replace(".1.", "[1].")
            assert answer.json()["errors"][0]["key"] == expected


# Signatures


def _v1(key: str, request: Any) -> str:
    """The signature as Standard Webhooks defines it: HMAC-SHA256 of id.timestamp.body."""
    content = (
        f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode()
        + request.body
    )
    digest = hmac.digest(base64.b64decode(key), content, "sha256")
    return "v1," + base64.b64encode(digest).decode()


@pytest.mark.alone
async def test_each_key_makes_a_signature(
    client: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    _set(monkeypatch, signing=f"whsec_{FIRST} {SECOND}")
    await _hook(client, receiver, {"auth_type": "hmac_signature", "secret_name": "signing"})
    request = await _delivered(client, receiver)
    assert request.headers["webhook-signature"] == f"{_v1(FIRST, request)} {_v1(SECOND, request)}"
    for key in (FIRST, SECOND, f"whsec_{FIRST}"):
        standardwebhooks.Webhook(key).verify(request.body, request.headers)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(base64.b64encode(b"3" * 32).decode()).verify(
            request.body, request.headers
        )


@pytest.mark.parametrize("key", [SEED, SEED + PUBLIC])
@pytest.mark.alone
async def test_asymmetric_signatures_and_their_public_key(
    client: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, key: bytes
) -> None:
    _set(monkeypatch, signing=f"whsk_{base64.b64encode(key).decode()} whsec_{FIRST}")
    await _hook(client, receiver, {"auth_type": "hmac_signature", "secret_name": "signing"})
    request = await _delivered(client, receiver)
    asymmetric, shared = request.headers["webhook-signature"].split()
    assert shared == _v1(FIRST, request)
    version, _, signature = asymmetric.partition(",")
    assert version == "v1a"
    answer = await client.http.get("/.well-known/webhook-keys.json", headers={"Authorization": ""})
    (published,) = answer.json()["keys"]
    assert (published["kty"], published["crv"]) == ("OKP", "Ed25519")
    assert published["whpk"] == "whpk_" + base64.b64encode(PUBLIC).decode()
    public = Ed25519PublicKey.from_public_bytes(
        base64.urlsafe_b64decode(published["x"] + "=" * (-len(published["x"]) % 4))
    )
    content = (
        f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode()
        + request.body
    )
    public.verify(base64.b64decode(signature), content)
    with pytest.raises(InvalidSignature):
        public.verify(base64.b64decode(signature), content + b" ")


@pytest.mark.parametrize(
    ("auth_type", "secret", "words"),
    [
        ("hmac_signature", "not base64!", "base64"),
        ("hmac_signature", "whsec_", "24 to 64 bytes"),
        ("hmac_signature", "whsec_" + base64.b64encode(b"k" * 23).decode(), "24 to 64 bytes"),
        ("hmac_signature", "whpk_" + FIRST, "public key"),
        ("hmac_signature", "whsk_" + base64.b64encode(b"short").decode(), "32 bytes"),
        ("hmac_signature", "whsk_" + base64.b64encode(SEED + SEED).decode(), "does not match"),
        ("hmac_signature", f"{FIRST} {SECOND} Mw== NA== NQ== Ng==", "more than 5"),
        ("bearer_token", "two\nlines", "cannot carry"),
        ("api_key", "\u00fcml", "cannot carry"),
        ("basic", "no colon", "user:password"),
    ],
)  # fmt: skip
@pytest.mark.alone
async def test_an_unusable_secret_is_reported(
    client: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch,
    auth_type: str, secret: str, words: str,
) -> None:  # fmt: skip
    await _hook(client, receiver, {"auth_type": auth_type, "secret_name": "bad"})
    _set(monkeypatch, bad=secret)
    again = {"auth_type": auth_type, "secret_name": "bad"}
    changed = {"url": f"{receiver.url}/w", "events": ["a.>"], "security": again}
    answer = await client.http.put("/v1/webhooks/w", json=changed)
    if auth_type == "hmac_signature":  # of the others nothing can be said before they are used
        assert (answer.status_code, words in answer.text) == (422, True), answer.text
    came = (await client.http.post("/v1/webhooks/w/test")).json()
    assert (came["succeeded"], came["error_type"]) == (False, "AuthError")
    assert words in came["error_message"]
    assert secret not in came["error_message"]
    assert not receiver.requests


# OAuth 2.0


def _oauth(tokens: TokenServer, **more: str) -> dict[str, str]:
    return {
        "auth_type": "oauth2_client_credentials", "token_url": tokens.url,
        "client_id": tokens.client_id, "secret_name": "client_secret",
    } | more  # fmt: skip


@pytest.mark.parametrize("how", ["basic", "body"])
async def test_a_token_is_fetched_once_and_shared(
    client: Client, receiver: Receiver, tokens: TokenServer, monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:  # fmt: skip
    _set(monkeypatch, client_secret=tokens.secret)
    tokens.delay = 0.2
    security = _oauth(tokens, scope="events:write a", client_auth=how)
    for name in ("w", "v"):  # two webhooks of one client
        await client.webhook(id=name, url=f"{receiver.url}/{name}", events=["a.>"],
                             security=security, **FAST)  # fmt: skip
    await client.send([event("a.b") for _ in range(30)])
    requests = await receiver.until(60)
    assert {request.headers["authorization"] for request in requests} == {"Bearer token-1"}
    (received,) = tokens.requests
    assert (received["how"], received["scope"]) == (how, "events:write a")


async def test_audience_and_further_parameters_are_sent_and_tell_tokens_apart(
    client: Client, receiver: Receiver, tokens: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    _set(monkeypatch, client_secret=tokens.secret)
    resource: dict[str, Any] = {
        "params": {"resource": "https://crm.example/a b&c=d", "x.y": "\u00fc"}
    }
    settings: dict[str, dict[str, Any]] = {
        "plain": {}, "audience": {"audience": "https://crm.example/"}, "resource": resource,
        "same": resource, "other": {"params": {"resource": "https://crm.example/"}},
    }  # fmt: skip
    for name, more in settings.items():
        webhook = await client.webhook(id=name, url=f"{receiver.url}/{name}", events=["a.>"],
                                       security=_oauth(tokens) | more, **FAST)  # fmt: skip
        assert webhook["security"] == [_oauth(tokens) | more]
    await client.send([event("a.b")])
    requests = await receiver.until(5)
    used = {request.path[1:]: request.headers["authorization"] for request in requests}
    assert used["resource"] == used["same"]
    assert len(set(used.values())) == len(tokens.requests) == 4
    asked: list[dict[str, str]] = [
        {name: form[name] for name in ("audience", "resource", "x.y") if name in form}
        for form in tokens.requests
    ]
    for expected in ({}, {"audience": "https://crm.example/"}, resource["params"],
                     {"resource": "https://crm.example/"}):  # fmt: skip
        assert asked.count(expected) == 1, asked


async def test_a_token_is_renewed_before_it_ends(
    client: Client, receiver: Receiver, tokens: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    _set(monkeypatch, client_secret=tokens.secret)
    tokens.expires_in = "4"  # some write it as text; renewed from 3.2 s on, used until 3.6 s
    await _hook(client, receiver, _oauth(tokens))
    await _delivered(client, receiver)
    tokens.delay = 0.3
    early = 0  # the token of a request that was made while the next token was on its way
    async with asyncio.timeout(PATIENCE):
        # On a busy machine no request may fall into that time: then it is the next token's turn.
        for n in itertools.count(2):
            request = await _delivered(client, receiver, n)
            used = int(request.headers["authorization"].removeprefix("Bearer token-"))
            asked = len(tokens.requests)
            assert used in (asked, asked - 1)
            if early and used == early + 1:
                break
            if used == asked - 1:
                early = used
            await asyncio.sleep(0.1)


async def test_a_refused_token_is_replaced_once(
    client: Client, receiver: Receiver, tokens: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    _set(monkeypatch, client_secret=tokens.secret)
    await _hook(client, receiver, _oauth(tokens))
    await _delivered(client, receiver)
    receiver.answers["/w"] = [401, 200]
    sent = event("a.b")
    await client.send(sent)
    done = await client.until("w", sent["id"], "succeeded")
    assert done["attempts"][0]["status_code"] == 200, "it was one attempt, not two"
    assert [result.headers["authorization"] for result in receiver.requests[1:]] == [
        "Bearer token-1", "Bearer token-2"
    ]  # fmt: skip
    # Also if the token is new; and a receiver that refuses every token is not asked for ever.
    receiver.answers["/w"] = [401]
    before = len(receiver.requests)
    sent = event("a.b")
    await client.send(sent)
    done = await client.until("w", sent["id"], "dead_letter")
    assert [attempt["status_code"] for attempt in done["attempts"]] == [401] * 4
    assert len(receiver.requests) - before == 8


@pytest.mark.alone
async def test_without_a_token_the_attempt_fails_with_the_reason(
    client: Client, receiver: Receiver, tokens: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    _set(monkeypatch, client_secret="wrong-secret-of-the-client")
    await _hook(client, receiver, _oauth(tokens))
    sent = event("a.b")
    await client.send(sent)
    done = await client.until("w", sent["id"], "dead_letter")
    assert {attempt["error_type"] for attempt in done["attempts"]} == {"AuthError"}
    message = done["attempts"][0]["error_message"]
    assert "HTTP 401, invalid_client" in message
    assert "wrong-secret-of-the-client" not in str(done), "its server repeated it"
    assert len(tokens.requests) == 1, "who has just refused is not asked by every attempt"
    assert not receiver.requests


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"status": 503}, "HTTP 503"),
        ({"token_type": "mac"}, "no bearer token"),
        ({"expires_in": "soon"}, "not understood"),
        ({"expires_in": -1}, "expired already"),
        ({"delay": 3.0}, "in time"),
    ],
)
async def test_invalid_token_responses(
    client: Client, receiver: Receiver, tokens: TokenServer, monkeypatch: pytest.MonkeyPatch,
    change: dict[str, Any], words: str,
) -> None:  # fmt: skip
    _set(monkeypatch, client_secret=tokens.secret)
    for name, value in change.items():
        setattr(tokens, name, value)
    late = "delay" in change
    await _hook(client, receiver, _oauth(tokens), timeout="1s" if late else "1m")
    came = (await client.http.post("/v1/webhooks/w/test")).json()
    assert (came["error_type"], came["succeeded"]) == ("AuthError", False)
    assert words in came["error_message"]


async def test_a_token_server_that_is_down_opens_the_breaker_and_nothing_is_lost(
    client: Client, receiver: Receiver, tokens: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    _set(monkeypatch, client_secret=tokens.secret)
    tokens.status = 503
    await _hook(client, receiver, _oauth(tokens), retry_policy={"max_attempts": 20,
                "initial_delay": "100ms", "backoff": "fixed"},
                circuit_breaker={"failure_threshold": 3, "open_for": "1s"})  # fmt: skip
    sent = [event("a.b") for _ in range(20)]
    await client.send(sent)
    async with asyncio.timeout(PATIENCE):
        while (await client.http.get("/v1/webhooks/w/stats")).json()["breaker"][
            "state"
        ] == "closed":
            await asyncio.sleep(0.05)
    tokens.status = 200
    for item in sent:
        await client.until("w", item["id"], "succeeded")
    assert len({result.json["id"] for result in receiver.requests}) == 20


async def test_secrets_in_a_response_are_redacted(
    client: Client, receiver: Receiver, tokens: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    _set(monkeypatch, client_secret=tokens.secret, key="the-key-of-the-receiver")
    await _hook(client, receiver, _oauth(tokens), {"auth_type": "api_key", "secret_name": "key"})
    receiver.headers["/w"] = {"X-You-Sent": "Bearer token-1 and the-key-of-the-receiver"}
    for status in (200, 500):
        receiver.answers["/w"] = [status]
        came = await client.http.post("/v1/webhooks/w/test")
        assert came.json()["response"]["headers"]["x-you-sent"] == "[hidden] and [hidden]"


async def test_secrets_in_a_compressed_response_are_redacted(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A receiver that compresses although the request says that it must not."""
    _set(monkeypatch, key="the-key-of-the-receiver")
    body = gzip.compress(b"no such account: the-key-of-the-receiver")
    server = ScriptedServer([
        b"HTTP/1.1 500 No\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(body),
        body,
    ], reads=False)  # fmt: skip
    async with server.running() as url:
        await client.webhook(
            id="w", url=url, events=["a.>"],
            security=[{"auth_type": "api_key", "secret_name": "key"}],
        )  # fmt: skip
        came = await client.http.post("/v1/webhooks/w/test")
    assert came.json()["response"]["body"] == "no such account: [hidden]"
