"""A gateway of two processes on servers of its owner, with TLS and logins to both."""

import asyncio
import contextlib
import ssl
from pathlib import Path
from typing import Any

import httpx
from redis.asyncio import Redis

from support.certificates import Authority
from support.client import STRUCTURED, event
from support.in_process import check
from support.nats_accounts import Accounts
from support.patience import PATIENCE
from support.program import LOOPBACK, Program
from support.receiver import Receiver
from support.secured_servers import behind_tls, documented_user, nats, valkey

SECRET = "hunter2-hunter2"


async def _delivered(http: httpx.AsyncClient, webhook: str, word: str) -> None:
    """Sends an event, again until NATS is there, and waits until its delivery
    contains a word."""
    sent = event("load.made")
    async with asyncio.timeout(PATIENCE):
        while (await http.post("/v1/events", json=sent, headers=STRUCTURED)).status_code != 202:
            await asyncio.sleep(0.1)
        path = f"/v1/deliveries/{webhook}/{sent['id']}"
        while word not in (await http.get(path)).text:
            await asyncio.sleep(0.05)


async def test_events_are_delivered_and_renewed_credentials_used(
    tmp_path: Path, receiver: Receiver
) -> None:
    authority, accounts = Authority(tmp_path), Accounts()
    ca, server = authority.write_own("ca.pem"), authority.write("server.pem", "127.0.0.1")
    authority.write("client.pem")
    creds = tmp_path / "gateway.creds"
    creds.write_text(accounts.creds())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(ca)
    settings = (
        f'tls {{ cert_file: "{server}", key_file: "{server}", ca_file: "{ca}", verify: true }}\n'
    )
    tls = {"ca": "ca.pem", "cert": "client.pem"}
    user = f"user gateway on >{SECRET} {' '.join(documented_user())}"
    (tmp_path / "users").write_text(user)
    async with (
        contextlib.AsyncExitStack() as former,
        valkey(tmp_path, "--aclfile", str(tmp_path / "users")) as plain,
        behind_tls(plain, context) as redis,
    ):
        port = await former.enter_async_context(nats(tmp_path, accounts.settings() + settings))
        config: dict[str, Any] = LOOPBACK | {
            "secrets": {"dir": str(tmp_path)},
            "nats": {"url": f"nats://127.0.0.1:{port}", "creds": creds.name, "tls": tls},
            "redis": {
                "url": f"redis://127.0.0.1:{redis}", "username": "gateway",
                "password": "${REDIS_PASSWORD}", "tls": tls,
            },
            "ingest": {"subjects": ["load.>"]},
            "webhooks": {
                "w": {"url": f"{receiver.url}/w", "events": ["load.made"]},
                # The gateway's own login is no secret of a webhook.
                "thief": {
                    "url": f"{receiver.url}/thief", "events": ["load.made"],
                    "security": {"auth_type": "bearer_token", "secret_name": creds.name},
                },
            },
        }  # fmt: skip
        program = Program(tmp_path, config, "--workers", "2", REDIS_PASSWORD=SECRET)
        at = await program.start()
        headers = {"Authorization": f"Bearer {at['key']}"}
        try:
            async with httpx.AsyncClient(
                base_url=at["http"], headers=headers, timeout=PATIENCE
            ) as http:
                await _delivered(http, "w", "succeeded")
                await former.aclose()
                # Users of another account: the credentials so far are not valid any more.
                accounts = Accounts()
                creds.write_text(accounts.creds())
                async with nats(tmp_path, accounts.settings() + settings, port):
                    await _delivered(http, "w", "succeeded")
                    await _delivered(http, "thief", "SecretMissing")
                assert not receiver.requests_to("/thief")
            async with Redis(port=plain, decode_responses=True) as admin:
                call: Any = admin.execute_command
                assert await call("ACL", "LOG") == []
        finally:
            await program.stop()
    shown = program.output + repr({**at, "key": ""})
    for secret in (SECRET, creds.read_text().split()[-4], creds.read_text().split()[4]):
        assert secret not in shown
    assert "Traceback" not in program.output
    # What `check` and the start say of files that cannot be used.
    creds.write_text("half")
    program.configure(config | {"redis": {"url": "redis://127.0.0.1", "password_file": "none"}})
    checked = check(tmp_path / "gateway.yaml")
    assert checked.status == 2
    assert "nats.creds: the credentials hold no user JWT" in checked.err
    assert "redis.password_file: " in checked.err
