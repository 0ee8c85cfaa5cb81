"""Client certificates for receivers that require one, and private authorities."""

from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from event_gateway.transport import tls_files
from support.certificates import Authority, ClientFiles
from support.client import Client, event
from support.fixtures import Start
from support.scripted_server import OK, ScriptedServer


@pytest.fixture
def files(tmp_path: Path) -> ClientFiles:
    return ClientFiles(tmp_path / "secrets")


@pytest.fixture(autouse=True)
def _reads_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """No attempt uses what was read before it."""
    monkeypatch.setattr(tls_files, "CHECK_INTERVAL", -1.0)


async def _tried(client: Client, url: str, **security: str) -> Any:
    method = {"auth_type": "mtls", "cert": "client.pem", "key": "client.pem", "ca": "ca.pem"}
    body = {
        "id": "w",
        "url": url,
        "events": ["a"],
        "security": method | security,
        "circuit_breaker": {"failure_threshold": 1000},
        "retry_policy": {"backoff": "fixed", "initial_delay": "100ms", "max_attempts": 100},
    }
    answer = await client.http.put("/v1/webhooks/w", json=body)
    if answer.status_code == 404:
        await client.webhook(**body)
    return (await client.http.post("/v1/webhooks/w/test")).json()


async def test_client_certificates(start: Start, connect: Start, files: ClientFiles) -> None:
    client = await connect(await start({"secrets": {"dir": str(files.directory)}}))
    async with ScriptedServer([OK]).running(files.demanding()) as url:
        came = await _tried(client, url)
        assert came["succeeded"], came
        # Renewed: the existing lane uses the new certificate.
        for authority, days in ((Authority(files.directory), 1), (files.authority, -1)):
            files.renew(authority, days)  # of an unknown authority; expired
            sent = event("a")
            await client.send(sent)
            failed = await client.until("w", sent["id"], "retrying")
            # TLS 1.3 checks it after the handshake; the alert may be lost when the server closes.
            assert failed["attempts"][0]["error_type"] in ("TlsError", "ConnectionReset")
            files.renew(files.authority)
            await client.until("w", sent["id"], "succeeded")
        # While the files are incomplete, deliveries use the previous certificate.
        (files.directory / "client.pem").write_text("half")
        sent = event("a")
        with capture_logs() as logged:
            await client.send(sent)
            done = await client.until("w", sent["id"], "succeeded")
        assert "TLS files not renewed" in [line["event"] for line in logged]
        assert len(done["attempts"]) == 1
        # A new webhook has no former one, and says what is wrong.
        came = await _tried(client, url, cert="none.pem")
        assert (came["error_type"], "none.pem" in came["error_message"]) == ("AuthError", True)
    # The receiver's certificate must be of the named authority too.
    async with ScriptedServer([OK]).running(Authority(files.directory).server()) as url:
        files.renew(files.authority)
        came = await _tried(client, url)
        assert came["error_type"] == "TlsError"
