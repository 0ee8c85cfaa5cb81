"""Webhooks with a method or a content type of their own: all else is as without."""

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


async def test_the_content_type_of_a_webhook_replaces_that_of_its_transformation(
    start: Start, connect: Start, receiver: Receiver
) -> None:
    form = "application/x-www-form-urlencoded"
    own = {
        "form": {"template": "type={{ type | urlencode }}&n={{ data.n | urlencode }}",
                 "content_type": form},
        "lines": {"template": "<e n=\"{{ data.n }}\"/>", "content_type": "application/xml"},
    }  # fmt: skip
    client: Client = await connect(await start({"transformations": own}))
    for name, transformation, more in (
        ("plain", "standard", {"content_type": "application/json"}),
        ("form", "form", {}), ("xml", "lines", {"content_type": "text/xml; charset=utf-8"}),
        ("batch", "standard",
         {"content_type": "application/json", "mode": "batch", "batch": {"max_wait": "10ms"}}),
    ):  # fmt: skip
        await client.webhook(id=name, url=f"{receiver.url}/{name}", events=["user.*"],
                             transformation=transformation, enrich=False, **more)  # fmt: skip
    sent = event("user.a", {"n": "1&2"})
    await client.send(sent)
    await receiver.until(4)
    came = {request.path[1:]: request for request in receiver.requests}
    assert {name: request.headers["content-type"] for name, request in came.items()} == {
        "plain": "application/json", "form": form, "xml": "text/xml; charset=utf-8",
        "batch": "application/json",
    }  # fmt: skip
    assert (came["plain"].json, came["batch"].json) == (sent, [sent])
    assert came["form"].body == b"type=user.a&n=1%262"
    body = {"event": sent, "webhook": "plain"}
    preview = (await client.http.post("/v1/transformations/preview", json=body)).json()
    assert (preview["content_type"], preview["body"]) == ("application/json", sent)
    wrong = {"id": "w", "url": "https://receiver.example/", "events": ["a"]}
    for more in ({"content_type": "a\r\nb: c"}, {"content_type": "text/plain; charset=latin1"},
                 {"content_type": "application/json", "mode": "binary"}):  # fmt: skip
        answer = await client.http.post("/v1/webhooks", json=wrong | more)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["key"] == "content_type"
