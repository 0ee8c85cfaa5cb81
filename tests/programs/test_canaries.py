"""No secret is ever shown: a full run with a canary for each, and a search in all that comes out.

Receivers and token endpoints send back whatever they got; what they know they got from us.
"""

import asyncio
import base64
import contextlib
import json
import socket
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from standardwebhooks.webhooks import Webhook

from support.canaries import Canaries
from support.client import Client, connected, event
from support.echo_server import EchoedRequest, EchoServer
from support.gateway_outputs import Places, Recorded, from_api, from_files, from_nats, from_redis
from support.patience import PATIENCE
from support.planted_secrets import PlantedSecrets
from support.program import Program
from support.proxy import ConnectProxy

# Webhooks whose secrets, tokens or certificates cannot be used.
UNUSABLE = (
    "refused", "refused-cut", "spoilt", "down", "lines", "no-base64", "not-utf8", "wrong",
    "broken",
)  # fmt: skip
REFUSED = "not-utf8-key"  # a webhook whose secret signs nothing
JSON = {"Content-Type": "application/json"}
# Where a secret is allowed: its name, and the beginning of the place.
ALLOWED = [
    # Both values of a rotated key begin with its id.
    ("api-key", "answer to POST /v1/keys"),
    ("api-key-2", "answer to POST /v1/keys"),
    ("token", "answer to POST /v1/tokens (201)"),
]


def mutual(planted: PlantedSecrets) -> ssl.SSLContext:
    """The TLS context of a server that requires client certificates."""
    context = planted.authority.server()
    context.verify_mode = ssl.CERT_REQUIRED
    pem = planted.authority.certificate.public_bytes(Encoding.PEM).decode()
    context.load_verify_locations(cadata=pem)
    return context


@pytest.mark.timeout(900)  # on a busy machine
async def test_no_output_of_a_full_run_contains_a_secret(tmp_path: Path) -> None:
    planted = PlantedSecrets(tmp_path)
    canaries = planted.canaries
    plain, token, proxy = EchoServer(), EchoServer(planted.token), ConnectProxy()
    tls, places = EchoServer(), Recorded()
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        async with (
            plain.running(), token.running(), proxy.running(), tls.running(mutual(planted))
        ):  # fmt: skip
            program = Program(tmp_path, {
                "secrets": {"dir": str(planted.folder)},
                "delivery": {
                    "allow_networks": ["127.0.0.0/8"],
                    "proxy": {"url": f"http://gw:${{PROXY_PASSWORD}}@127.0.0.1:{proxy.port}"},
                },
            }, **planted.environ)  # fmt: skip
            webhooks = planted.webhooks(plain, tls, token, dead)
            result = await _run(program, planted, webhooks, places)
    result += places.answers
    _reached(planted, plain, tls, token, proxy)
    assert "Traceback" not in program.output, program.output
    assert len(places.answers) > 250
    assert len(result) > 500
    hits = canaries.hits(result, ALLOWED)
    assert not hits, "\n".join(sorted(set(hits)))


async def _run(
    program: Program, planted: PlantedSecrets, webhooks: list[dict[str, Any]], places: Recorded
) -> Places:
    """Runs, kills, restarts and stops the gateway; returns all its outputs."""
    at = await program.start()
    async with asyncio.timeout(PATIENCE):  # printed when the gateway is ready
        while str(program.data / "admin.key") not in program.output:
            await asyncio.sleep(0.02)
    first = program.output
    for name, url in (("nats", at["nats"]), ("redis", at["redis"])):
        planted.canaries.plant(name, httpx.URL(url).password)
    planted.canaries.plant("admin", at["key"])
    sealing = (program.data / "sealing.key").read_text()
    planted.canaries.plant("sealing", sealing, base64.b64decode(sealing))
    out: Places = [("output: first start", first.encode())]
    ids = [item["id"] for item in webhooks if item["id"] != REFUSED]
    async with _recorded(at, places) as client:
        await _seal(client, planted)
        await _use_keys(client, planted.canaries)
        for definition in webhooks:
            if definition["id"] != REFUSED:
                await client.webhook(**definition)
        planted.add_no_base64()
        for definition in webhooks:
            if definition["id"] in ("no-base64", REFUSED):
                method = "POST" if definition["id"] == REFUSED else "PUT"
                path = "/v1/webhooks" if method == "POST" else "/v1/webhooks/no-base64"
                answer = await client.http.request(method, path, json=definition)
                assert answer.status_code == 422, answer.text
        await _try(client, planted, ids)
        sent = [event("user.a") for _ in range(3)]
        for item in sent:
            await client.send(item)
        for webhook, status in (("bearer", "dead_letter"), ("hmac", "succeeded"),
                                ("oauth2", "succeeded")):  # fmt: skip
            await _wait_for_any(client, webhook, sent, status)
        await _abuse(client, planted.canaries)
        await from_api(client, ids, [item["id"] for item in sent])
        await client.lifecycle_events(1, "webhook.dead_lettered")
        out += await from_nats(client)
        out += await from_redis(at["redis"])
    program.kill()
    out += from_files(program.data)
    program.configure(
        f"redis: {{url: 'redis://:{planted.canaries.make('reload')}@h/0', pasword: x}}\n"
    )
    assert await program.start_fails() == 2
    program.configure({"secrets": {"dir": str(planted.folder)}, "delivery": {
        "allow_networks": ["127.0.0.0/8"]}})  # fmt: skip
    at = await program.start()
    async with _recorded(at, places) as client:
        await client.http.post("/v1/webhooks/bearer/test")
        out += await from_nats(client)
        out += await from_redis(at["redis"])
    assert await program.stop() == 0
    assert "endpoints.json" not in [path.name for path in program.data.iterdir()]
    out += from_files(program.data)
    out.append(("output: later", program.output.removeprefix(first).encode()))
    return out


@contextlib.asynccontextmanager
async def _recorded(at: dict[str, Any], places: Recorded) -> Any:
    async with connected(at["http"], at["nats"], at["key"]) as client:
        headers = {"Authorization": f"Bearer {at['key']}"}
        recorded = Recorded()
        async with httpx.AsyncClient(
            base_url=at["http"], headers=headers, timeout=PATIENCE, transport=recorded
        ) as http:
            client.http = http
            yield client
        places.answers += recorded.answers


async def _use_keys(client: Client, canaries: Canaries) -> None:
    """A key that is created, used, rotated and revoked, a token, and each where none belongs."""
    body = {"name": "reader", "scopes": ["streams:read"]}
    created = (await client.http.post("/v1/keys", json=body)).json()
    canaries.plant("api-key", created["key"])
    path = f"/v1/keys/{created['id']}"
    rotated = (await client.http.post(f"{path}/rotate")).json()
    canaries.plant("api-key-2", rotated["key"])
    await client.http.post("/v1/streams", json={"name": "s", "subjects": ["user.*"]})
    headers = {"X-API-Key": created["key"]}
    issued = await client.http.post("/v1/tokens", json={"streams": ["s"]}, headers=headers)
    canaries.plant("token", issued.json()["token"])
    for value in (created["key"], rotated["key"], issued.json()["token"]):
        for wrong in (value, f"{value[:-1]}!", value * 100):
            query = {"token": wrong}
            await client.http.get("/v1/streams/s/sse", params=query | {"from": "x"})
            await client.http.get("/v1/streams", params=query)
            await client.http.get("/v1/keys", headers={"X-API-Key": wrong})
            await client.http.get(f"/v1/keys/{wrong}")
            await client.http.delete(f"/v1/tokens/{wrong}")
            await client.http.post("/v1/keys", json=body | {"key": wrong})
    for kind in ("keys", "tokens", "subscriptions"):
        await client.http.get(f"/v1/{kind}")
    await client.http.get(path)
    assert (await client.http.delete(path)).status_code == 204


async def _seal(client: Client, planted: PlantedSecrets) -> None:
    """A sealed secret that is set, replaced while it is in use, and rotated."""
    for name in ("sealed", "unused"):
        value = planted.canaries.make(f"{name}1")
        answer = await client.http.put(f"/v1/secrets/{name}", json={"value": value})
        assert answer.status_code == 201, answer.text


async def _try(client: Client, planted: PlantedSecrets, ids: list[str]) -> None:
    """Sends each sample request three times, once for each status; changes secrets in between."""
    slow = asyncio.create_task(client.http.post("/v1/webhooks/slow/test"))
    await asyncio.sleep(0.3)  # now it waits for its response, and its token is renewed
    await client.http.post("/v1/webhooks/401/test")
    came = (await slow).json()
    assert came["status_code"] == 500
    for turn in range(3):
        every = [client.http.post(f"/v1/webhooks/{name}/test") for name in ids]
        answers = {
            item["webhook_id"]: item for item in [a.json() for a in await asyncio.gather(*every)]
        }
        for name in UNUSABLE:
            assert answers[name]["error_type"] == "AuthError", answers[name]
        assert answers["missing"]["error_type"] == "SecretMissing"
        body = {"value": planted.canaries.make(f"sealed-turn{turn}")}
        answer = await client.http.post("/v1/secrets/sealed/rotate", json=body)
        assert answer.status_code == 200, answer.text
    for name in ("bearer", "basic", "oauth", "sealed", "locked"):
        await client.http.post(f"/v1/webhooks/{name}/verify")
    new = {"value": planted.canaries.key("hmac3", "whsec_")}
    assert (await client.http.post("/v1/webhooks/hmac/rotate-secret", json=new)).status_code == 409


async def _wait_for_any(
    client: Client, webhook: str, sent: list[dict[str, Any]], status: str
) -> None:
    """Waits until the delivery of one of the events has this status."""
    waiting = [asyncio.create_task(client.until(webhook, event["id"], status)) for event in sent]
    done, rest = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE)
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
    assert done, f"{webhook}: none {status}"
    await done.pop()


async def _abuse(client: Client, canaries: Canaries) -> None:
    """Sends requests with a secret in a wrong place; each is refused."""
    secret = canaries.make("abuse", "/")
    plain = canaries.make("abuse2")
    url = {"id": "bad", "events": ["user.*"], "url": "https://receiver.test/"}
    bodies: list[tuple[str, str, Any]] = [
        ("PUT", "/v1/secrets/sealed", secret),
        ("PUT", "/v1/secrets/sealed", [secret]),
        ("PUT", "/v1/secrets/sealed", {"value": [secret]}),
        ("PUT", "/v1/secrets/sealed", {"value": {secret: 1}}),
        ("PUT", "/v1/secrets/sealed", {"secret": secret}),
        ("PUT", "/v1/secrets/sealed", {secret: "value"}),
        ("PUT", "/v1/secrets/sealed", {"value": secret + "\ud800"}),
        ("PUT", "/v1/secrets/sealed", {"value": secret * 3000}),
        ("PUT", f"/v1/secrets/{plain}!", {"value": secret}),
        ("PUT", "/v1/secrets/sealing_key", {"value": secret}),
        ("POST", "/v1/secrets/sealed/rotate", {"value": secret, "overlap": "1y"}),
        ("POST", "/v1/secrets/sealed/rotate", {"value": secret, "over": "1h"}),
        ("POST", "/v1/secrets/bearer/rotate", {"value": secret}),
        ("POST", "/v1/secrets/none/rotate", {"value": secret}),
        ("POST", "/v1/webhooks/hmac/rotate-secret", {"value": secret}),
        ("POST", "/v1/webhooks/bearer/rotate-secret", {"value": secret}),
        ("POST", "/v1/webhooks", url | {"url": f"https://user:{plain}@receiver.test/"}),
        ("POST", "/v1/webhooks", url | {"url": f"https://{plain}@receiver.test/"}),
        ("POST", "/v1/webhooks", url | {"url": f"https://user:{secret}@receiver.test/"}),
        ("POST", "/v1/webhooks", url | {"headers": {"Authorization": f"Bearer {secret}"}}),
        ("POST", "/v1/webhooks", url | {"headers": {f"Authorization: Bearer {secret}": ""}}),
        ("POST", "/v1/webhooks", url | {"headers": [f"Authorization: Bearer {secret}"]}),
        ("POST", "/v1/webhooks", url | {"headers": {"X-Key": secret + "\n"}}),
        ("POST", "/v1/webhooks", url | {"token": secret}),
        ("POST", "/v1/webhooks", url | {"security": secret}),
    ]
    for more in ({"secret": plain}, {"secret_name": secret}, {"value": secret}, {"token": secret},
                 {"secret_name": "bearer", "username": secret}, {"secret_name": [secret]},
                 {"auth_type": secret}, {"secret_name": "sealing_key"}):  # fmt: skip
        security = {"auth_type": "bearer_token"} | more
        bodies.append(("POST", "/v1/webhooks", url | {"security": security}))
    for token_url in (f"https://user:{plain}@auth.test/", f"https://auth:{plain}/"):
        security = {"auth_type": "oauth2_client_credentials", "client_id": "c",
                    "secret_name": "client", "token_url": token_url}  # fmt: skip
        bodies.append(("POST", "/v1/webhooks", url | {"security": security}))
    for method, path, body in bodies:
        answer = await client.http.request(method, path, content=json.dumps(body), headers=JSON)
        assert 400 <= answer.status_code < 500, (answer.status_code, path, body)
    for broken in (f'{{"value": "{secret}', f"{secret}", f'{{"value": "{secret}"}} {secret}'):
        answer = await client.http.put("/v1/secrets/sealed", content=broken, headers=JSON)
        assert 400 <= answer.status_code < 500, broken
    headers = {"Authorization": f"Bearer {secret}"}
    assert (await client.http.get("/v1/webhooks", headers=headers)).status_code == 401


def _reached(
    planted: PlantedSecrets,
    plain: EchoServer,
    tls: EchoServer,
    token: EchoServer,
    proxy: ConnectProxy,
) -> None:
    """Checks that each secret reached its receiver: otherwise the search would prove nothing."""
    values = planted.values

    def basic(user: str, password: str) -> str:
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    def heads(path: str) -> set[str]:
        return {request.headers.get("authorization", "") for request in plain.requests_to(path)}

    assert f"Bearer {values['bearer']}" in heads("/bearer")
    assert basic("user", values["basic"]) in heads("/basic")
    assert basic(*values["pair"].split(":", 1)) in heads("/pair")
    key = (planted.folder / "from-file").read_text().strip()
    assert key in {request.headers["x-key"] for request in plain.requests_to("/file")}
    assert len(heads("/sealed")) >= 3  # each of the values
    assert len(heads("/401")) >= 2  # a token, and the one after it
    assert {head.split(" ")[1] for head in heads("/oauth2")} <= set(planted.tokens)
    for secret in planted.whsec:
        received = plain.requests_to("/hmac")[0]
        assert Webhook(secret).verify(received.body, _signed(received)) is not None
    raw = base64.b64decode(values["ed"].removeprefix("whsk_"))
    received = plain.requests_to("/ed")[0]
    content = (
        f"{received.headers['webhook-id']}.{received.headers['webhook-timestamp']}.".encode()
        + received.body
    )
    signature = base64.b64decode(received.headers["webhook-signature"].removeprefix("v1a,"))
    Ed25519PrivateKey.from_private_bytes(raw).public_key().verify(signature, content)
    assert {"locked", "open"} == {word for request in tls.requests for word in ("locked", "open")
                                  if word in request.subject}  # fmt: skip
    requested = Canaries({name: planted.canaries.planted[name] for name in
                      ("client", "client2", "refused", "spoilt")})  # fmt: skip
    text = b"".join(request.head + request.body for request in token.requests)
    assert {name for name, _ in requested.in_text(text)} == set(requested.planted)
    proxied = Canaries({"proxy": planted.canaries.planted["proxy"]})
    assert proxied.hits([("heads", "".join(proxy.heads).encode())])


def _signed(sent: EchoedRequest) -> dict[str, str]:
    return {name: value for name, value in sent.headers.items() if name.startswith("webhook-")}
