"""Tunnels through a forward proxy, over real sockets and on both event loops."""

import asyncio
import base64
import contextlib
import os
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography.hazmat.primitives.serialization import Encoding

from event_gateway.config.delivery_model import ProxyModel
from event_gateway.config.load import ConfigError
from event_gateway.core.webhook.error_type import AttemptErrorType
from event_gateway.transport.client import Failure, HttpClient, Response
from event_gateway.transport.egress_guard import EgressGuard
from event_gateway.transport.proxy import Proxy, proxy_of
from event_gateway.transport.resolver import Resolver
from support.certificates import Authority
from support.client import connected, event
from support.configuration import loaded
from support.patience import PATIENCE
from support.program import LOOPBACK, Program
from support.proxy import ConnectProxy
from support.receiver import Receiver
from support.scripted_server import OK, Listening, ScriptedServer, drip
from support.sending import assert_refused, post

Run = Callable[[Coroutine[Any, Any, None]], None]
BOTH_LOOPS = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
CREDENTIALS = "gate%2Dway:hunter2%40%2F"
AUTHORIZATION = base64.b64encode(b"gate-way:hunter2@/").decode()


def through(port: int, resolve: str = "gateway", credentials: str = CREDENTIALS) -> Proxy:
    at = f"{credentials}@" if credentials else ""
    result = proxy_of(ProxyModel.model_validate(
        {"url": f"http://{at}127.0.0.1:{port}", "resolve": resolve}
    ))  # fmt: skip
    assert result is not None
    return result


@contextlib.asynccontextmanager
async def sending(
    proxy: Proxy,
    look: Callable[[str], list[str]] = lambda host: ["127.0.0.1"],
    *,
    guard: EgressGuard | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[HttpClient]:
    """An HTTP client all of whose connections are closed at the end."""
    before = len(os.listdir("/proc/self/fd"))
    sender = HttpClient(
        guard or EgressGuard(["127.0.0.0/8"]),
        resolver=Resolver(look),
        ssl_context=tls,
        proxy=proxy,
    )
    yield sender
    await sender.close()
    assert sender.open_connections == sender.in_flight == 0
    async with asyncio.timeout(PATIENCE):
        while len(os.listdir("/proc/self/fd")) > before:
            await asyncio.sleep(0.01)


@BOTH_LOOPS
def test_http_and_https_are_tunneled_to_the_checked_address(run: Run, tmp_path: Path) -> None:
    async def case() -> None:
        authority = Authority(tmp_path)
        plain, secure, proxy = ScriptedServer([OK]), ScriptedServer([OK]), ConnectProxy()
        async with (
            plain.running() as url, secure.running(authority.server("crm.test")) as tls_url,
            proxy.running(), sending(through(proxy.port), tls=authority.client()) as sender,
        ):  # fmt: skip
            for _ in range(3):  # one connection each, kept
                for item in (url, tls_url.replace("127.0.0.1", "crm.test")):
                    result = await post(sender, item)
                    assert isinstance(result, Response), result
                    assert result.body == b"ok"
            assert plain.connections == secure.connections == 1
            assert proxy.targets == [item.split("/")[2] for item in (url, tls_url)]
            for head, request in zip(proxy.heads, proxy.targets, strict=True):
                assert head == (f"CONNECT {request} HTTP/1.1\r\nhost: {request}\r\n"
                                f"proxy-authorization: Basic {AUTHORIZATION}\r\n\r\n")  # fmt: skip
            # TLS is the receiver's: a certificate for another name is refused through it, too.
            result = await post(sender, tls_url.replace("127.0.0.1", "other.test"))
            assert isinstance(result, Failure)
            assert result.error_type == AttemptErrorType.TLS_ERROR
            assert secure.requests == 3

    run(case())


@BOTH_LOOPS
def test_the_proxy_gets_names_if_it_resolves_them(run: Run, tmp_path: Path) -> None:
    lookups: list[str] = []

    def look(host: str) -> list[str]:
        lookups.append(host)
        return ["127.0.0.1"]

    async def case() -> None:
        authority = Authority(tmp_path)
        proxy = ConnectProxy(hosts={"crm.test": "127.0.0.1"})
        async with (
            ScriptedServer([OK]).running(authority.server("crm.test")) as url, proxy.running(),
            sending(through(proxy.port, "proxy", ""), look, guard=EgressGuard(["10.0.0.0/8"]),
                    tls=authority.client()) as sender,
        ):  # fmt: skip
            place = url.split("/")[2]
            named = place.replace("127.0.0.1", "crm.test")
            assert isinstance(await post(sender, f"https://{named}/"), Response)
            assert proxy.heads == [f"CONNECT {named} HTTP/1.1\r\nhost: {named}\r\n\r\n"]
            assert not lookups
            # Addresses are checked as always.
            for bad, text in (
                (f"https://{place}/", "loopback"), (f"https://localhost:{place[10:]}/", "loopback"),
                ("https://127.1/", "usual form"), ("https://metadata.google.internal/", "metadata"),
                ("https://[::1]/", "loopback"), ("https://crm.test:22/", "port 22"),
                (f"http://{named}/", "use https"),
            ):  # fmt: skip
                assert_refused(await post(sender, bad), text)
            assert len(proxy.heads) == 1

    run(case())


async def test_refused_addresses_are_never_asked_of_the_proxy() -> None:
    proxy = ConnectProxy()
    async with (
        Listening().on("127.0.0.1", "127.0.0.2") as there, proxy.running(),
        sending(through(proxy.port), lambda host: ["127.0.0.2"] + ["127.0.0.1"] * (host == "crm"),
                guard=EgressGuard(["127.0.0.1/32"])) as sender,
    ):  # fmt: skip
        assert_refused(await post(sender, f"http://other:{there.port}/"), "127.0.0.2")
        assert isinstance(await post(sender, f"http://crm:{there.port}/"), Response)
        assert proxy.targets == [f"127.0.0.1:{there.port}"]


async def test_the_next_address_is_tried_if_the_proxy_cannot_reach_one() -> None:
    proxy = ConnectProxy()
    async with (
        Listening().on("127.0.0.1", "::1") as there, proxy.running(),
        sending(through(proxy.port), lambda host: ["127.0.0.9", "::1", "127.0.0.1"],
                guard=EgressGuard(["127.0.0.0/8", "::1/128"])) as sender,
    ):  # fmt: skip
        assert isinstance(await post(sender, f"http://crm:{there.port}/"), Response)
        assert proxy.targets == [f"127.0.0.9:{there.port}", f"[::1]:{there.port}"]
        assert there.connections == {"127.0.0.1": 0, "::1": 1}


OPENED = b"HTTP/1.1 200 Connection established\r\n\r\n"
HOSTILE: list[tuple[list[bytes | float | None], AttemptErrorType, str]] = [
    ([b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"], AttemptErrorType.EGRESS_REFUSED,
     "answered 407"),
    ([b"HTTP/1.1 403 Forbidden\r\ncontent-length: 3\r\n\r\nno!"], AttemptErrorType.EGRESS_REFUSED,
     "answered 403"),
    ([b"HTTP/1.1 502 Bad Gateway\r\n\r\n"], AttemptErrorType.CONNECTION_RESET, "answered 502"),
    ([b"HTTP/1.0 302 Found\r\nlocation: http://x/\r\n\r\n"], AttemptErrorType.CONNECTION_RESET,
     "answered 302"),
    ([None], AttemptErrorType.CONNECTION_RESET, "closed the connection"),
    ([b"HTTP/1.1 200 OK\r\nx: ", None], AttemptErrorType.CONNECTION_RESET, "closed the connection"),
    ([b"SSH-2.0-OpenSSH_9.2\r\n\r\n"], AttemptErrorType.PROTOCOL_ERROR, "not HTTP/1.1"),
    ([b"HTTP/1.1 100 Continue\r\n\r\n"], AttemptErrorType.PROTOCOL_ERROR, "not HTTP/1.1"),
    ([b"HTTP/1.1 2000 OK\r\n\r\n"], AttemptErrorType.PROTOCOL_ERROR, "not HTTP/1.1"),
    ([b"\0" * 100 + b"\r\n\r\n"], AttemptErrorType.PROTOCOL_ERROR, "not HTTP/1.1"),
    ([b"HTTP/1.1 200 OK\r\n", *[b"x: " + b"y" * 1000 + b"\r\n"] * 100],
     AttemptErrorType.PROTOCOL_ERROR, "too large"),
    ([OPENED + OK], AttemptErrorType.PROTOCOL_ERROR, "sent more than its answer"),
    ([OPENED + b"\x16"], AttemptErrorType.PROTOCOL_ERROR, "sent more than its answer"),
    ([10 * PATIENCE], AttemptErrorType.CONNECT_TIMEOUT, "not connected in time"),
    ([b"SSH-2.0-OpenSSH_9.2\r\n", 10 * PATIENCE], AttemptErrorType.CONNECT_TIMEOUT,
     "not connected in time"),
    (drip(OPENED, 0.03), AttemptErrorType.CONNECT_TIMEOUT, "not connected in time"),
]  # fmt: skip


def _timeout(expected: AttemptErrorType) -> float:
    """Seconds for a request: few only where they are to run out."""
    return 0.6 if expected == AttemptErrorType.CONNECT_TIMEOUT else 2 * PATIENCE


@BOTH_LOOPS
@pytest.mark.parametrize(("script", "error", "message"), HOSTILE)
def test_a_proxy_that_misbehaves(
    run: Run, script: list[bytes | float | None], error: AttemptErrorType, message: str
) -> None:
    async def case() -> None:
        proxy = ConnectProxy(script)
        async with proxy.running(), sending(through(proxy.port)) as sender:
            began = asyncio.get_running_loop().time()
            result = await post(sender, "http://127.0.0.1:8080/", timeout=_timeout(error))
            assert asyncio.get_running_loop().time() - began < PATIENCE
            assert isinstance(result, Failure), result
            assert result.error_type == error, result
            assert message in result.message
            assert f"the proxy 127.0.0.1:{proxy.port}" in result.message
            assert "hunter2" not in result.message
            assert AUTHORIZATION not in result.message

    run(case())


@BOTH_LOOPS
def test_a_tunnel_that_does_not_lead_to_the_receiver(run: Run) -> None:
    async def case() -> None:
        # The bytes in place of the receiver's TLS, at once or never.
        scripts: list[tuple[list[bytes | float | None], AttemptErrorType]] = [
            ([OPENED, 0.1, OK], AttemptErrorType.TLS_ERROR),
            ([OPENED, 0.1, None], AttemptErrorType.CONNECTION_RESET),
            ([OPENED, 10 * PATIENCE], AttemptErrorType.CONNECT_TIMEOUT),
        ]
        for script, error in scripts:
            proxy = ConnectProxy(script)
            async with proxy.running(), sending(through(proxy.port)) as sender:
                result = await post(sender, "https://127.0.0.1:8443/", timeout=_timeout(error))
                assert isinstance(result, Failure), result
                assert result.error_type == error, result

    run(case())


@BOTH_LOOPS
def test_an_unreachable_proxy(run: Run) -> None:
    def look(host: str) -> list[str]:
        if host == "proxy.test":
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return ["127.0.0.1"]

    async def case() -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            port = closed.getsockname()[1]
            url = f"http://u:hunter2@proxy.test:{port}"
            unknown = proxy_of(ProxyModel(url=url))
            assert unknown is not None
            full = [socket.socket() for _ in range(2)]
            for proxy, error, text in (
                (through(port), AttemptErrorType.CONNECTION_REFUSED,
                 f"the proxy 127.0.0.1:{port} refused the connection"),
                (unknown, AttemptErrorType.NAME_RESOLUTION, "the proxy proxy.test: no such name"),
                (through(port), AttemptErrorType.CONNECT_TIMEOUT,
                 f"not connected in time through the proxy 127.0.0.1:{port}"),
            ):  # fmt: skip
                if error == AttemptErrorType.CONNECT_TIMEOUT:
                    closed.listen(0)  # two connections that are never accepted fill its queue
                    for item in full:
                        item.setblocking(False)
                        item.connect_ex(("127.0.0.1", port))
                async with sending(proxy, look) as sender:
                    result = await post(sender, "http://crm:8080/", timeout=_timeout(error))
                    assert isinstance(result, Failure), result
                    assert (result.error_type, result.message) == (error, text)
            for item in full:
                item.close()

    run(case())


def test_the_proxy_in_a_configuration(tmp_path: Path) -> None:
    text = "delivery:\n  proxy: {url: 'http://u:${PASSWORD}@proxy.test:3128', resolve: proxy}\n"
    config = loaded(text, tmp_path, PASSWORD="hunter2%2F")
    assert "hunter2" not in repr(config)
    proxy = proxy_of(config.delivery.proxy)
    assert proxy is not None
    assert (proxy.target.host, proxy.target.port) == ("proxy.test", 3128)
    assert proxy.resolves_names
    assert base64.b64decode(proxy.authorization.split()[-1]) == b"u:hunter2/"
    for shown in (repr(proxy), str(proxy)):
        assert "hunter2" not in shown
        assert base64.b64encode(b"u:hunter2/").decode() not in shown
    assert proxy_of(None) is None
    for resolve in ("gateway", "proxy"):
        model = ProxyModel.model_validate({"url": "http://[::1]/", "resolve": resolve})
        result = proxy_of(model)
        assert result is not None
        assert (result.target.host, result.target.port, result.authorization) == ("::1", 80, b"")


@pytest.mark.parametrize(
    "proxy",
    ["{url: 'https://u:hunter2@x:1'}", "{url: 'socks5://u:hunter2@x:1'}", "{url: 'hunter2'}",
     "{url: 'http://u:hunter2/@x:1'}", "{url: 'http://u:hunter2#@x:1'}", "{url: 'http://u:1@'}",
     "{url: 'http://u:hunter2?@x:1'}", "{url: 'http://u:hunter2@x:99999'}", "{url: 'http://x:1/p'}",
     "{url: 'http://u:hunter2@x:hunter2'}", '{url: "http://u:hunter2\\n@x:1"}', "{}",
     "{url: 'http://x:1?'}", "{url: 'http://x:1#'}", "{url: 'http://u:hun ter2@x:1'}",
     "{url: 'http://x:1', resolve: hunter}", "{url: 'http://x:1', verify: false}", "http://x:1",
     "{url: 'http://a b:1'}", "{url: 'http://[::1:3128'}"],
)  # fmt: skip
def test_a_proxy_that_cannot_be_used_is_refused_without_its_password(
    tmp_path: Path, proxy: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(f"delivery:\n  proxy: {proxy}\n", tmp_path)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{tmp_path / 'gateway.yaml'}:2: delivery.proxy"), line
    assert "hunter2" not in line


async def test_the_program_delivers_through_a_proxy_and_changes_it_on_reload(
    tmp_path: Path, receiver: Receiver
) -> None:
    """The real program, on its own event loop, with TLS to the receiver."""
    authority = Authority(tmp_path)
    bundle = tmp_path / "authority.pem"
    bundle.write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    secure = ScriptedServer([OK])
    first, second = ConnectProxy(), ConnectProxy([b"HTTP/1.1 407 No\r\n\r\n"])
    async with (
        secure.running(authority.server()) as url, first.running(), second.running(),
    ):  # fmt: skip

        def config(port: int) -> dict[str, Any]:
            proxy = {"url": f"http://gate%2Dway:${{PROXY_PASSWORD}}@127.0.0.1:{port}"}
            return {"delivery": LOOPBACK["delivery"] | {"proxy": proxy}}

        program = Program(tmp_path, config(first.port), SSL_CERT_FILE=str(bundle),
                          PROXY_PASSWORD="hunter2%40%2F")  # fmt: skip
        at = await program.start()
        try:
            async with connected(at["http"], at["nats"], at["key"]) as client:
                await client.webhook(id="tls", url=f"{url}tls", events=["user.*"])
                await client.webhook(id="plain", url=f"{receiver.url}/w", events=["user.*"])
                came = (await client.http.post("/v1/webhooks/tls/test")).json()
                assert came["succeeded"], came
                sent = event("user.a")
                await client.send(sent)
                await receiver.until(1, "/w")
                await client.until("plain", sent["id"], "succeeded")
                assert {url.split("/")[2], receiver.url[7:]} == set(first.targets)
                assert all(AUTHORIZATION in head for head in first.heads)
                before = len(first.heads)
                program.configure(config(second.port))
                os.kill(program.pid, signal.SIGHUP)
                async with asyncio.timeout(PATIENCE):
                    while "configuration reloaded" not in program.output:
                        await asyncio.sleep(0.02)
                for name in ("tls", "plain"):
                    answer = await client.http.post(f"/v1/webhooks/{name}/test")
                    assert answer.json()["error_type"] == "EgressRefused"
                    text = f"the proxy 127.0.0.1:{second.port} answered 407"
                    assert text in answer.text
                    assert "hunter2" not in answer.text
                assert len(second.heads) == 2
                assert len(first.heads) == before
        finally:
            await program.stop()
    assert "Traceback" not in program.output
    for secret in ("hunter2", AUTHORIZATION):
        assert secret not in program.output
