"""Webhooks with the method PUT or PATCH: everything but the method is as with POST."""

import base64
from pathlib import Path

import standardwebhooks

from support.client import Client, event
from support.fixtures import Start
from support.receiver import Receiver, allows

KEY = base64.b64encode(b"k" * 24).decode()
FAST = {"retry_policy": {"backoff": "fixed", "initial_delay": "50ms"}}


async def test_requests_have_the_method_of_the_webhook(
    start: Start, connect: Start, receiver: Receiver, tmp_path: Path
) -> None:
    (tmp_path / "signing").write_text(f"whsec_{KEY}")
    client: Client = await connect(await start({"secrets": {"dir": str(tmp_path)}}))
    receiver.answers["/put"] = [500, 200]
    receiver.options_answers["/verified"] = [allows()]
    signed = {"security": {"auth_type": "hmac_signature", "secret_name": "signing"}}
    for name, method, more in (
        ("put", "PUT", signed), ("patch", "PATCH", {"mode": "binary"}),
        ("verified", "PUT", {"verify": True}), ("default", None, {}),
        ("batch", "PATCH", {"mode": "batch", "batch": {"max_wait": "10ms"}}),
    ):  # fmt: skip
        webhook = await client.webhook(
            id=name, url=f"{receiver.url}/{name}", events=["user.*"], method=method, **more, **FAST
        )
        assert webhook["method"] == (method or "POST")
    (handshake,) = await receiver.until_options(1)
    assert handshake.path == "/verified"
    sent = event("user.a", {"n": 1})
    await client.send(sent)
    for name in ("put", "patch", "verified", "default", "batch"):
        await client.until(name, sent["id"], "succeeded")
    methods = {request.path[1:]: request.method for request in receiver.requests}
    assert methods == {
        "put": "PUT", "patch": "PATCH", "verified": "PUT", "default": "POST", "batch": "PATCH",
    }  # fmt: skip
    first, retried = receiver.requests_to("/put")
    assert (first.method, retried.method) == ("PUT", "PUT")
    standardwebhooks.Webhook(KEY).verify(retried.body, retried.headers)

    body = {"event": sent, "transformation": "standard", "webhook": "put"}
    preview = await client.http.post("/v1/transformations/preview", json=body)
    assert preview.json()["method"] == "PUT"
    tried = (await client.http.post("/v1/webhooks/put/test")).json()
    assert (tried["succeeded"], receiver.requests[-1].method) == (True, "PUT")
    # Retried by hand, with the method of now.
    await client.http.patch("/v1/webhooks/put", json={"method": "PATCH"})
    await client.http.post(f"/v1/deliveries/put/{sent['id']}/retry")
    assert (await receiver.until(4, "/put"))[-1].method == "PATCH"


async def test_other_methods_are_refused(client: Client) -> None:
    body = {"id": "w", "url": "https://receiver.example/", "events": ["a"]}
    for method in ("GET", "DELETE", "put", "POST ", "", "PUT / HTTP/1.1\r\nx: y", 1):
        answer = await client.http.post("/v1/webhooks", json=body | {"method": method})
        assert answer.status_code == 422, method
        assert answer.json()["errors"][0]["key"] == "method", answer.text
