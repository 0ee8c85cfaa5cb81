"""The API over TLS: every kind of connection, files that are replaced, clients that misbehave."""

import asyncio
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import websockets
from cryptography import x509

from event_gateway.api.http import limits, open_connections, server_tls
from event_gateway.cli.process.serve import Running
from support.certificates import IssuedFiles
from support.client import event
from support.fixtures import Start
from support.patience import PATIENCE
from support.raw_http import RawClient

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


def _tls(issued: IssuedFiles, **more: Any) -> dict[str, Any]:
    cert, key = issued.directory / "server.pem", issued.directory / "server.key"
    return {"cert": str(cert), "key": str(key), **more}


class _Connection:
    """One TLS connection, as bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.tls: ssl.SSLObject = writer.get_extra_info("ssl_object")

    @property
    def serial(self) -> int:
        """The serial number of the gateway's certificate."""
        der = self.tls.getpeercert(binary_form=True)
        assert der is not None
        return x509.load_der_x509_certificate(der).serial_number

    async def status(self, request: bytes = HEALTH) -> int:
        """The status of the answer to a request whose answer has a length."""
        self.writer.write(request)
        async with asyncio.timeout(PATIENCE):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = next(
                line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
            )
            await self.reader.readexactly(int(length.partition(b":")[2]))
        return int(head.split()[1])


async def _open(gateway: Running, context: ssl.SSLContext) -> _Connection:
    url = urlsplit(gateway.http_url)
    async with asyncio.timeout(PATIENCE):
        return _Connection(*await asyncio.open_connection(url.hostname, url.port, ssl=context))


async def _metric(http: httpx.AsyncClient, name: str) -> dict[str, float]:
    """The values of a metric with one label, by that label's value."""
    lines = [
        line for line in (await http.get("/metrics")).text.splitlines()
        if line.startswith(f"event_gateway_{name}{{")
    ]  # fmt: skip
    return {line.split('"')[1]: float(line.split()[-1]) for line in lines}


@pytest.fixture
def fast_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_connections, "CHECK_INTERVAL", 0.05)
    monkeypatch.setattr(server_tls, "CHECK_INTERVAL", 0.05)


async def test_every_kind_of_connection_speaks_tls(
    start: Start, issued: IssuedFiles, tmp_path: Path
) -> None:
    streams = {"live": {"subjects": ["user.*"]}}
    tls = _tls(issued, client_ca=str(issued.ca))
    gateway = await start({"streams": streams, "server": {"tls": tls}})
    assert gateway.http_url.startswith("https://127.0.0.1:")
    trusting = issued.client()
    headers = {"Authorization": f"Bearer {gateway.admin_key}"}
    async with httpx.AsyncClient(
        base_url=gateway.http_url, headers=headers, verify=trusting, timeout=PATIENCE
    ) as http:
        # A body that is refused unread, and one of many records that is read.
        answer = await http.post("/v1/events", content=b"a" * 5_000_000)
        assert answer.status_code == 413, answer.text
        large = event("user.created", {"text": "x" * 900_000})
        types = {"content-type": "application/cloudevents+json"}
        answer = await http.post("/v1/events", json=large, headers=types)
        assert answer.status_code == 202, answer.text
        assert (await http.get("/openapi.json")).json()["openapi"]

        address = gateway.http_url.replace("https", "wss") + "/v1/ws"
        async with websockets.connect(
            address, ssl=trusting, additional_headers=headers, max_size=None
        ) as socket:
            await socket.send('{"action": "subscribe", "stream": "live", "from": "first"}')
            async with asyncio.timeout(PATIENCE):
                assert '"subscribed"' in str(await socket.recv())
                assert len(await socket.recv()) > 900_000
        async with http.stream("GET", "/v1/streams/live/sse?from=first") as stream:
            async for line in stream.aiter_lines():
                if line.startswith("data:") and len(line) > 900_000:
                    break

        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = issued.client("alice")
            context.maximum_version = version
            context.set_alpn_protocols(["h2", "http/1.1"])
            connection = await _open(gateway, context)
            assert connection.tls.selected_alpn_protocol() == "http/1.1"
            assert await connection.status(HEALTH + HEALTH) == 200
            connection.writer.close()
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.load_verify_locations(issued.ca)
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.deprecated_call():
            old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
            await _open(gateway, old)

        # A certificate of another authority, whose client learns why it is refused.
        IssuedFiles(tmp_path / "other", "other authority").issue("mallory")
        foreign = issued.client()
        foreign.load_cert_chain(tmp_path / "other/mallory.pem", tmp_path / "other/mallory.key")
        foreign.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(ssl.SSLError, match="UNKNOWN_CA"):
            await _open(gateway, foreign)

        def plain() -> Any:
            with RawClient(gateway.http_url) as client:
                client.send(HEALTH)
                return client.last_response().problem

        assert "this port speaks TLS" in (await asyncio.to_thread(plain))["detail"]
        failed = await _metric(http, "tls_handshakes_failed_total")
        assert failed == {"protocol": 1, "certificate": 1, "clear_text": 1}


async def test_a_renewed_certificate_is_used_and_open_connections_go_on(
    start: Start, issued: IssuedFiles, fast_checks: None
) -> None:
    gateway = await start({"server": {"tls": _tls(issued, client_ca=str(issued.ca))}})
    former = await _open(gateway, issued.client())
    assert await former.status() == 200
    # The certificate is replaced before its key: meanwhile the former pair is in use.
    key = issued.directory / "server.key"
    old_key = key.read_bytes()
    issued.serve()
    new_key = key.read_bytes()
    key.write_bytes(old_key)
    await asyncio.sleep(0.2)
    between = await _open(gateway, issued.client())
    assert between.serial == former.serial
    key.write_bytes(new_key)
    async with asyncio.timeout(PATIENCE):
        while (connection := await _open(gateway, issued.client())).serial == former.serial:
            connection.writer.close()
            await asyncio.sleep(0.05)
    assert [await each.status() for each in (former, between, connection)] == [200] * 3
    for each in (former, between, connection):
        each.writer.close()


async def test_handshakes_have_a_deadline_and_count_as_connections(
    start: Start, issued: IssuedFiles, fast_checks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Long enough for the fourth connection below, which must come before the first three end.
    monkeypatch.setattr(limits, "HEAD_TIMEOUT", 4.0)
    server = {"tls": _tls(issued), "max_connections_per_address": 3}
    gateway = await start({"server": server})
    url = urlsplit(gateway.http_url)
    hello = ssl.MemoryBIO()
    client = issued.client().wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    first = hello.read()
    begun = []
    for sent in (b"", first[:1], first):
        reader, writer = await asyncio.open_connection(url.hostname, url.port)
        writer.write(sent)
        begun.append((reader, writer))
    # A fourth one is over the bound, and is told so.
    over = await _open(gateway, issued.client())
    assert await over.status() == 503
    over.writer.close()
    async with asyncio.timeout(PATIENCE):
        for reader, writer in begun:
            await reader.read()
            writer.close()
    # What is no handshake ends at once.
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    writer.write(b"\x16\x03\x01\xff\xff" + b"\0" * 500)
    async with asyncio.timeout(PATIENCE):
        assert (await reader.read())[:1] in (b"", b"\x15")  # an alert
    writer.close()
    connection = await _open(gateway, issued.client())
    assert await connection.status() == 200
    connection.writer.close()
