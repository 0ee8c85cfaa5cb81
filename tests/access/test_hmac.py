"""Signed requests against a real gateway, and the client that the guide shows."""

import asyncio
import base64
import contextlib
import datetime
import hashlib
import hmac
import io
import json
import re
import shutil
import time
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from redis.asyncio import Redis
from standardwebhooks.webhooks import Webhook

from support.client import STRUCTURED, event
from support.fixtures import Start
from support.patience import PATIENCE

GUIDE = Path(__file__).parents[2] / "docs/guides/hmac.md"
OLD, NEW, READER = (base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2, 3))
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = "whpk_" + base64.b64encode(PRIVATE.public_key().public_bytes_raw()).decode()
NOT_SIGNED = "the request is not signed by a client of this gateway"


def headers_of(
    method: str, target: str, body: bytes = b"", *, key: str = OLD, key_id: str = "billing",
    versions: str = "v1 v1r", message_id: str | None = None, at: float | None = None,
) -> dict[str, str]:  # fmt: skip
    """The headers of a signed request."""
    message_id = message_id or f"msg_{uuid.uuid4().hex}"
    sent_at = str(int(time.time() if at is None else at))
    content = f"{message_id}.{sent_at}.".encode() + body
    signatures = []
    for version in versions.split():
        signed = f"{method} {target}\n".encode() + content if version.endswith("r") else content
        if version.startswith("v1a"):
            made = PRIVATE.sign(signed)
        else:
            made = hmac.digest(base64.b64decode(key), signed, hashlib.sha256)
        signatures.append(f"{version},{base64.b64encode(made).decode()}")
    return {
        "webhook-key-id": key_id, "webhook-id": message_id, "webhook-timestamp": sent_at,
        "webhook-signature": " ".join(signatures),
    }  # fmt: skip


async def test_signed_requests(start: Start, tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/billing_hmac").write_text(f"whsec_{NEW} {OLD}")
    (tmp_path / "secrets/reader_hmac").write_text(READER)
    everything = ["admin"]
    clients = {
        "billing": {"secret_name": "billing_hmac", "scopes": everything, "name": "billing-service"},
        "reader": {"secret_name": "reader_hmac", "scopes": ["streams:read"]},
        "edge": {"public_keys": PUBLIC, "scopes": everything},
        "keeper": {"public_keys": PUBLIC, "scopes": ["secrets:manage"]},
        "lost": {"secret_name": "nowhere", "scopes": everything},
    }
    gateway = await start(
        {
            "auth": {"hmac": clients}, "secrets": {"dir": str(tmp_path / "secrets")},
            "streams": {"all": {"subjects": ["shop.>"]}},
        }
    )  # fmt: skip
    async with httpx.AsyncClient(base_url=gateway.http_url, timeout=PATIENCE) as http:

        async def call(
            method: str, target: str, body: bytes = b"", status: int = 200, *,
            sent: bytes | None = None, kind: dict[str, str] = STRUCTURED, to: str | None = None,
            **signing: Any,
        ) -> str:  # fmt: skip
            headers = headers_of(method, target, body, **signing) | kind
            content = body if sent is None else sent
            answer = await http.request(method, to or target, content=content, headers=headers)
            assert answer.status_code == status, (method, target, answer.text)
            return str(answer.json().get("detail", "")) if answer.content else ""

        body = json.dumps(event("shop.sold")).encode()
        # Events: with both keys of the rotation, with Ed25519, and with the standard's library.
        await call("POST", "/v1/events", body, 202, versions="v1")
        await call("POST", "/v1/events", body, 202, versions="v1", key=NEW)
        await call("POST", "/v1/events", body, 202, versions="v1a", key_id="edge")
        now = datetime.datetime.now(tz=datetime.UTC)
        signed = {
            "webhook-key-id": "billing", "webhook-id": "msg_1",
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(f"whsec_{OLD}").sign("msg_1", now, body.decode()),
        }  # fmt: skip
        for duplicates in (1, 1):  # sent again, as after a lost answer
            answer = await http.post("/v1/events", content=body, headers=signed | STRUCTURED)
            assert answer.status_code == 202
            assert answer.json()["duplicates"] == duplicates

        # An eavesdropper cannot read with it: a read with a body is signed with its path.
        for path in ("/v1/webhooks", "/v1/events"):
            answer = await http.request("GET", path, content=body, headers=signed | STRUCTURED)
            assert answer.status_code == 401, answer.text
        await call("GET", "/v1/webhooks", body, versions="v1r")

        # Whatever is wrong, the caller is told one thing.
        wrong: list[dict[str, Any]] = [
            {"key": READER}, {"key_id": "nobody"}, {"key_id": "reader"}, {"key_id": "lost"},
            {"sent": body + b" "}, {"versions": ""}, {"versions": "v2"}, {"message_id": "a.b"},
            {"message_id": "x" * 129}, {"versions": "v1a"}, {"key_id": "edge"},
        ]  # fmt: skip
        for changes in wrong:
            assert await call("POST", "/v1/events", body, 401, **changes) == NOT_SIGNED, changes
        for name, value in (
            ("webhook-timestamp", "x"), ("webhook-timestamp", "007"), ("webhook-timestamp", "1e9"),
            ("webhook-timestamp", ""), ("webhook-id", ""), ("webhook-signature", "v1,é"),
            ("webhook-signature", "v1"), ("webhook-signature", ",,,"),
        ):  # fmt: skip
            headers = headers_of("POST", "/v1/events", body) | STRUCTURED | {name: value}
            raw = [(key.encode(), text.encode("latin-1")) for key, text in headers.items()]
            answer = await http.post("/v1/events", content=body, headers=raw)
            assert (answer.status_code, answer.json()["detail"]) == (401, NOT_SIGNED), name
        for at in (time.time() - 310, time.time() + 360, 0):
            assert "5 minutes" in await call("POST", "/v1/events", body, 401, at=at)
        await call("POST", "/v1/events", body, 202, at=time.time() - 280)
        # Attributes in headers are not signed.
        attributes = {
            "ce-id": "1",
            "ce-source": "s",
            "ce-type": "shop.sold",
            "ce-specversion": "1.0",
        }
        assert "structured" in await call("POST", "/v1/events", b"{}", 401, kind=attributes)
        # A body is not read before id and time are right.
        request = b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n%b\r\n"
        old = b"webhook-key-id: billing\r\nwebhook-id: a\r\nwebhook-timestamp: 5\r\n"
        reader, writer = await asyncio.open_connection(
            http.base_url.host, http.base_url.port, ssl=None
        )
        writer.write(request % old)
        assert b" 401 " in await asyncio.wait_for(reader.readline(), PATIENCE)
        writer.close()

        # Reading, and once only; a HEAD is no GET to v1r.
        await call("GET", "/v1/webhooks", versions="v1")
        await call("GET", "/v1/webhooks?limit=5", versions="v1r")
        await call("GET", "/v1/webhooks", versions="v1ar", key_id="edge")
        await call("GET", "/v1/webhooks", message_id="once")
        for target in ("/v1/webhooks", "/v1/streams"):
            told = await call("GET", target, status=401, message_id="once")
            assert "accepted before" in told
        await call("GET", "/v1/webhooks", message_id="once", key_id="edge", versions="v1a")
        # What changes something is signed with method and path.
        hook = json.dumps({"id": "w", "url": "http://127.0.0.1:12345/", "events": ["a.b"]}).encode()
        plain = {"content-type": "application/json"}
        told = await call("POST", "/v1/webhooks", hook, 401, kind=plain, versions="v1")
        assert "v1r" in told
        await call("POST", "/v1/webhooks", hook, 201, kind=plain)
        await call("DELETE", "/v1/webhooks/w", status=401, versions="v1")
        assert (
            await call(
                "DELETE", "/v1/webhooks/other", status=401, to="/v1/webhooks/w", versions="v1 v1r"
            )
            == NOT_SIGNED
        )
        assert (
            await call("PATCH", "/v1/webhooks/w", b"{}", 401, to="/v1/webhooks/w?x=1") == NOT_SIGNED
        )
        # A body that imitates the content of the other version is none of it.
        forged = headers_of("GET", "/v1/webhooks/w", b"", versions="v1")
        forged["webhook-signature"] = forged["webhook-signature"].replace("v1,", "v1r,")
        answer = await http.delete("/v1/webhooks/w", headers=forged)
        assert answer.json()["detail"] == NOT_SIGNED
        await call("DELETE", "/v1/webhooks/w", status=204)
        # A client's secret is none that a receiver may get.
        for name in ("billing_hmac", "billing-hmac", "BILLING_HMAC"):
            thief = {"id": "t", "url": "http://127.0.0.1:12345/", "events": ["a.b"],
                     "security": {"auth_type": "bearer_token", "secret_name": name}}  # fmt: skip
            await call("POST", "/v1/webhooks", json.dumps(thief).encode(), 422, kind=plain)
        # Nor may somebody set it who could not make such a client: who sets it can sign.
        signing = json.dumps({"value": f"whsec_{NEW}"}).encode()
        by_keeper: dict[str, Any] = {"kind": plain, "key_id": "keeper", "versions": "v1ar"}
        for method, path, sent in (
            ("PUT", "/v1/secrets/nowhere", signing), ("PUT", "/v1/secrets/NOWHERE", signing),
            ("POST", "/v1/secrets/nowhere/rotate", signing), ("DELETE", "/v1/secrets/nowhere", b""),
        ):  # fmt: skip
            assert "prove themselves" in await call(method, path, sent, 403, **by_keeper)
        await call("PUT", "/v1/secrets/of_a_receiver", signing, 201, **by_keeper)
        await call("PUT", "/v1/secrets/nowhere", signing, 201, kind=plain)
        await call("POST", "/v1/keys-of-nobody", status=404)
        async with Redis.from_url(gateway.redis_url) as redis:
            ids = [key async for key in redis.scan_iter("signed:billing:*")]
            assert b"signed:billing:once" in ids
            assert all([0 < await redis.pttl(key) <= 601_000 for key in ids])

        # Streams: the handshake is signed; the name is that of the configuration.
        ws = gateway.http_url.replace("http", "ws", 1) + "/v1/ws"
        signed = headers_of("GET", "/v1/ws", key=READER, key_id="reader")
        async with websockets.connect(ws, additional_headers=signed) as socket:
            await socket.send(json.dumps({"action": "subscribe", "ref": "1", "stream": "all"}))
            assert json.loads(await socket.recv())["type"] == "subscribed"
            listed = await http.get(
                "/v1/subscriptions", headers=headers_of("GET", "/v1/subscriptions")
            )
            assert listed.json()["items"][0]["principal"] == "reader"
        async with websockets.connect(ws, additional_headers=signed) as socket:
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await socket.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 4401
        path = "/v1/streams/all/sse"
        signed = headers_of("GET", path, key=READER, key_id="reader", versions="v1")
        async with http.stream("GET", path, headers=signed) as stream:
            assert stream.status_code == 200


@pytest.fixture
async def url(start: Start, tmp_path: Path) -> str:
    """A gateway with the configuration of the guide."""
    (tmp_path / "billing_hmac").write_text(f"whsec_{OLD}")
    client = {"secret_name": "billing_hmac", "scopes": ["events:publish", "events:read"]}
    gateway = await start(
        {"auth": {"hmac": {"billing": client}}, "secrets": {"dir": str(tmp_path)}}
    )
    return str(gateway.http_url)


def _block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```$", GUIDE.read_text(), re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


async def test_the_client_of_the_guide(url: str) -> None:
    program = (
        _block("python").replace("http://127.0.0.1:8080", url).replace("whsec_…", f"whsec_{OLD}")
    )
    printed = io.StringIO()

    def run() -> None:
        with contextlib.redirect_stdout(printed):
            exec(program, {})

    await asyncio.to_thread(run)
    published, listed = printed.getvalue().splitlines()
    assert json.loads(published)["accepted"] == 1
    assert len(json.loads(listed)["items"]) == 5


@pytest.mark.curl
async def test_the_shell_of_the_guide(url: str) -> None:
    bash = shutil.which("bash")
    assert bash is not None
    process = await asyncio.create_subprocess_exec(
        bash, "-c", _block("bash"),
        env={"PATH": "/usr/bin:/bin", "URL": url, "SECRET": f"whsec_{OLD}"},
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, _ = await process.communicate()
    assert json.loads(output)["accepted"] == 1
