"""Inbound sources: requests of third parties, verified and published, over real HTTP."""

import asyncio
import base64
import datetime
import hmac
import json
import time
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from standardwebhooks import Webhook
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from structlog.testing import capture_logs

from event_gateway.api.routes import source_endpoint
from event_gateway.cli.process.serve import Running
from event_gateway.core.sources.providers import PROVIDERS
from event_gateway.ingest import provider_documents
from event_gateway.registration import sources as registration
from support.certificates import IssuedFiles
from support.client import Client, event
from support.fixtures import Start
from support.issuers import running_issuer
from support.patience import PATIENCE
from support.proxy import ConnectProxy
from support.receiver import Receiver, serving
from support.sources import VECTORS

SECRET = "It's a Secret to Everybody"
PUSH = b'{ "ref": "refs/heads/main", "repository": {"full_name": "octocat/hello"} }'
SENDGRID_KEY = next(v for v in VECTORS if v["provider"] == "sendgrid")["settings"]["public_key"]
GITHUB = {"name": "gh", "type": "github", "secret_name": "gh_secret"}


def signed(body: bytes = PUSH, secret: str = SECRET, delivery: str = "d-1") -> dict[str, str]:
    """Headers of GitHub."""
    return {
        "X-GitHub-Event": "push", "X-GitHub-Delivery": delivery,
        "X-Hub-Signature-256": "sha256=" + hmac.new(secret.encode(), body, "sha256").hexdigest(),
        "Content-Type": "application/json",
    }  # fmt: skip


async def counted(client: Client, name: str, requests: int) -> dict[str, Any]:
    """The counts of a source, once they are of so many requests."""
    async with asyncio.timeout(PATIENCE):
        while True:
            shown = (await client.http.get(f"/v1/sources/{name}")).json()["requests"]
            if shown["taken"] + shown["refused"] == requests:
                return dict(shown)
            await asyncio.sleep(0.05)


@pytest.fixture
async def sender(gateway: Running) -> Any:
    """A client without a key."""
    async with httpx.AsyncClient(base_url=gateway.http_url, timeout=PATIENCE) as http:
        yield http


async def register(client: Client, secret: str | None = SECRET, **source: Any) -> dict[str, Any]:
    if secret is not None:
        await set_secret(client, source["secret_name"], secret)
    answer = await client.http.post("/v1/sources", json=source)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def set_secret(client: Client, name: str, value: str) -> None:
    answer = await client.http.put(f"/v1/secrets/{name}", json={"value": value})
    assert answer.status_code in (200, 201), answer.text


async def published(client: Client) -> list[dict[str, Any]]:
    messages = await client.stream_messages("GATEWAY_EVENTS")
    return [json.loads(message.data) for message in messages]


async def outcomes(client: Client) -> dict[tuple[str, str], int]:
    """What the metric counts, by source and outcome."""
    found = {}
    for line in (await client.http.get("/metrics")).text.splitlines():
        if line.startswith("event_gateway_source_requests_total{"):
            parts = line.split('"')
            found[parts[1], parts[3]] = int(float(line.rsplit(" ", 1)[1]))
    return found


async def test_a_delivery_of_github_becomes_an_event(
    client: Client, sender: httpx.AsyncClient, receiver: Receiver
) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["github.push"], sources=["gh"])
    created = await register(client, **GITHUB)
    assert (created["secret_state"], created["warnings"]) == ("present", [])
    assert created["in_force"]["type"] == "github.{x-github-event}"
    answer = await sender.post("/v1/sources/gh", content=PUSH, headers=signed())
    assert (answer.status_code, answer.json()) == (200, {"accepted": 1, "duplicates": 0})
    (stored,) = await client.stream_messages("GATEWAY_EVENTS")
    assert json.loads(stored.data) == {
        "specversion": "1.0", "id": "d-1", "source": "gh", "type": "github.push",
        "subject": "octocat/hello", "datacontenttype": "application/json",
        "data": json.loads(PUSH),
    }  # fmt: skip
    assert PUSH in stored.data  # byte for byte
    (request,) = await receiver.until(1, "/w")
    assert request.json["id"] == "d-1"
    shown = (await client.http.get("/v1/events/d-1")).json()
    assert shown["origin"] == "gh"
    # GitHub sends a delivery again under its id: the log recognises it.
    again = await sender.post("/v1/sources/gh", content=PUSH, headers=signed())
    assert (again.status_code, again.json()) == (200, {"accepted": 0, "duplicates": 1})
    # A bad signature publishes nothing.
    wrong = await sender.post("/v1/sources/gh", content=PUSH + b" ", headers=signed())
    assert (wrong.status_code, wrong.json()["reason"]) == (401, "signature")
    assert "WWW-Authenticate" in wrong.headers
    unsigned = await sender.post("/v1/sources/gh", json={})
    assert unsigned.status_code == 401
    assert len(await published(client)) == 1
    assert await outcomes(client) == {
        ("gh", "accepted"): 1, ("gh", "duplicate"): 1, ("gh", "signature"): 2,
    }  # fmt: skip
    # A key of the gateway proves nothing to a source.
    mine = await client.http.post("/v1/sources/gh", content=PUSH)
    assert mine.status_code == 401
    # What came in is counted over all processes, a second later.
    counts = await counted(client, "gh", 5)
    assert (counts["taken"], counts["refused"]) == (2, 3)
    assert counts["outcomes"] == {"accepted": 1, "duplicate": 1, "signature": 3}
    assert counts["since"]
    assert counts["taken_at"]
    assert counts["latest_refusal"]["reason"] == "signature"
    assert counts["latest_refusal"]["detail"]
    listed = (await client.http.get("/v1/sources?requests=true")).json()["items"]
    assert [item["requests"] for item in listed] == [counts]
    assert "requests" not in (await client.http.get("/v1/sources")).json()["items"][0]
    # Of a source that is registered again they begin at 0.
    assert (await client.http.delete("/v1/sources/gh")).status_code == 204
    await register(client, **GITHUB)
    assert (await counted(client, "gh", 0))["since"] is None


async def test_definitions(client: Client, sender: httpx.AsyncClient) -> None:
    first = await client.http.post("/v1/sources", json=GITHUB, headers={"Idempotency-Key": "k1"})
    assert first.status_code == 201, first.text
    assert first.headers["Location"] == "/v1/sources/gh"
    assert [warning["code"] for warning in first.json()["warnings"]] == ["secret_missing"]
    repeated = await client.http.post("/v1/sources", json=GITHUB, headers={"Idempotency-Key": "k1"})
    assert repeated.json() == first.json()
    assert (await client.http.post("/v1/sources", json=GITHUB)).status_code == 409
    # Without its secret a source refuses with a status that providers try again after.
    waiting = await sender.post("/v1/sources/gh", content=PUSH, headers=signed())
    assert (waiting.status_code, waiting.json()["reason"]) == (503, "unconfigured")
    assert waiting.headers["Retry-After"]
    shown = await client.http.get("/v1/sources/gh")
    tag = shown.headers["ETag"]
    assert (shown.json()["secret_state"], shown.json()["event"]) == ("missing", {})
    patch = {"event": {"type": "code.{x-github-event}"}, "description": "the repositories"}
    path = "/v1/sources/gh"
    stale = await client.http.patch(path, json=patch, headers={"If-Match": '"other"'})
    assert stale.status_code == 412
    changed = await client.http.patch(path, json=patch, headers={"If-Match": tag})
    assert changed.status_code == 200, changed.text
    assert changed.json()["in_force"]["type"] == "code.{x-github-event}"
    assert changed.headers["ETag"] != tag
    # What was answered can be sent back.
    whole = await client.http.put(path, json=changed.json())
    assert (whole.status_code, whole.json()["event"]) == (200, patch["event"])
    cleared = await client.http.patch(path, json={"event": None, "description": None})
    assert (cleared.json()["event"], cleared.json()["description"]) == ({}, "")
    await register(client, None, name="stripe-eu", type="stripe", secret_name="stripe_eu")
    for query, names in (
        ("", ["gh", "stripe-eu"]), ("?search=EU", ["stripe-eu"]), ("?type=github", ["gh"]),
        ("?managed_by=file", []), ("?limit=1", ["gh"]),
    ):  # fmt: skip
        page = (await client.http.get(f"/v1/sources{query}")).json()
        assert [item["name"] for item in page["items"]] == names
    assert page["total"] == 2
    assert page["next"]
    types = (await client.http.get("/v1/source-types")).json()["items"]
    assert [each["type"] for each in types] == list(PROVIDERS)
    slack_type = next(each for each in types if each["type"] == "slack")
    assert (slack_type["required"], slack_type["tolerance"]) == (["secret_name"], "5m")
    assert (await client.http.get("/v1/sources?serch=a")).status_code == 422
    for wrong, key in (
        ({"name": "http"}, "name"), ({"type": "githb"}, "type"), ({"header": "x"}, "header"),
        ({"secret_name": None}, "secret_name"), ({"event": {"id": "{"}}, "event.id"),
        ({"tolerance": "5m"}, "tolerance"), ({"secret": 1, "typ": "x"}, "typ"),
    ):  # fmt: skip
        refused = await client.http.post("/v1/sources", json=GITHUB | {"name": "it"} | wrong)
        assert refused.status_code == 422, refused.text
        assert key in [error["key"] for error in refused.json()["errors"]]
    assert (await client.http.patch(path, json={"name": "other"})).status_code == 422
    assert (await client.http.delete(path)).status_code == 204
    gone = await sender.post(path, content=PUSH, headers=signed())
    assert gone.status_code == 404
    assert (await client.http.get(path)).status_code == 404
    log = (await client.http.get("/v1/audit-log?resource=source/gh")).json()["items"]
    assert {entry["operation"] for entry in log} >= {"sources.create", "sources.delete"}


async def test_the_url_can_be_looked_at_without_a_key(
    client: Client, sender: httpx.AsyncClient
) -> None:
    await register(client, None, **GITHUB)
    for method in ("GET", "HEAD"):
        answer = await sender.request(method, "/v1/sources/gh")
        assert (answer.status_code, answer.content) == (200, b"")
    assert (await sender.get("/v1/sources/other")).status_code == 404
    wrong = await sender.get("/v1/sources/gh", headers={"Authorization": "Bearer egk_wrong"})
    assert wrong.status_code == 401
    assert (await sender.get("/v1/sources")).status_code == 401
    assert (await sender.delete("/v1/sources/gh")).status_code == 401
    assert (await sender.put("/v1/sources/gh", json=GITHUB)).status_code == 401
    scopes = {"name": "reader", "scopes": ["events:read"]}
    made = (await client.http.post("/v1/keys", json=scopes)).json()
    reader = {"Authorization": f"Bearer {made['key']}"}
    assert (await sender.get("/v1/sources/gh", headers=reader)).json()["name"] == "gh"
    assert (await sender.delete("/v1/sources/gh", headers=reader)).status_code == 403


async def test_a_secret_is_rotated_with_an_overlap(
    client: Client, sender: httpx.AsyncClient
) -> None:
    await register(client, **GITHUB)
    rotated = await client.http.post(
        "/v1/secrets/gh_secret/rotate", json={"value": "the new one", "overlap": "1h"}
    )
    assert rotated.status_code == 200, rotated.text
    for number, secret in enumerate((SECRET, "the new one")):
        headers = signed(secret=secret, delivery=f"d-{number}")
        answer = await sender.post("/v1/sources/gh", content=PUSH, headers=headers)
        assert answer.status_code == 200, answer.text
    # Nobody gives the secret of a source to a receiver.
    refused = await client.http.post("/v1/webhooks", json={
        "id": "thief", "url": "http://127.0.0.1:8999/", "events": ["a"],
        "security": {"auth_type": "bearer_token", "secret_name": "gh_secret"},
    })  # fmt: skip
    assert refused.status_code == 422
    assert "prove themselves" in refused.text


def slack(body: bytes, at: float) -> dict[str, str]:
    digest = hmac.new(b"slack-secret", b"v0:%d:%b" % (at, body), "sha256").hexdigest()
    return {"X-Slack-Request-Timestamp": str(int(at)), "X-Slack-Signature": f"v0={digest}"}


async def test_answers_that_providers_expect(client: Client, sender: httpx.AsyncClient) -> None:
    await register(client, "slack-secret", name="sl", type="slack", secret_name="sl")
    body = b'{"type":"url_verification","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7"}'
    json_type = {"Content-Type": "application/json"}
    answer = await sender.post(
        "/v1/sources/sl", content=body, headers=slack(body, time.time()) | json_type
    )
    assert (answer.status_code, answer.json()) == (
        200, {"challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7"},
    )  # fmt: skip
    # A challenge proves itself too, and an old one does not count.
    forged = await sender.post("/v1/sources/sl", content=body, headers=json_type)
    assert forged.status_code == 401
    old = await sender.post(
        "/v1/sources/sl", content=body, headers=slack(body, time.time() - 400) | json_type
    )
    assert (old.status_code, old.json()["reason"]) == (401, "time")
    command = b"command=%2Fdeploy&trigger_id=13345224609.738474920.8088930838d88f008e0"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    taken = await sender.post(
        "/v1/sources/sl", content=command, headers=slack(command, time.time()) | form
    )
    assert (taken.status_code, taken.content) == (200, b"")
    # Twilio signs the URL that it calls, and reads XML.
    await register(client, "12345", name="tw", type="twilio", secret_name="tw")
    url = f"{sender.base_url}".rstrip("/") + "/v1/sources/tw?a=b"
    text = f"{url}MessageSidSM1MessageStatusdelivered"
    signature = base64.b64encode(hmac.new(b"12345", text.encode(), "sha1").digest()).decode()
    sms = await sender.post(
        "/v1/sources/tw?a=b", content=b"MessageStatus=delivered&MessageSid=SM1",
        headers={"X-Twilio-Signature": signature} | form,
    )  # fmt: skip
    assert (sms.status_code, sms.headers["content-type"][:8]) == (200, "text/xml"), sms.text
    assert sms.text.endswith("<Response/>")
    types = [item["type"] for item in await published(client)]
    assert types == ["slack.deploy", "twilio.delivered"]
    counted = await outcomes(client)
    assert counted["sl", "answered"] == 1
    assert (counted["sl", "time"], counted["sl", "signature"]) == (1, 1)


async def test_azure_event_grid_and_cloudevents(client: Client, sender: httpx.AsyncClient) -> None:
    await register(client, "grid-key", name="az", type="azure_event_grid", secret_name="az")
    validation = [{
        "id": "1", "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "data": {"validationCode": "512d38b6-c7b8-40c8-89fe-f46f9e9622b6"},
    }]  # fmt: skip
    path = "/v1/sources/az?code=grid-key"
    answer = await sender.post(path, json=validation)
    assert (answer.status_code, answer.json()) == (
        200, {"validationResponse": "512d38b6-c7b8-40c8-89fe-f46f9e9622b6"},
    )  # fmt: skip
    assert (await sender.post("/v1/sources/az?code=x", json=validation)).status_code == 401
    events = [
        {"id": f"e{n}", "eventType": "Microsoft.Storage.BlobCreated", "subject": f"/b/{n}",
         "eventTime": "2026-05-04T03:02:01.123Z", "data": {"n": n}} for n in range(3)
    ]  # fmt: skip
    assert (await sender.post(path, json=events)).json() == {"accepted": 3, "duplicates": 0}
    assert [item["id"] for item in await published(client)] == ["e0", "e1", "e2"]
    # The handshake of CloudEvents, with and without the key.
    origin = {"WebHook-Request-Origin": "eventgrid.azure.net"}
    allowed = await sender.options(path, headers=origin)
    assert allowed.headers["WebHook-Allowed-Origin"] == "eventgrid.azure.net"
    assert allowed.headers["WebHook-Allowed-Rate"] == "*"
    denied = await sender.options("/v1/sources/az?code=x", headers=origin)
    assert (denied.status_code, "WebHook-Allowed-Origin" in denied.headers) == (200, False)
    sent = event("order.placed", {"n": 1})
    cloud = await sender.post(
        path, json=sent, headers={"Content-Type": "application/cloudevents+json"}
    )
    assert cloud.status_code == 200, cloud.text
    await register(client, "ce-token", name="ce", type="cloudevents", secret_name="ce")
    bearer = {"Authorization": "Bearer ce-token"}
    batch = [event("order.paid"), event("order.sent")]
    taken = await sender.post(
        "/v1/sources/ce", json=batch,
        headers=bearer | {"Content-Type": "application/cloudevents-batch+json"},
    )  # fmt: skip
    assert taken.json() == {"accepted": 2, "duplicates": 0}
    assert (await published(client))[3:] == [sent, *batch]
    assert (await sender.options(
        "/v1/sources/ce", headers=bearer | {"WebHook-Request-Origin": "shop"}
    )).headers["WebHook-Allowed-Origin"] == "shop"  # fmt: skip
    forged = await sender.post(
        "/v1/sources/ce", json=event("webhook.failed"),
        headers=bearer | {"Content-Type": "application/cloudevents+json"},
    )  # fmt: skip
    assert (forged.status_code, forged.json()["reason"]) == (422, "rejected")


async def test_google_pubsub_by_the_keys_of_its_issuer(start: Start, connect: Start) -> None:
    gateway = await start({"auth": {"allow_networks": ["127.0.0.0/8"]}})
    client = await connect(gateway)
    account = "push@project.iam.gserviceaccount.com"
    message = {
        "message": {"data": "SGVsbG8=", "messageId": "2070443601311540",
                    "publishTime": "2026-05-04T03:02:01.123Z"},
        "subscription": "projects/p/subscriptions/s",
    }  # fmt: skip
    async with (
        running_issuer() as issuer,
        httpx.AsyncClient(base_url=gateway.http_url, timeout=PATIENCE) as sender,
    ):
        await register(
            client, None, name="ps", type="google_pubsub", audience="event-gateway",
            email=account, issuer=issuer.url, jwks_url=f"{issuer.url}/keys",
        )  # fmt: skip

        async def push(**claims: Any) -> httpx.Response:
            given: dict[str, Any] = {"email": account, "email_verified": True} | claims
            token = issuer.token("k1", **given)
            headers = {"Authorization": f"Bearer {token}"}
            return await sender.post("/v1/sources/ps", json=message, headers=headers)

        assert (await push()).status_code == 200
        for claims in (
            {"email": "other@project.iam.gserviceaccount.com"}, {"email": None},
            {"email_verified": False}, {"aud": "another"}, {"exp": 1}, {"iss": "https://other"},
        ):  # fmt: skip
            refused = await push(**claims)
            assert (refused.status_code, refused.json()["reason"]) == (401, "signature"), claims
        assert (await sender.post("/v1/sources/ps", json=message)).status_code == 401
        assert issuer.requests == ["/keys"]  # fetched once
    (stored,) = await published(client)
    assert (stored["id"], stored["type"], stored["time"]) == (
        "2070443601311540", "google.pubsub.message", "2026-05-04T03:02:01.123Z",
    )  # fmt: skip


HOST = "sns.us-west-2.amazonaws.com"
TOPIC = "arn:aws:sns:us-west-2:123456789012:orders"


class Sns:
    """AWS SNS for tests: a certificate and confirmations at its host name, and signed messages."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(65537, 2048)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sns.amazonaws.com")])
        now = datetime.datetime.now(datetime.UTC)
        self.certificate = (
            x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(7)
            .public_key(self.key.public_key()).not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1)).sign(self.key, hashes.SHA256())
            .public_bytes(serialization.Encoding.PEM)
        )  # fmt: skip
        self.status = 200
        self.requests: list[str] = []

    async def answer(self, request: Request) -> Response:
        """Answers a request to the host of SNS."""
        self.requests.append(f"{request.headers['host']}{request.url.path}")
        pem = request.url.path.endswith(".pem")
        return Response(self.certificate if pem else b"<ok/>", self.status)

    def message(self, kind: str, **members: str) -> dict[str, str]:
        """A signed message."""
        message = {
            "Type": kind, "MessageId": "m-1", "TopicArn": TOPIC, "Message": "hello",
            "Timestamp": datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
        } | members  # fmt: skip
        names = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
        text = "".join(f"{name}\n{message[name]}\n" for name in names if name in message)
        signature = self.key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
        return message | {
            "SignatureVersion": "2", "Signature": base64.b64encode(signature).decode(),
            "SigningCertURL": f"https://{HOST}/SimpleNotificationService-abc123.pem",
        }  # fmt: skip


async def test_aws_sns_is_confirmed_and_verified(
    start: Start, connect: Start, issued: IssuedFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider_documents, "FAILED_AGAIN", 0.05)
    issued.issue("sns", x509.DNSName(HOST))
    sns, proxy = Sns(), ConnectProxy(hosts={HOST: "127.0.0.1"})
    tls = {
        "ssl_certfile": issued.directory / "sns.pem",
        "ssl_keyfile": issued.directory / "sns.key",
    }
    async with serving(Route("/{path:path}", sns.answer), **tls) as url, proxy.running():
        proxy.ports[HOST] = int(url.rpartition(":")[2])
        gateway = await start({
            "secrets": {"dir": str(issued.directory)},
            "delivery": {"ca": "ca.pem", "proxy": {"url": f"http://127.0.0.1:{proxy.port}",
                                                   "resolve": "proxy"}},
            "sources": {"sns": {"type": "aws_sns", "topics": TOPIC}},
        })  # fmt: skip
        client = await connect(gateway)
        async with httpx.AsyncClient(base_url=gateway.http_url, timeout=PATIENCE) as sender:

            async def post(message: dict[str, str]) -> httpx.Response:
                content = json.dumps(message)
                headers = {"Content-Type": "text/plain; charset=UTF-8"}
                return await sender.post("/v1/sources/sns", content=content, headers=headers)

            subscribe = f"https://{HOST}/?Action=ConfirmSubscription&Token=t"
            confirmation = sns.message(
                "SubscriptionConfirmation", Token="t", SubscribeURL=subscribe
            )
            sns.status = 500  # the certificate cannot be fetched: SNS sends again
            assert (await post(confirmation)).status_code == 503
            sns.status = 200
            # Nothing is fetched for a message of another topic, or from another host.
            other = sns.message("Notification", TopicArn=TOPIC + "2")
            assert (await post(other)).status_code == 403
            elsewhere = confirmation | {"SigningCertURL": "https://127.0.0.1/x.pem"}
            assert (await post(elsewhere)).status_code == 401
            assert len(sns.requests) == 1
            answer = await post(confirmation)
            while answer.status_code == 503:  # a failure is remembered for a moment
                await asyncio.sleep(0.02)
                answer = await post(confirmation)
            assert (answer.status_code, answer.content) == (200, b""), answer.text
            assert sns.requests[1:] == [f"{HOST}/SimpleNotificationService-abc123.pem", f"{HOST}/"]
            forged = confirmation | {"SubscribeURL": f"https://{HOST}/?Action=Other"}
            assert (await post(forged)).status_code == 401
            notification = sns.message("Notification")
            assert (await post(notification)).json() == {"accepted": 1, "duplicates": 0}
            assert (await post(notification)).json() == {"accepted": 0, "duplicates": 1}
            end = sns.message("UnsubscribeConfirmation", Token="t", SubscribeURL=subscribe)
            assert (await post(end)).status_code == 200
            assert len(sns.requests) == 3
        assert (await outcomes(client))["sns", "unreachable"] >= 1
        (stored,) = await published(client)
        assert (stored["id"], stored["type"], stored["subject"]) == (
            "m-1", "aws.sns.notification", TOPIC,
        )  # fmt: skip


async def test_what_is_refused_is_set_aside_on_request(
    client: Client, sender: httpx.AsyncClient
) -> None:
    await register(
        client, "the-key", name="it", type="api_key", header="X-Token", secret_name="it",
        keep_refused=True,
    )  # fmt: skip
    body = b'{"type": "a", "broken": \xff}'
    headers = {"X-Token": "a-credential", "Cookie": "c=also", "X-Other": "seen"}
    refused = await sender.post("/v1/sources/it", content=body, headers=headers)
    assert refused.status_code == 401
    malformed = await sender.post(
        "/v1/sources/it", content=body,
        headers={"X-Token": "the-key", "Content-Type": "application/json"},
    )  # fmt: skip
    assert (malformed.status_code, malformed.json()["reason"]) == (400, "malformed")
    newest, oldest = (await client.http.get("/v1/rejected")).json()["items"]
    assert (oldest["reason"], newest["reason"]) == ("signature", "malformed")
    assert (oldest["source"], oldest["subject"]) == ("it", "sources/it")
    assert base64.b64decode(oldest["data_base64"]) == body
    assert (oldest["headers"]["x-token"], oldest["headers"]["x-other"]) == ("[hidden]", "seen")
    assert "the-key" not in json.dumps(newest)
    assert "also" not in json.dumps(oldest)
    retried = await client.http.post(f"/v1/rejected/{oldest['seq']}/retry")
    assert (retried.status_code, retried.json()["reason"]) == (422, "unsupported")
    # Others are not kept.
    await register(client, **GITHUB)
    await sender.post("/v1/sources/gh", content=b"{}")
    assert (await client.http.get("/v1/rejected")).json()["total"] == 2


async def test_trials_publish_nothing(client: Client) -> None:
    await register(client, **GITHUB)
    example = (await client.http.post("/v1/sources/gh/test")).json()
    assert (example["verified"], example["events"][0]["type"]) == (None, "github.push")
    path = "/v1/sources/gh/test"
    request = {"headers": signed(), "body": PUSH.decode()}
    right = (await client.http.post(path, json=request)).json()
    assert (right["verified"], right["events"][0]["id"]) == (True, "d-1")
    encoded = request | {"body_base64": base64.b64encode(PUSH + b" ").decode()}
    wrong = (await client.http.post(path, json=encoded)).json()
    assert (wrong["verified"], wrong["reason"], wrong["events"]) == (False, "signature", [])
    assert (await client.http.post(path, json={"body_base64": "!"})).status_code == 422
    # An older request is tried as of the time at which it came.
    key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    await register(client, key, name="sw", type="standard_webhooks", secret_name="sw")
    at = datetime.datetime(2021, 2, 25, tzinfo=datetime.UTC)
    given = {"webhook-id": "m", "webhook-timestamp": str(int(at.timestamp())),
             "webhook-signature": Webhook(key).sign("m", at, "{}")}  # fmt: skip
    trial = {"headers": given, "body": "{}"}
    late = (await client.http.post("/v1/sources/sw/test", json=trial)).json()
    assert late["reason"] == "time"
    then = trial | {"received_at": "2021-02-25T00:01:00Z"}
    assert (await client.http.post("/v1/sources/sw/test", json=then)).json()["verified"] is True
    assert await published(client) == []
    assert await outcomes(client) == {}


async def test_bounds_and_backpressure(start: Start, connect: Start) -> None:
    gateway = await start({
        "server": {"max_body": "64KiB"}, "ingest": {"max_bytes": "1MiB"},
    })  # fmt: skip
    client = await connect(gateway)
    await register(client, **GITHUB)
    async with httpx.AsyncClient(base_url=gateway.http_url, timeout=PATIENCE) as sender:
        large = b"x" * 65_537
        over = await sender.post("/v1/sources/gh", content=large, headers=signed(large))
        assert over.status_code == 413
        packed = await sender.post(
            "/v1/sources/gh", content=PUSH, headers=signed() | {"Content-Encoding": "gzip"}
        )
        assert packed.status_code == 415
        body = json.dumps({"text": "y" * 60_000}).encode()
        statuses = []
        for number in range(40):
            headers = signed(body, delivery=f"d-{number}")
            answer = await sender.post("/v1/sources/gh", content=body, headers=headers)
            statuses.append(answer.status_code)
            if answer.status_code != 200:
                break
        # A full log is answered with a status after which providers come again.
        assert statuses[-1] == 503, statuses
        assert answer.headers["Retry-After"]
        assert answer.json()["outcome"] == "not taken"
        await client.http.patch("/v1/sources/gh", json={"enabled": False})
        paused = await sender.post("/v1/sources/gh", content=PUSH, headers=signed())
        assert (paused.status_code, "Retry-After" in paused.headers) == (503, True)
        gateway.gateway.api.state.drain()
        await client.http.patch("/v1/sources/gh", json={"enabled": True})
        draining = await sender.post("/v1/sources/gh", content=PUSH, headers=signed())
        assert (draining.status_code, draining.json()["outcome"]) == (503, "not taken")


async def test_sources_of_a_file_beyond_the_limit_are_told(
    start: Start, connect: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registration, "MAX_SOURCES", 1)
    source = {"type": "github", "secret_name": "gh_secret"}
    with capture_logs() as logged:
        gateway = await start({"sources": {"first": source, "second": source}})
    client = await connect(gateway)
    listed = (await client.http.get("/v1/sources")).json()["items"]
    assert [item["name"] for item in listed] == ["first"]
    told = [line for line in logged if line["event"] == "a source of the file is not registered"]
    assert [(line["caller"], line["log_level"]) for line in told] == [("second", "error")]


async def test_slow_bodies_keep_nobody_out(
    client: Client, sender: httpx.AsyncClient, gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody can begin to send a body: only its end shows whose it is."""
    monkeypatch.setattr(source_endpoint, "MAX_AT_WORK", 2)
    await register(client, **GITHUB)
    port = int(gateway.http_url.rpartition(":")[2])
    readers, writers = [], []
    for _ in range(2):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /v1/sources/gh HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n{")
        readers.append(reader)
        writers.append(writer)
    answer = await sender.post("/v1/sources/gh", content=PUSH, headers=signed())
    while answer.status_code == 200:  # until both are there
        answer = await sender.post("/v1/sources/gh", content=PUSH, headers=signed())
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
    await register(client, None, name="mail", type="sendgrid", public_key=SENDGRID_KEY)
    answer = await sender.post("/v1/sources/mail", content=b"[]")
    assert answer.status_code == 503  # SendGrid may take 4xx for final
    topic = "arn:aws:sns:eu-west-1:123456789012:orders"
    await register(client, None, name="aws", type="aws_sns", topics=[topic])
    answer = await sender.post("/v1/sources/aws", content=b"{}")
    assert answer.status_code == 503  # and AWS SNS 429
    monkeypatch.setattr(source_endpoint, "SLOW", 0.0)
    answer = await sender.post("/v1/sources/gh", content=PUSH, headers=signed())
    assert answer.status_code == 200, answer.text
    async with asyncio.timeout(PATIENCE):
        line = await readers[0].readline()
    assert line.startswith(b"HTTP/1.1 429 "), line
    writers[1].write(b"        ")  # the other one goes on
    async with asyncio.timeout(PATIENCE):
        assert (await readers[1].readline()).startswith(b"HTTP/1.1 401 ")
    for writer in writers:
        writer.close()


async def test_a_client_certificate(start: Start, connect: Start, issued: IssuedFiles) -> None:
    issued.issue("partner", x509.DNSName("hooks.partner.example"))
    tls = {"cert": "server.pem", "key": "server.key", "client_ca": "ca.pem"}
    gateway = await start({
        "secrets": {"dir": str(issued.directory)}, "server": {"tls": tls},
        "auth": {"mtls": [{"subject": "CN=alice", "name": "alice", "scopes": ["admin"]}]},
        "sources": {"partner": {"type": "mtls", "dns": "hooks.partner.example"}},
    })  # fmt: skip
    for name, status in (("partner", 200), ("alice", 401), (None, 401)):
        async with httpx.AsyncClient(
            base_url=gateway.http_url, verify=issued.client(name), timeout=PATIENCE
        ) as sender:
            answer = await sender.post("/v1/sources/partner", json={"type": "a"})
            assert answer.status_code == status, answer.text
            # Of a caller of the gateway the certificate is a credential.
            shown = await sender.get("/v1/sources/partner")
            assert (shown.status_code, bool(shown.content)) == (200, name == "alice")


async def test_sources_of_the_file(start: Start, connect: Start) -> None:
    gateway = await start({
        "sources": {"gh": {"type": "github", "secret_name": "gh_secret"}},
    })  # fmt: skip
    client = await connect(gateway)
    shown = (await client.http.get("/v1/sources/gh")).json()
    assert (shown["managed_by"], shown["secret_state"]) == ("file", "missing")
    refused = await client.http.patch("/v1/sources/gh", json={"enabled": False})
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/managed-by-file")
    assert (await client.http.delete("/v1/sources/gh")).status_code == 409
    await set_secret(client, "gh_secret", SECRET)
    async with httpx.AsyncClient(base_url=gateway.http_url, timeout=PATIENCE) as sender:
        answer = await sender.post("/v1/sources/gh", content=PUSH, headers=signed())
        assert answer.status_code == 200
