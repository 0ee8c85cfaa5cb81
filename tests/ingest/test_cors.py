"""CORS: what the gateway says to browsers about pages of other origins."""

import asyncio
import json
from pathlib import Path

import httpx
import pytest
import websockets
from websockets.typing import Origin

from event_gateway.api.http.limits import MAX_HEAD
from event_gateway.cli.process.serve import Running
from event_gateway.core.text.origin import is_same_host, parse_origin
from support.client import Client, connected, event
from support.fixtures import Start
from support.patience import PATIENCE
from support.program import LOOPBACK, Program
from support.raw_http import RawClient, Response, ask

ALLOWED = "https://app.example.com"
OTHERS = [
    "https://evil.example", "http://app.example.com", "https://app.example.com:8443",
    "https://app.example.com.evil.example", "https://sub.app.example.com", "null", "",
    "https://app.example.com/", "HTTPS://APP.EXAMPLE.COM", f"{ALLOWED}, https://evil.example",
]  # fmt: skip
STREAMS = {"streams": {"work": {"subjects": ["user.*"]}}}
CORS = {"server": {"cors": {"origins": [ALLOWED, "http://localhost:3000"]}, "body_timeout": "1s"}}


@pytest.fixture
async def gateway(start: Start) -> Running:
    return await start(STREAMS | CORS)  # type: ignore[no-any-return]


def _is_allowed(answer: httpx.Response | Response, origin: str = ALLOWED) -> None:
    assert answer.headers["access-control-allow-origin"] == origin, answer
    assert "retry-after" in answer.headers["access-control-expose-headers"]
    assert "Origin" in answer.headers["vary"]
    # The key is in a header that the page sets: no cookies, so no credentials.
    assert "access-control-allow-credentials" not in answer.headers


def _is_refused(answer: httpx.Response | Response) -> None:
    assert not [name for name in answer.headers if name.startswith("access-control-")], answer
    assert answer.headers["vary"] == "Origin"


async def test_every_answer_has_the_headers(client: Client, gateway: Running) -> None:
    http = client.http
    origin = {"Origin": ALLOWED}
    for method, path, status, more in [
        ("GET", "/healthz", 200, {}), ("HEAD", "/healthz", 200, {}),
        ("GET", "/v1/webhooks", 200, {}), ("GET", "/v1/webhooks/none", 404, {}),
        ("GET", "/v1/nothing", 404, {}), ("PUT", "/v1/events", 405, {}),
        ("GET", "/v1/webhooks", 401, {"Authorization": "none"}),
        ("POST", "/v1/webhooks", 422, {}), ("GET", "/v1/streams/none/sse", 404, {}),
    ]:  # fmt: skip
        answer = await http.request(method, path, headers=origin | more)
        assert answer.status_code == status, answer.text
        _is_allowed(answer)
    _is_allowed(await http.get("/healthz", headers={"Origin": "http://localhost:3000"}),
                "http://localhost:3000")  # fmt: skip
    for other in OTHERS:
        _is_refused(await http.get("/healthz", headers={"Origin": other}))
    _is_refused(await http.get("/healthz"))
    two = [("Origin", ALLOWED), ("Origin", ALLOWED)]
    _is_refused(await http.get("/healthz", headers=two))
    # A stream of events.
    await client.send(event("user.a"))
    path = "/v1/streams/work/sse?from=first"
    async with http.stream("GET", path, headers=origin) as answer:
        assert answer.status_code == 200
        _is_allowed(answer)
    # What the HTTP layer answers itself, as far as the header has come.
    head = b"POST /v1/events HTTP/1.1\r\nOrigin: %b\r\n" % ALLOWED.encode()
    media = b"Content-Type: application/cloudevents+json\r\n"
    host, key = b"Host: x\r\n", b"X-API-Key: %b\r\n" % client.key.encode()
    for rest, status in [
        (host + b"Expect: a miracle\r\n\r\n", 417), (b"\r\n", 400),
        (host + b"Transfer-Encoding: gzip\r\n\r\n", 501),
        (host + b"X: " + b"x" * 2 * MAX_HEAD + b"\r\n\r\n", 431), (host + b"no colon\r\n\r\n", 400),
        (host + key + media + b"Content-Length: 9\r\n\r\nlate", 408),
    ]:  # fmt: skip
        refusal = await asyncio.to_thread(ask, gateway.http_url, head + rest)
        assert refusal.status == status, refusal
        _is_allowed(refusal)
    # The next request on a connection is that of another page.
    first, second = await asyncio.to_thread(_two, gateway.http_url)
    _is_allowed(first)
    _is_refused(second)


def _two(url: str) -> list[Response]:
    """Two requests on a connection, the second of a page that is not allowed."""
    with RawClient(url) as raw:
        get = b"GET /healthz HTTP/1.1\r\nHost: x\r\nOrigin: %b\r\n\r\n"
        raw.send((get % ALLOWED.encode()) + get % b"https://evil.example")
        return [raw.response(), raw.response()]


async def test_preflights(client: Client) -> None:
    async with httpx.AsyncClient(
        base_url=client.http.base_url, timeout=PATIENCE
    ) as page:  # browsers send no key

        async def preflight(path: str = "/v1/webhooks/x", **headers: str) -> httpx.Response:
            asked = {"Origin": ALLOWED, "Access-Control-Request-Method": "PATCH"}
            more = {name.replace("_", "-"): value for name, value in headers.items()}
            return await page.options(path, headers=asked | more)

        for path in ("/v1/webhooks/x", "/v1/events", "/v1/streams/work/sse", "/nothing"):
            answer = await preflight(
                path,
                Access_Control_Request_Headers="authorization,content-type,ce-id,ce-tenant,x-evil",
            )
            assert (answer.status_code, answer.content) == (204, b"")
            _is_allowed(answer)
            methods = answer.headers["access-control-allow-methods"].split(", ")
            assert {"GET", "POST", "PUT", "PATCH", "DELETE"} <= set(methods)
            names = answer.headers["access-control-allow-headers"].split(", ")
            assert {"authorization", "content-type", "last-event-id", "ce-id", "ce-tenant"} <= (
                set(names)
            )
            assert "x-evil" not in names
            assert int(answer.headers["access-control-max-age"]) > 60
            assert "access-control-allow-private-network" not in answer.headers
        answer = await preflight(Access_Control_Request_Private_Network="true")
        assert answer.headers["access-control-allow-private-network"] == "true"
        for other in OTHERS:
            answer = await preflight(Origin=other)
            assert answer.status_code == 403
            assert "server.cors.origins" in answer.json()["detail"]
            _is_refused(answer)
        # No preflights: the handshake of webhooks (CloudEvents), and OPTIONS as such.
        answer = await page.options("/v1/events", headers={"WebHook-Request-Origin": "x"})
        assert "access-control-allow-methods" not in answer.headers
        assert (await page.options("/v1/webhooks", headers={"Origin": ALLOWED})).status_code == 401


async def test_the_origin_of_a_websocket(client: Client, gateway: Running) -> None:
    host = gateway.http_url.removeprefix("http://")
    key = {"Authorization": f"Bearer {client.key}"}

    async def opens(**headers: str) -> bool:
        try:
            async with websockets.connect(
                f"ws://{host}/v1/ws", additional_headers=key | headers, compression=None
            ) as socket:
                await socket.send('{"action": "ping"}')
                return bool(json.loads(await socket.recv())["type"] == "pong")
        except websockets.InvalidStatus as refused:
            answer = refused.response
        return answer.status_code != 403 or b"server.cors.origins" not in (answer.body or b"")

    assert await opens()  # programs send none
    # The page's own host, also where a proxy speaks TLS.
    for origin in (ALLOWED, f"http://{host}", f"https://{host}"):
        assert await opens(Origin=origin), origin
    for origin in [*OTHERS, "http://127.0.0.1", f"http://{host}.evil.example"]:
        assert not await opens(Origin=origin), origin


async def test_without_origins_and_after_a_reload(tmp_path: Path) -> None:
    """Without origins no answer speaks of CORS, and a token opens a WebSocket, as before: browsers
    hold no cookie of the gateway that a page could misuse."""
    program = Program(tmp_path, LOOPBACK | STREAMS)
    at = await program.start()
    try:
        async with connected(at["http"], at["nats"], at["key"]) as client:
            asked = {"Origin": ALLOWED, "Access-Control-Request-Method": "GET"}
            for answer, status in (
                (await client.http.get("/healthz", headers=asked), 200),
                (await client.http.options("/v1/webhooks", headers=asked), 405),
            ):
                assert answer.status_code == status
                assert not [name for name in answer.headers if name.startswith("access-control")]
                assert "vary" not in answer.headers
            token = (await client.http.post("/v1/tokens", json={"streams": ["work"]})).json()
            url = at["http"].replace("http", "ws", 1) + f"/v1/ws?token={token['token']}"
            async with websockets.connect(url, origin=Origin("https://evil.example")) as socket:
                await socket.send('{"action": "ping"}')
                assert json.loads(await socket.recv())["type"] == "pong"
            await program.reload(LOOPBACK | STREAMS | CORS, "configuration reloaded")
            _is_allowed(await client.http.get("/healthz", headers=asked))
            with pytest.raises(websockets.InvalidStatus):
                await websockets.connect(url, origin=Origin("https://evil.example"))
    finally:
        await program.stop()


@pytest.mark.parametrize(
    ("origin", "reason"),
    [
        ("*", "wildcards"), ("https://*.example.com", "wildcards"), ("null", "serve the page"),
        ("https://a.example/", "slash at its end: write https://a.example"),
        ("https://a.example/app", "has a path"), ("https://a.example?x", "has a path"),
        ("a.example", "must be an origin"), ("https://", "must be an origin"), ("", "must be an"),
        ("https://me@a.example", "must be an origin"), ("https://a.example:0", "port"),
        ("https://a.example:443", "https://a.example"), ("http://A.Example:80", "http://a.example"),
        ("https://a.example:99999", "port"), ("https://a.example:", "port"),
        ("https://bücher.example", "https://xn--bcher-kva.example"), ("file:///x", "must be an"),
        ("https://a.example ", "must be an origin"), ("https://a\nb", "must be an origin"),
        ("https://a.example:0443", "https://a.example"), ("file://x", "null"),
    ],
)  # fmt: skip
def test_origins_that_are_refused(origin: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_origin(origin)


def test_origins_that_are_taken() -> None:
    for origin in (
        "https://a.example",
        "http://localhost:3000",
        "http://[::1]:8080",
        "https://a.example:8443",
        "chrome-extension://abcdef",
        "https://xn--bcher-kva.example",
    ):
        assert parse_origin(origin) == origin
    assert is_same_host("https://a.example", "A.example:443")
    assert is_same_host("http://a.example:80", "a.example")
    assert not is_same_host("https://a.example:80", "a.example")
    assert not is_same_host("https://a.example/x", "a.example")
    assert not is_same_host("null", "null")
