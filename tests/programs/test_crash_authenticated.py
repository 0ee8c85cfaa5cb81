"""NATS and Valkey are killed while receivers require tokens, signatures and certificates."""

import asyncio
import os
import signal
import ssl
from pathlib import Path

import httpx
import standardwebhooks

from support.certificates import ClientFiles
from support.client import connected, event
from support.patience import PATIENCE
from support.program import LOOPBACK, Program
from support.receiver import Receiver, receiving
from support.token_server import running_token_server

KEY = "whsec_YSBzaWduaW5nIGtleSBvZiB0aGUgdGVzdA=="
EVENTS = 400


async def test_every_request_is_authenticated_after_kills(
    tmp_path: Path, receiver: Receiver
) -> None:
    files = ClientFiles(tmp_path / "secrets")
    files.demanding()  # writes the server's own certificate
    tls = {
        "ssl_certfile": files.directory / "server.pem",
        "ssl_ca_certs": files.trusted,
        "ssl_cert_reqs": ssl.CERT_REQUIRED,
    }
    async with running_token_server() as tokens, receiving(**tls) as guarded:
        tokens.expires_in = 2  # renewed again and again, also while a server is away
        (files.directory / "client").write_text(tokens.secret)
        (files.directory / "signing").write_text(KEY)
        oauth = {
            "auth_type": "oauth2_client_credentials", "token_url": tokens.url,
            "client_id": tokens.client_id, "secret_name": "client",
        }  # fmt: skip
        mtls = {"auth_type": "mtls", "cert": "client.pem", "key": "client.pem", "ca": "ca.pem"}
        signed = {"auth_type": "hmac_signature", "secret_name": "signing"}
        rest = {"events": ["a"], "retry_policy": {"max_attempts": 10, "initial_delay": "200ms"}}
        program = Program(tmp_path, LOOPBACK | {
            "secrets": {"dir": str(files.directory)},
            "webhooks": {
                "token": rest | {"url": f"{receiver.url}/t", "security": [oauth, signed]},
                "certificate": rest | {"url": f"{guarded.url}/c", "security": [mtls, signed]},
            },
        })  # fmt: skip
        try:
            sent = await _load(program)
            async with asyncio.timeout(PATIENCE):
                while any(
                    sent - {request.json["id"] for request in at.requests}
                    for at in (receiver, guarded)
                ):
                    await asyncio.sleep(0.1)
            assert await program.stop() == 0
        finally:
            await program.stop()
    assert len(tokens.requests) > 2
    tokens_issued = {f"Bearer token-{number + 1}" for number in range(len(tokens.requests))}
    assert {request.headers["authorization"] for request in receiver.requests} <= tokens_issued
    for result in (*receiver.requests, *guarded.requests):
        standardwebhooks.Webhook(KEY).verify(result.body, result.headers)
    assert "Traceback" not in program.output


async def _load(program: Program) -> set[str]:
    """Sends events for some 8 s while servers are killed; returns the ids of the events."""
    at = await program.start()
    sent: set[str] = set()
    async with connected(at["http"], at["nats"], at["key"]) as client:

        async def kill() -> None:
            # Not more often: a server that keeps ending is restarted with growing delays.
            for name in ("nats", "valkey") * 2:
                await asyncio.sleep(1.5)
                os.kill(int((program.data / f"{name}.pid").read_text()), signal.SIGKILL)

        killing = asyncio.create_task(kill())
        try:
            for number in range(EVENTS):
                published = event("a", {"n": number})
                await _until_taken(client.http, published)
                sent.add(published["id"])
                await asyncio.sleep(0.05)
            await killing
        finally:
            killing.cancel()
    return sent


async def _until_taken(http: httpx.AsyncClient, event: dict[str, object]) -> None:
    headers = {"Content-Type": "application/cloudevents+json"}
    async with asyncio.timeout(PATIENCE):
        while (await http.post("/v1/events", json=event, headers=headers)).status_code != 202:
            await asyncio.sleep(0.05)
