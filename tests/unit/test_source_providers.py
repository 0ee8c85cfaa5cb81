"""Providers verify what their own libraries and documents have signed, and nothing else."""

import base64
import datetime
import hashlib
import hmac
import json
import re
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from event_gateway.core.access.client_certificate import ClientCertificate
from event_gateway.core.sources.definition import Settings, SourceDefinition
from event_gateway.core.sources.events import EventMaker
from event_gateway.core.sources.inbound import Inbound
from event_gateway.core.sources.provider import Proof, Refused, Wanted
from event_gateway.core.sources.providers import PROVIDERS
from event_gateway.core.sources.rules import source_problems
from support.sources import VECTORS, definition_of, inbound_of, proof_of, vector_id

Vector = dict[str, Any]


def _each(vectors: list[Vector]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("vector", vectors, ids=vector_id)


_GRID = [v for v in VECTORS if v["provider"] == "azure_event_grid"]  # the key is in the URL
# What verifies them does not cover the body.
_TOKEN = [v for v in VECTORS if {"X-Gitlab-Token", "Authorization"} & v["headers"].keys()] + _GRID
_COVERED = [v for v in VECTORS if v not in _TOKEN]
_SHARED = [v for v in VECTORS if "secret" in v]
_IN_HEADERS = [v for v in VECTORS if v["provider"] not in ("aws_sns", "azure_event_grid")]
_LASTING = [v for v in VECTORS if v["provider"] != "google_pubsub"]  # a token says when it ends


def check(vector: Vector, inbound: Inbound | None = None, *secrets: str) -> None:
    """Raises Refused unless the request of a vector is verified."""
    PROVIDERS[vector["provider"]].check(
        inbound or inbound_of(vector), definition_of(vector), proof_of(vector, *secrets)
    )


def reason(vector: Vector, inbound: Inbound | None = None, *secrets: str) -> str:
    with pytest.raises(Refused) as refused:
        check(vector, inbound, *secrets)
    return refused.value.reason


@_each(VECTORS)
def test_a_request_of_the_provider_is_verified(vector: Vector) -> None:
    check(vector)
    assert not list(source_problems(definition_of(vector)))


@_each(_COVERED)
def test_an_altered_body_is_refused(vector: Vector) -> None:
    text = vector["body"]
    for at in range(0, len(text), max(1, len(text) // 25)):
        other = "1" if text[at] != "1" else "2"
        altered = (text[:at] + other + text[at + 1 :]).encode()
        if vector["provider"] == "aws_sns" and not _same_signed_part(vector, altered):
            continue  # SNS signs some members, and the URL of its certificate is one that is not
        assert reason(vector, inbound_of(vector, body=altered)) in (
            "signature", "malformed", "not_allowed", "time",
        )  # fmt: skip


def _same_signed_part(vector: Vector, altered: bytes) -> bool:
    try:
        message = json.loads(altered)
    except ValueError:
        return True
    before = json.loads(vector["body"])
    signed = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type", "Token")
    return any(message.get(name) != before.get(name) for name in signed)


@_each(_SHARED)
def test_another_secret_is_refused_and_a_former_one_counts(vector: Vector) -> None:
    other = "whsec_" + base64.b64encode(b"another key of 32 bytes, not it!").decode()
    if not vector["secret"].startswith("whsec_") or vector["provider"] == "stripe":
        other = "another"
    assert reason(vector, None, other) == "signature"
    check(vector, None, other, vector["secret"])  # rotated, with an overlap
    proof = Proof((), {}, 300.0)
    with pytest.raises(Refused) as refused:
        PROVIDERS[vector["provider"]].check(inbound_of(vector), definition_of(vector), proof)
    assert refused.value.reason == "unconfigured"


@_each(_LASTING)
def test_a_replayed_request_is_refused(vector: Vector) -> None:
    provider = PROVIDERS[vector["provider"]]
    if not provider.timed or vector in _TOKEN:
        check(vector, inbound_of(vector, later=1e6))
        return
    check(vector, inbound_of(vector, later=provider.tolerance - 2))
    assert reason(vector, inbound_of(vector, later=provider.tolerance + 2)) == "time"
    assert reason(vector, inbound_of(vector, later=-provider.tolerance - 2)) == "time"


@_each(_IN_HEADERS)
def test_a_request_without_its_headers_is_refused(vector: Vector) -> None:
    whole = inbound_of(vector)
    bare = Inbound(
        method="POST", target=whole.target, url=whole.url, body=whole.body,
        headers={"content-type": "application/json"}, received_at=whole.received_at,
    )  # fmt: skip
    assert reason(vector, bare) == "signature"


def test_every_provider_that_signs_has_a_vector() -> None:
    others = {"cloudevents", "hmac", "api_key", "basic", "mtls", "jwt"}
    assert {vector["provider"] for vector in VECTORS} | others == set(PROVIDERS)
    assert all(vector["origin"] for vector in VECTORS)


@pytest.mark.parametrize("name", PROVIDERS)
def test_the_example_of_a_provider_becomes_an_event(name: str) -> None:
    provider = PROVIDERS[name]
    example = provider.example
    inbound = Inbound(
        method="POST", target="/", url="https://h/", body=example.body.encode(),
        headers={"content-type": example.content_type}
        | {key.lower(): value for key, value in example.headers.items()},
        received_at=0.0,
    )  # fmt: skip
    maker = EventMaker(SourceDefinition(name="src", type=name))
    (event,) = maker.events(inbound, provider.entries(inbound))
    assert event.id
    assert event.data
    if name == "cloudevents":
        assert (event.type, event.source) == ("order.placed", "shop")
    else:
        assert event.source == "src"
    prefix = {"azure_event_grid": "Microsoft.", "aws_sns": "aws.sns.",
              "google_pubsub": "google.pubsub.", "cloudevents": "order."}  # fmt: skip
    generic = ("standard_webhooks", "hmac", "api_key", "basic", "mtls", "jwt")
    expected = prefix.get(name, "src." if name in generic else f"{name}.")
    assert event.type.startswith(expected)


def test_a_token_of_google_is_of_one_account_for_one_audience_until_it_ends() -> None:
    (vector,) = [v for v in VECTORS if v["provider"] == "google_pubsub"]
    for setting in ("email", "audience", "issuer"):
        other = vector["settings"] | {setting: "https://other.example"}
        assert reason(vector | {"settings": other}) == "signature"
    assert reason(vector, inbound_of(vector, later=3700)) == "signature"
    scheme, _, token = vector["headers"]["Authorization"].partition(" ")
    head, claims, signature = token.split(".")
    more = json.loads(base64.urlsafe_b64decode(claims + "==")) | {"exp": vector["at"] + 10**6}
    longer = base64.urlsafe_b64encode(json.dumps(more).encode()).decode().rstrip("=")
    for forged in (f"{head}.{longer}.{signature}", f"{head}.{claims}.{signature[:-8]}AAAAAAAA",
                   f"{head}.{claims}."):  # fmt: skip
        headers = vector["headers"] | {"Authorization": f"{scheme} {forged}"}
        assert reason(vector | {"headers": headers}) == "signature"
    with pytest.raises(Wanted):  # another key of Google, which is fetched
        check(vector | {"documents": dict.fromkeys(vector["documents"], '{"keys": []}')})
    maker = EventMaker(definition_of(vector))
    inbound = inbound_of(vector)
    (event,) = maker.events(inbound, PROVIDERS["google_pubsub"].entries(inbound))
    assert (event.type, event.id) == ("google.pubsub.message", "2070443601311540")
    assert event.data == inbound.body


def test_requests_of_event_grid_are_validated_and_become_events() -> None:
    provider = PROVIDERS["azure_event_grid"]
    notified, cloud, validation = _GRID
    assert provider.answer(inbound_of(notified)) is None
    answer = provider.answer(inbound_of(validation))
    assert answer is not None
    code = json.loads(validation["body"])[0]["data"]["validationCode"]
    assert (answer.status, json.loads(answer.body)) == (200, {"validationResponse": code})
    for vector, source in ((notified, "it"), (cloud, "/subscriptions/s/resourceGroups/g")):
        inbound, (sent,) = inbound_of(vector), json.loads(vector["body"])
        (event,) = EventMaker(definition_of(vector)).events(inbound, provider.entries(inbound))
        assert (event.id, event.type) == (sent["id"], "Microsoft.Storage.BlobCreated")
        assert (event.source, event.subject) == (source, sent["subject"])
    # The handshake of the CloudEvents schema has the key in its URL, too.
    assert provider.handshake is not None
    definition = definition_of(cloud)
    assert provider.handshake(inbound_of(cloud), definition, proof_of(cloud))
    assert not provider.handshake(inbound_of(cloud), definition, proof_of(cloud, "another"))


def _certificate(key: rsa.RSAPrivateKey, days: int) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    begins = datetime.datetime(2026, 5, 1, tzinfo=datetime.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(1)
        .public_key(key.public_key()).not_valid_before(begins)
        .not_valid_after(begins + datetime.timedelta(days=days)).sign(key, hashes.SHA256())
    )  # fmt: skip
    return made.public_bytes(serialization.Encoding.PEM).decode()


def _sns(**changes: Any) -> Vector:
    (vector, *_) = [v for v in VECTORS if v["provider"] == "aws_sns"]
    message = json.loads(vector["body"]) | changes
    return vector | {"body": json.dumps(message)}


@pytest.mark.parametrize("url", [
    "https://sns.us-west-2.amazonaws.com.evil.example/SimpleNotificationService-1.pem",
    "https://evil.example/SimpleNotificationService-1.pem",
    "http://sns.us-west-2.amazonaws.com/SimpleNotificationService-1.pem",
    "https://sns.us-west-2.amazonaws.com:8443/SimpleNotificationService-1.pem",
    "https://sns.us-west-2.amazonaws.com@evil.example/SimpleNotificationService-1.pem",
    "https://user@sns.us-west-2.amazonaws.com/SimpleNotificationService-1.pem",
    "https://sns.us-west-2.amazonaws.com/other.pem",
    "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-1.pem?x=1",
    "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-1.pem#x",
    "https://sns.us-west-2.amazonaws.com/Simple\tNotificationService-1.pem",
    "https://sns.us-west-2.amazonaws.com/a/SimpleNotificationService-1.pem",
    "https://169.254.169.254/SimpleNotificationService-1.pem",
    "https://[::1]/SimpleNotificationService-1.pem",
    "https://[broken",
    None,
    7,
])  # fmt: skip
def test_a_certificate_from_elsewhere_is_never_fetched(url: Any) -> None:
    assert reason(_sns(SigningCertURL=url)) == "signature"


def test_a_certificate_of_sns_is_wanted_first() -> None:
    vector = _sns()
    vector.pop("documents")
    with pytest.raises(Wanted) as wanted:
        check(vector)
    assert wanted.value.url == json.loads(vector["body"])["SigningCertURL"]


def test_topics_of_others_are_refused() -> None:
    assert reason(_sns(TopicArn="arn:aws:sns:us-west-2:999999999999:MyTopic")) == "not_allowed"


def test_an_expired_certificate_of_sns_is_refused() -> None:
    key = rsa.generate_private_key(65537, 2048)
    vector = _sns()
    message = json.loads(vector["body"])
    text = "".join(
        f"{name}\n{message[name]}\n"
        for name in ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
    )
    signature = key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA1())
    vector["body"] = json.dumps(message | {"Signature": base64.b64encode(signature).decode()})
    for days, verified in ((30, True), (2, False)):
        vector["documents"] = {message["SigningCertURL"]: _certificate(key, days)}
        if verified:
            check(vector)
        else:
            assert reason(vector) == "signature"


@pytest.mark.parametrize("url", [
    "https://evil.example/?Action=ConfirmSubscription", "http://169.254.169.254/latest/meta-data",
    "https://sns.us-west-2.amazonaws.com.evil.example/", None,
])  # fmt: skip
def test_a_confirmation_elsewhere_is_refused(url: Any) -> None:
    message = {"Type": "SubscriptionConfirmation", "SubscribeURL": url}
    inbound = Inbound(
        method="POST", target="/", url="", headers={}, body=json.dumps(message).encode(),
        received_at=0.0,
    )  # fmt: skip
    with pytest.raises(Refused) as refused:
        PROVIDERS["aws_sns"].answer(inbound)
    assert refused.value.reason == "not_allowed"


def _generic(kind: str, settings: Settings, secrets: tuple[str, ...] = ("k",), **more: Any) -> str:
    """``ok``, or the reason why a request is refused."""
    given: dict[str, Any] = {"method": "POST", "target": "/v1/sources/it", "url": "https://h/v1/sources/it",
             "headers": {}, "body": b"{}", "received_at": 1000.0} | more  # fmt: skip
    definition = SourceDefinition(name="it", type=kind, settings=settings)
    assert not list(source_problems(definition))
    try:
        PROVIDERS[kind].check(Inbound(**given), definition, Proof(secrets))
    except Refused as refused:
        return refused.reason
    return "ok"


@pytest.mark.parametrize(("algorithm", "encoding"), [
    ("sha256", "hex"), ("sha1", "hex"), ("sha512", "base64"), ("sha256", "base64"),
])  # fmt: skip
def test_hmac_is_configurable(algorithm: str, encoding: str) -> None:
    settings = Settings(
        secret_name="s", header="X-Sig", algorithm=algorithm, encoding=encoding, prefix="v1=",
        signed="{x-time}.{method}.{target}.{body}", timestamp="X-Time",
    )  # fmt: skip
    digest = hmac.new(b"k", b"990.POST./v1/sources/it.{}", algorithm).digest()
    text = digest.hex() if encoding == "hex" else base64.b64encode(digest).decode()
    right = {"x-sig": f"v1={text}", "x-time": "990"}
    assert _generic("hmac", settings, headers=right) == "ok"
    assert _generic("hmac", settings, headers=right | {"x-sig": f"v1=old, v1={text}"}) == "ok"
    assert _generic("hmac", settings, headers=right | {"x-sig": text}) == "signature"
    assert _generic("hmac", settings, headers=right | {"x-time": "991"}) == "signature"
    assert _generic("hmac", settings, headers=right, body=b"{} ") == "signature"
    assert _generic("hmac", settings, headers=right, received_at=2000.0) == "time"
    assert _generic("hmac", settings, headers={"x-time": "990"}) == "signature"


def test_api_keys_and_basic_authentication() -> None:
    by_header = Settings(secret_name="s", header="X-Key")
    assert _generic("api_key", by_header, headers={"x-key": "k"}) == "ok"
    assert _generic("api_key", by_header, headers={"x-key": "kk"}) == "signature"
    assert _generic("api_key", by_header) == "signature"
    bearer = Settings(secret_name="s", header="Authorization")
    assert _generic("api_key", bearer, headers={"authorization": "Bearer k"}) == "ok"
    by_query = Settings(secret_name="s", query="key")
    assert _generic("api_key", by_query, target="/v1/sources/it?a=b&key=k") == "ok"
    assert _generic("api_key", by_query, headers={"key": "k"}) == "signature"
    basic = Settings(secret_name="s", username="ada")
    for pair, outcome in ((b"ada:k", "ok"), (b"ada:x", "signature"), (b"bob:k", "signature")):
        shown = {"authorization": f"Basic {base64.b64encode(pair).decode()}"}
        assert _generic("basic", basic, headers=shown) == outcome
    for wrong in ("Basic !", "Bearer k", "Basic " + base64.b64encode(b"\xff").decode(), "Basic ü"):
        assert _generic("basic", basic, headers={"authorization": wrong}) == "signature"


def test_client_certificates() -> None:
    settings = Settings(dns="*.sender.example")
    shown = ClientCertificate(dns=("a.sender.example",))
    assert _generic("mtls", settings, certificate=shown) == "ok"
    assert _generic("mtls", settings) == "signature"
    other = ClientCertificate(dns=("a.b.sender.example",))
    assert _generic("mtls", settings, certificate=other) == "signature"


def test_twilio_covers_a_body_that_is_no_form() -> None:
    body = b'{"a": 1}'
    wrong = hashlib.sha256(b"other").hexdigest()
    url = f"https://h/v1/sources/it?bodySHA256={wrong}"
    signature = base64.b64encode(hmac.new(b"k", url.encode(), "sha1").digest()).decode()
    settings = Settings(secret_name="s")
    given: dict[str, Any] = {
        "url": url, "target": url.removeprefix("https://h"), "body": body,
        "headers": {"x-twilio-signature": signature, "content-type": "application/json"},
    }  # fmt: skip
    assert _generic("twilio", settings, **given) == "signature"


def test_the_weaker_way_of_gitlab_cannot_be_chosen() -> None:
    signing = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    headers = {"x-gitlab-token": signing}
    assert _generic("gitlab", Settings(secret_name="s"), (signing,), headers=headers) == "signature"


def test_a_host_that_is_none_is_refused() -> None:
    settings = Settings(secret_name="s")
    for host in ("[", "a]b", "host:abc", "host:99999"):
        given: dict[str, Any] = {
            "url": f"https://{host}/v1/sources/it", "headers": {"x-twilio-signature": "x"},
        }  # fmt: skip
        assert _generic("twilio", settings, **given) == "signature", host


def _standard(key: str) -> dict[str, str]:
    signed = hmac.new(base64.b64decode(key.removeprefix("whsec_")), b"m.990.{}", "sha256").digest()
    return {
        "webhook-id": "m", "webhook-timestamp": "990",
        "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
    }  # fmt: skip


def test_a_rotation_to_the_other_way_of_gitlab() -> None:
    signing, settings = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", Settings(secret_name="s")
    both = (signing, "token")
    assert _generic("gitlab", settings, both, headers=_standard(signing)) == "ok"
    assert _generic("gitlab", settings, both, headers={"x-gitlab-token": "token"}) == "ok"
    for wrong in (signing, "other"):
        headers = {"x-gitlab-token": wrong}
        assert _generic("gitlab", settings, both, headers=headers) == "signature"
    assert _generic("gitlab", settings, both) == "signature"


def test_a_former_value_that_is_no_key_does_not_stop_the_present_one() -> None:
    signing, settings = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", Settings(secret_name="s")
    headers = _standard(signing)
    kind = "standard_webhooks"
    assert _generic(kind, settings, (signing, "no key"), headers=headers) == "ok"
    assert _generic(kind, settings, ("no key",), headers=headers) == "unconfigured"


def test_the_guide_has_each_provider() -> None:
    guide = (Path(__file__).parents[2] / "docs/guides/sources.md").read_text()
    table = guide.split("## Providers")[1].split("## Choose")[0]
    lines = table.splitlines()[4:]
    rows = {line.split("`")[1]: line for line in lines if line.startswith("| `")}
    assert list(rows) == list(PROVIDERS)
    for name, provider in PROVIDERS.items():
        settings = provider.required | provider.optional
        assert set(re.findall(r"`([a-z_]+)`", rows[name].split(" | ")[2])) == settings, name
        assert f"type: {name}" in table
