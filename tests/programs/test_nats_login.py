"""Every way to log in to NATS, with real servers: accepted, refused, and renewed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import nkeys
import pytest

from event_gateway.app.server_logins import login_problems, nats_login
from event_gateway.broker.connection import Broker, connect
from event_gateway.broker.connection_faults import refusal_of
from event_gateway.broker.login import NatsLogin
from event_gateway.config.model import Config
from event_gateway.core.errors import ServerRefused
from event_gateway.transport import tls_files
from support.certificates import Authority
from support.nats_accounts import Accounts, Key
from support.patience import PATIENCE
from support.secured_servers import nats

SECRET = "hunter2-hunter2"


def _config(directory: Path, url: str, **settings: Any) -> Config:
    return Config.model_validate(
        {"secrets": {"dir": str(directory)}, "nats": {"url": url, **settings}}
    )


@contextlib.asynccontextmanager
async def _connected(
    directory: Path, port: int, *, scheme: str = "nats", **settings: Any
) -> AsyncIterator[Broker]:
    config = _config(directory, f"{scheme}://127.0.0.1:{port}", **settings)
    assert SECRET not in repr(config) + repr(nats_login(config))
    broker = await connect(config.nats.url or "", login=nats_login(config))
    try:
        yield broker
    finally:
        await broker.close()


async def _accepted(directory: Path, port: int, *, scheme: str = "nats", **settings: Any) -> None:
    assert not list(login_problems(_config(directory, "nats://127.0.0.1", **settings)))
    async with _connected(directory, port, scheme=scheme, **settings) as broker:
        await broker.js.account_info()


async def _refused(
    directory: Path, port: int, message: str, *, scheme: str = "nats", **settings: Any
) -> None:
    with pytest.raises(ServerRefused, match=message) as refused:
        async with _connected(directory, port, scheme=scheme, **settings):
            pass
    text = str(refused.value)
    assert text.startswith(f"cannot connect to NATS at {scheme}://127.0.0.1:{port}: nats.")
    assert "\n" not in text
    assert SECRET not in text


async def test_passwords_tokens_and_nkeys(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    async with nats(tmp_path, f'authorization {{ user: a, password: "{SECRET}" }}\n') as port:
        await _accepted(tmp_path, port, user="a", password=SECRET)
        await _accepted(tmp_path, port, user="a", password_file="secret")
        await _refused(tmp_path, port, "nats.password: .*Authorization Violation",
                       user="a", password="other")  # fmt: skip
        await _refused(tmp_path, port, "nats.url: .*Authorization Violation")
        await _refused(tmp_path, port, "nats.password_file: .*none cannot be read",
                       user="a", password_file="none")  # fmt: skip
        await _refused(tmp_path, port, "nats.tls: the server does not offer TLS",
                       user="a", password=SECRET, tls={})  # fmt: skip
        await _refused(tmp_path, port, "nats.url: the server does not offer TLS",
                       scheme="tls", user="a", password=SECRET)  # fmt: skip
        seed = Key(nkeys.PREFIX_BYTE_USER).seed.decode()
        await _refused(tmp_path, port, "nats.nkey: the server asks for no signature", nkey=seed)
    async with nats(tmp_path, f'authorization {{ token: "{SECRET}" }}\n') as port:
        await _accepted(tmp_path, port, token=SECRET)
        await _accepted(tmp_path, port, token_file="secret")
        await _refused(tmp_path, port, "nats.token: .*Authorization Violation", token="other")
    user = Key(nkeys.PREFIX_BYTE_USER)
    (tmp_path / "user.nk").write_bytes(user.seed + b"\n")
    async with nats(
        tmp_path, f"authorization {{ users: [ {{ nkey: {user.public} }} ] }}\n"
    ) as port:
        await _accepted(tmp_path, port, nkey="user.nk")
        await _accepted(tmp_path, port, nkey=user.seed.decode())
        await _refused(tmp_path, port, "nats.nkey: .*Authorization Violation", nkey=seed)
        account = Key(nkeys.PREFIX_BYTE_ACCOUNT).seed.decode()
        with pytest.raises(ServerRefused, match="the seed is not one of a user") as told:
            await _accepted_without_check(tmp_path, port, nkey=account)
        assert account not in str(told.value)


async def _accepted_without_check(directory: Path, port: int, **settings: Any) -> None:
    async with _connected(directory, port, **settings):
        pass


async def test_credentials_of_accounts(tmp_path: Path) -> None:
    accounts = Accounts()
    for name, text in (
        ("user.creds", accounts.creds()), ("expired.creds", accounts.creds(-60)),
        ("other.creds", Accounts().creds()), ("half.creds", accounts.creds()[:200]),
    ):  # fmt: skip
        (tmp_path / name).write_text(text)
    async with nats(tmp_path, accounts.settings()) as port:
        await _accepted(tmp_path, port, creds="user.creds")
        await _accepted(tmp_path, port, creds=accounts.creds())
        for name in ("expired.creds", "other.creds"):
            await _refused(tmp_path, port, "nats.creds: .*Authorization Violation", creds=name)
        await _refused(tmp_path, port, "nats.creds: .* no seed|no user JWT", creds="half.creds")
        await _refused(tmp_path, port, "nats.creds: .*cannot be read", creds="none.creds")


async def test_tls_and_client_certificates(tmp_path: Path) -> None:
    authority, other = Authority(tmp_path), Authority(tmp_path)
    authority.write_own("ca.pem")
    other.write_own("other.pem")
    server = authority.write("server.pem", "127.0.0.1")
    authority.write("client.pem")
    authority.write("expired.pem", days=-1)
    other.write("foreign.pem")
    files = f'cert_file: "{server}", key_file: "{server}"'
    verifying = f'tls {{ {files}, ca_file: "{tmp_path}/ca.pem", verify: true }}\n'
    async with nats(tmp_path, verifying) as port:
        own = {"ca": "ca.pem", "cert": "client.pem"}
        await _accepted(tmp_path, port, tls=own)
        await _accepted(tmp_path, port, scheme="tls", tls=own | {"key": "client.pem"})
        for cert, why in (
            (None, "certificate required"), ("expired.pem", "certificate expired"),
            ("foreign.pem", "unknown ca"),
        ):  # fmt: skip
            await _refused(tmp_path, port, rf"nats.tls.cert: .*{why}\)", tls=own | {"cert": cert})
        await _refused(tmp_path, port, "nats.tls.ca: .*no authority", tls=own | {"ca": "other.pem"})
        await _refused(tmp_path, port, "nats.tls.ca: .*no authority")
        await _refused(tmp_path, port, "nats.tls.ca: .*none.pem cannot be read",
                       tls=own | {"ca": "none.pem"})  # fmt: skip
        await _refused(tmp_path, port, "nats.tls.cert, key: .*client.pem",
                       tls=own | {"key": "foreign.pem"})  # fmt: skip
    async with nats(tmp_path, f"tls {{ {files}, handshake_first: true }}\n") as port:
        await _accepted(tmp_path, port, tls={"ca": "ca.pem", "handshake_first": True})
    async with nats(tmp_path, f"allow_non_tls: true\ntls {{ {files} }}\n") as port:
        await _refused(tmp_path, port, "nats.tls.ca: ", tls={"ca": "other.pem"})
        await _accepted(tmp_path, port, tls={"ca": "ca.pem"})
    for name, address, days, message in (
        ("old.pem", "127.0.0.1", -1, "nats.url: .*has expired"),
        ("moved.pem", "nats.example", 1, "nats.url: .*another host: .*127.0.0.1"),
    ):
        server = authority.write(name, address, days)
        async with nats(
            tmp_path, f'tls {{ cert_file: "{server}", key_file: "{server}" }}\n'
        ) as port:
            await _refused(tmp_path, port, message, tls={"ca": "ca.pem"})


async def test_renewed_files_are_used_without_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_files, "CHECK_INTERVAL", 0.0)
    accounts = Accounts()

    def authorised() -> str:
        """New files of a new authority; the settings of a server that accepts only them."""
        authority = Authority(tmp_path)
        authority.write("client.pem")
        server = authority.write("server.pem", "127.0.0.1")
        return (
            accounts.settings() + f'tls {{ cert_file: "{server}", key_file: "{server}", '
            f'ca_file: "{authority.write_own("ca.pem")}", verify: true }}\n'
        )

    settings = authorised()
    tls = {"ca": "ca.pem", "cert": "client.pem"}
    again = asyncio.Event()
    async with (
        contextlib.AsyncExitStack() as stack,
        contextlib.AsyncExitStack() as server,
    ):
        port = await server.enter_async_context(nats(tmp_path, settings))
        # Written once the server runs: the gateway has the whole time to log in with them.
        (tmp_path / "user.creds").write_text(accounts.creds(5))
        broker = await stack.enter_async_context(
            _connected(tmp_path, port, creds="user.creds", tls=tls)
        )
        broker.add_reconnect_listener(again.set)
        # The server ends the connection when the credentials expire. Refused until renewed.
        async with asyncio.timeout(PATIENCE):
            while broker.connected:
                await asyncio.sleep(0.05)
        (tmp_path / "user.creds").write_text(accounts.creds())
        async with asyncio.timeout(PATIENCE):
            await again.wait()
        await broker.js.account_info()
        # Another server, which accepts only certificates of another authority.
        again.clear()
        await server.aclose()
        settings = authorised()
        await server.enter_async_context(nats(tmp_path, settings, port))
        async with asyncio.timeout(PATIENCE):
            await again.wait()
        await broker.js.account_info()


@pytest.mark.parametrize(
    ("said", "is_final"),
    [("'Authorization Violation'", True), ("'Authentication Timeout'", False)],
)
def test_a_server_that_waited_for_the_login_refuses_nobody(said: str, is_final: bool) -> None:
    refusal = refusal_of(Exception(f"nats: {said}"), NatsLogin())
    assert (refusal is not None) == is_final
