"""What ``doctor`` learns of a receiver without a request: TLS, client certificates, a proxy."""

import asyncio
import ssl
import time
from pathlib import Path

import pytest

from event_gateway.config.delivery_model import ProxyModel
from event_gateway.core.webhook.error_type import AttemptErrorType
from event_gateway.core.webhook.security import Security
from event_gateway.embedded.servers import usable_port
from event_gateway.transport.egress_guard import EgressGuard
from event_gateway.transport.exchange import Failure
from event_gateway.transport.probe import Probe, Reached
from event_gateway.transport.proxy import proxy_of
from event_gateway.transport.target import parse_target
from event_gateway.transport.tls_files import TlsFiles, Trust
from support.certificates import Authority, ClientFiles
from support.proxy import ConnectProxy
from support.tcp_server import tcp_server

TIMEOUT = 30.0


@pytest.fixture
def files(tmp_path: Path) -> ClientFiles:
    return ClientFiles(tmp_path / "secrets")


class _Receiver:
    """Says nothing, and keeps what was sent to it."""

    def __init__(self) -> None:
        self.received = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.received += await reader.read()


async def _reached(
    files: ClientFiles,
    tls: ssl.SSLContext | None,
    *,
    cert: str = "",
    ca: str = "ca.pem",
    proxy: str = "",
    trust: Trust | None = None,
) -> Reached | Failure:
    """What the probe of a receiver says that has this TLS context."""
    receiver = _Receiver()
    through = proxy_of(ProxyModel.model_validate({"url": proxy})) if proxy else None
    probe = Probe(EgressGuard(["127.0.0.0/8"]), proxy=through, trust=trust or Trust())
    method = Security("mtls", cert=cert, key=cert, ca=ca)
    identity = TlsFiles(method, files.directory).identity(None) if cert or ca else None
    async with tcp_server(receiver.serve, tls=tls) as port:
        url = f"{'http' if tls is None else 'https'}://127.0.0.1:{port}/"
        result = await probe.reach(parse_target(url), TIMEOUT, identity)
    assert receiver.received == b""  # no event, and nothing else
    return result


def _failed(result: Reached | Failure, error: AttemptErrorType, words: str = "") -> None:
    assert isinstance(result, Failure), result
    assert result.error_type == error
    assert words in result.message


async def test_certificates_of_receivers(files: ClientFiles) -> None:
    assert await _reached(files, None, ca="") == Reached(None)
    good = await _reached(files, files.authority.server(days=3))
    assert isinstance(good, Reached), good
    assert good.certificate_ends_at is not None
    assert round((good.certificate_ends_at - time.time()) / 86400) == 3
    _failed(
        await _reached(files, files.authority.server(days=-1)),
        AttemptErrorType.TLS_ERROR,
        "expired",
    )
    _failed(await _reached(files, files.authority.server(), ca=""), AttemptErrorType.TLS_ERROR)
    other = Authority(files.directory).server()
    _failed(await _reached(files, other), AttemptErrorType.TLS_ERROR)
    another_name = files.authority.server("127.0.0.2")
    _failed(await _reached(files, another_name), AttemptErrorType.TLS_ERROR, "127.0.0.1")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_client_certificates(files: ClientFiles, version: ssl.TLSVersion) -> None:
    demanding = files.demanding()
    demanding.minimum_version = demanding.maximum_version = version
    assert isinstance(await _reached(files, demanding, cert="client.pem"), Reached)
    # TLS 1.3 refuses after the handshake of the client.
    for none in (
        await _reached(files, demanding),
        await _reached(files, demanding, ca="", trust=Trust(files.trusted)),  # by delivery.ca
    ):
        assert isinstance(none, Failure), none
        assert none.error_type in (AttemptErrorType.TLS_ERROR, AttemptErrorType.CONNECTION_RESET)
    files.renew(Authority(files.directory))
    foreign = await _reached(files, demanding, cert="client.pem")
    assert isinstance(foreign, Failure), foreign
    assert foreign.error_type in (AttemptErrorType.TLS_ERROR, AttemptErrorType.CONNECTION_RESET)


async def test_through_a_proxy(files: ClientFiles) -> None:
    tls = files.authority.server()
    async with ConnectProxy().running() as proxy:
        at = f"http://user:hunter2@127.0.0.1:{proxy.port}"
        good = await _reached(files, tls, proxy=at)
        assert isinstance(good, Reached), good
        assert good.certificate_ends_at is not None
        assert await _reached(files, None, ca="", proxy=at) == Reached(None)
        assert len(proxy.targets) == 2
        assert "proxy-authorization: Basic" in proxy.heads[0]
        _failed(await _reached(files, tls, ca="", proxy=at), AttemptErrorType.TLS_ERROR)
    refuses = b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n"
    async with ConnectProxy(script=[refuses]).running() as proxy:
        refused = await _reached(files, tls, proxy=f"http://user:hunter2@127.0.0.1:{proxy.port}")
    assert isinstance(refused, Failure), refused
    assert "407" in refused.message
    away = await _reached(files, tls, proxy=f"http://user:hunter2@127.0.0.1:{usable_port()}")
    assert isinstance(away, Failure), away
    assert "proxy" in away.message
    assert "hunter2" not in repr((refused, away))
