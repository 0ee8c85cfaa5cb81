"""What every caller meets at the door: limits of failures and requests, and headers of answers."""

import contextlib
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import websockets

from support.client import STRUCTURED, Client, event
from support.fixtures import Start
from support.patience import PATIENCE

ELSEWHERE = "127.0.0.2"  # another address of the same machine


@contextlib.asynccontextmanager
async def _caller(client: Client, key: str, address: str) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.AsyncHTTPTransport(local_address=address)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with httpx.AsyncClient(
        base_url=client.http.base_url, headers=headers, transport=transport, timeout=PATIENCE
    ) as http:
        yield http


async def _closed_with(client: Client, key: str, address: str) -> int | None:
    """The close code of a WebSocket."""
    url = str(client.http.base_url).replace("http", "ws", 1).rstrip("/") + "/v1/ws"
    async with websockets.connect(
        url, additional_headers={"X-API-Key": key}, local_addr=(address, 0)
    ) as socket:
        with contextlib.suppress(websockets.ConnectionClosed):
            await socket.recv()
        return socket.close_code


async def _metric(http: httpx.AsyncClient, line: str) -> float:
    found = re.search(
        rf"^event_gateway_{re.escape(line)} (\S+)$", (await http.get("/metrics")).text, re.M
    )
    return float(found[1]) if found else 0.0


async def test_failed_logins_are_limited_by_address(start: Start, connect: Start) -> None:
    limits = {"limit": 3, "period": "1h"}
    client = await connect(
        await start({
            "auth": {"failed_logins": limits}, "streams": {"s": {"subjects": ["a.*"]}},
        })
    )  # fmt: skip
    async with (
        _caller(client, client.key, ELSEWHERE) as known,
        _caller(client, "egk_guess-guess-guess", ELSEWHERE) as guess,
        _caller(client, "", ELSEWHERE) as nobody,
    ):
        assert (await known.get("/v1/webhooks")).status_code == 200
        assert [(await nobody.get("/v1/webhooks")).status_code for _ in range(9)] == [401] * 9
        for path in ("/v1/webhooks", "/v1/nothing", "/v1/streams/s/sse"):
            assert (await guess.get(path)).status_code == 401
        # Every route and protocol, also one that does not exist, and other credentials.
        sent = {"content": "{}", "headers": STRUCTURED}
        for method, path, more in (
            ("GET", "/v1/webhooks", {}), ("GET", "/v1/nothing", {}), ("GET", "/metrics", {}),
            ("GET", "/v1/streams/s/sse", {}), ("POST", "/v1/events", sent),
        ):  # fmt: skip
            settings: dict[str, Any] = dict(more)
            answer = await guess.request(method, path, **settings)
            assert answer.status_code == 429, path
            assert 1000 < int(answer.headers["retry-after"]) <= 1200
            assert answer.headers["content-type"] == "application/problem+json"
        assert await _closed_with(client, "another-guess-another", ELSEWHERE) == 4429
        assert (await guess.get("/healthz")).status_code == 200
        # The key that was right from here, and anybody elsewhere, is not locked out.
        assert (await known.get("/v1/webhooks")).status_code == 200
        assert await _closed_with(client, "wrong-wrong-wrong", "127.0.0.1") == 4401
        assert (await client.http.get("/v1/webhooks")).status_code == 200
        wrong = {"Authorization": "Bearer wrong"} | STRUCTURED
        answer = await client.http.post("/v1/events", content="{}", headers=wrong)
        assert answer.status_code == 401
        # Nor is a key that this process sees from here for the first time.
        body = {"name": "fresh", "scopes": ["webhooks:manage"]}
        value = (await client.http.post("/v1/keys", json=body)).json()["key"]
        async with _caller(client, value, ELSEWHERE) as fresh:
            assert (await fresh.get("/v1/webhooks")).status_code == 200
            answer = await fresh.post("/v1/events", json=event("a"), headers=STRUCTURED)
            assert answer.status_code == 403
        assert await _metric(client.http, 'failed_logins_total{reason="wrong"}') == 5
        assert await _metric(client.http, 'failed_logins_total{reason="limited"}') == 6
    # Every way in is recorded.
    listed = await client.http.get("/v1/audit-log", params={"outcome": "refused"})
    refused = {
        (item["operation"], item["status"]): item["client"] for item in listed.json()["items"]
    }
    assert refused["GET /v1/streams/{name}/sse", 401] == ELSEWHERE
    assert refused["POST /v1/events", 401] == refused["GET /v1/ws", 401] == "127.0.0.1"
    assert refused["POST /v1/events", 403] == ELSEWHERE


async def test_requests_of_a_caller_are_limited(start: Start, connect: Start) -> None:
    gateway = await start({
        "server": {"limits": {"requests": 6, "per": "1h"}, "cors": {"origins": ["https://a.test"]}},
    })  # fmt: skip
    client = await connect(gateway)
    statuses = []
    for number in range(8):
        if number % 2:
            answer = await client.http.get("/v1/webhooks/none")
        else:
            answer = await client.http.post("/v1/events", json=event("a"), headers=STRUCTURED)
        statuses.append(answer.status_code)
        assert answer.headers["ratelimit-policy"] == '"requests";q=6;w=3600'
        left, reset = re.fullmatch(
            r'"requests";r=(\d+);t=(\d+)', answer.headers["ratelimit"]
        ).groups()  # type: ignore[union-attr]
        assert int(left) == max(0, 5 - number)
        assert 3000 < int(reset) <= 3600
    assert statuses == [202, 404, 202, 404, 202, 404, 429, 429]
    assert 3000 < int(answer.headers["retry-after"]) <= 3600
    assert answer.json()["detail"].startswith("more than 6 requests in 3600 s")
    assert await _closed_with(client, client.key, "127.0.0.1") == 4429
    # A key may have a limit of its own.
    admin = client.http.headers["authorization"]
    other = {"name": "k", "scopes": ["admin"], "limits": {"requests": 2, "per": "2h"}}
    gateway.gateway.api.access.authenticator.limits.configure(
        failures=30, period=60.0, requests=None, window=1.0
    )
    made = (await client.http.post("/v1/keys", json=other)).json()
    assert made["limits"] == {"requests": 2, "per": "2h"}
    client.http.headers["authorization"] = f"Bearer {made['key']}"
    answers = [await client.http.get("/v1/webhooks/none") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [404, 404, 429]
    assert {answer.headers["ratelimit-policy"] for answer in answers} == {'"requests";q=2;w=7200'}
    client.http.headers["authorization"] = admin
    path = f"/v1/keys/{made['id']}"
    assert (await client.http.get(path)).json()["limits"] == made["limits"]
    assert (await client.http.patch(path, json={"limits": None})).json()["limits"] is None
    client.http.headers["authorization"] = f"Bearer {made['key']}"
    assert "ratelimit" not in (await client.http.get("/v1/webhooks/none")).headers
    # A caller that is not known has no quota, and a page may read the headers.
    client.http.headers.pop("authorization")
    answer = await client.http.get("/v1/webhooks", headers={"Origin": "https://a.test"})
    assert (answer.status_code, "ratelimit" in answer.headers) == (401, False)
    assert "ratelimit" in answer.headers["access-control-expose-headers"]


async def test_every_answer_has_security_headers(client: Client) -> None:
    for method, path, status in (
        ("GET", "/healthz", 200), ("GET", "/v1/webhooks", 200), ("GET", "/v1/nothing", 404),
        ("POST", "/v1/webhooks", 422), ("PUT", "/v1/webhooks", 405), ("POST", "/v1/tokens", 422),
        ("GET", "/v1/secrets", 200), ("OPTIONS", "/v1/events", 200), ("FOO", "/", 501),
        ("GET", "/v1/dead-letters/replay", 405), ("GET", "/v1/dead-letters/x", 404),
    ):  # fmt: skip
        content = "{}" if method == "POST" else None
        answer = await client.http.request(method, path, content=content)
        assert answer.status_code == status, path
        headers = answer.headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert "strict-transport-security" not in headers  # it came without TLS
    public = await client.http.get("/.well-known/webhook-keys.json")
    assert public.headers["cache-control"].startswith("public, max-age=")
