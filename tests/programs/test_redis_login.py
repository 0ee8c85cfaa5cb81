"""Every way to log in to Redis, with a real server behind TLS: accepted, refused, and renewed."""

import re
import ssl
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from event_gateway.app.server_logins import redis_login
from event_gateway.config.model import Config
from event_gateway.core.errors import ServerRefused
from event_gateway.state.connection import connect
from event_gateway.state.permissions import COMMANDS, TRANSACTION, key_patterns
from event_gateway.transport import tls_files
from support.certificates import Authority
from support.secured_servers import behind_tls, documented_user, redis_over_tls, valkey

SECRET = "hunter2-hunter2"


async def _connected(
    directory: Path, port: int, *, scheme: str = "redis", **settings: Any
) -> Redis:
    url = f"{scheme}://127.0.0.1:{port}"
    config = Config.model_validate(
        {"secrets": {"dir": str(directory)}, "redis": {"url": url, **settings}}
    )
    assert SECRET not in repr(config) + repr(redis_login(config))
    return await connect(url, redis_login(config), timeout=1)


async def _accepted(directory: Path, port: int, *, scheme: str = "redis", **settings: Any) -> None:
    await (await _connected(directory, port, scheme=scheme, **settings)).aclose()


async def _refused(directory: Path, port: int, message: str, **settings: Any) -> None:
    with pytest.raises(ServerRefused, match=message) as refused:
        await _connected(directory, port, **settings)
    assert "\n" not in str(refused.value)
    assert SECRET not in str(refused.value)


def _server(file: str, authority: str | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    if authority is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(authority)
    return context


async def test_passwords_and_tls(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    authority, other = Authority(tmp_path), Authority(tmp_path)
    ca = authority.write_own("ca.pem")
    other.write_own("other.pem")
    authority.write("client.pem")
    server = authority.write("server.pem", "127.0.0.1")
    own = {"ca": "ca.pem", "cert": "client.pem"}
    async with valkey(tmp_path, "--requirepass", SECRET) as plain:
        await _accepted(tmp_path, plain, password=SECRET)
        await _accepted(tmp_path, plain, password_file="secret")
        await _refused(tmp_path, plain, "redis.password: .*invalid username", password="other")
        await _refused(tmp_path, plain, "redis.password: the server asks for a password")
        await _refused(tmp_path, plain, "redis.password: .*invalid username",
                       username="bob", password=SECRET)  # fmt: skip
        await _refused(tmp_path, plain, "redis.password_file: .*cannot be read",
                       password_file="none")  # fmt: skip
        await _refused(tmp_path, plain, "redis.tls: the server does not speak TLS",
                       password=SECRET, tls=own)  # fmt: skip
        async with behind_tls(plain, _server(server, ca)) as port:
            await _accepted(tmp_path, port, password=SECRET, tls=own)
            await _accepted(tmp_path, port, scheme="rediss", password_file="secret", tls=own)
            await _refused(tmp_path, port, "redis.tls: the server expects TLS", password=SECRET)
            await _refused(tmp_path, port, "redis.tls.cert: ", password=SECRET, tls={"ca": ca})
            await _refused(tmp_path, port, "redis.tls.ca: .*no authority", password=SECRET,
                           tls=own | {"ca": "other.pem"})  # fmt: skip
            await _refused(tmp_path, port, "redis.tls.ca: .*no authority", scheme="rediss")
            await _refused(tmp_path, port, "redis.tls.cert: .*cannot be read", password=SECRET,
                           tls=own | {"cert": "none.pem"})  # fmt: skip
        for name, address, days, message in (
            ("old.pem", "127.0.0.1", -1, "redis.url: .*has expired"),
            ("moved.pem", "redis.example", 1, "redis.url: .*another host: .*127.0.0.1"),
        ):
            async with behind_tls(plain, _server(authority.write(name, address, days))) as port:
                await _refused(tmp_path, port, message, password=SECRET, tls={"ca": "ca.pem"})


@pytest.mark.redis
async def test_a_server_with_tls_of_its_own(tmp_path: Path) -> None:
    """The wheel's Valkey was built without TLS, so elsewhere a relay ends TLS in front of it."""
    authority, other = Authority(tmp_path), Authority(tmp_path)
    ca, server = authority.write_own("ca.pem"), authority.write("server.pem", "127.0.0.1")
    authority.write("client.pem")
    authority.write("expired.pem", days=-1)
    other.write("foreign.pem")
    own = {"ca": "ca.pem", "cert": "client.pem"}
    login = {"username": "gateway", "password": SECRET}
    rules = [rule for rule in documented_user() if rule != "+client|setinfo"]  # it is older
    settings = (
        "--tls-cert-file", server, "--tls-key-file", server, "--tls-ca-cert-file", ca,
        "--user", "gateway", "on", f">{SECRET}", *rules,
    )  # fmt: skip
    async with redis_over_tls(tmp_path, *settings) as port:
        await _accepted(tmp_path, port, tls=own, **login)
        for cert in (None, "expired.pem", "foreign.pem"):
            await _refused(tmp_path, port, "redis.tls.cert: ", tls=own | {"cert": cert}, **login)
        await _refused(tmp_path, port, "redis.tls: the server expects TLS", **login)
        await _refused(tmp_path, port, "redis.password: ", tls=own, username="x", password="y")


async def test_renewed_files_are_used_without_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_files, "CHECK_INTERVAL", 0.0)
    (tmp_path / "secret").write_text(SECRET)
    first, second = Authority(tmp_path), Authority(tmp_path)
    ca, server = first.write_own("ca.pem"), first.write("server.pem", "127.0.0.1")
    first.write("client.pem")
    context = _server(server, ca)
    async with (
        valkey(tmp_path, "--requirepass", SECRET) as plain,
        behind_tls(plain, context) as port,
    ):
        client = await _connected(
            tmp_path, port, password_file="secret", tls={"ca": "ca.pem", "cert": "client.pem"}
        )
        await client.config_set("requirepass", "renewed-renewed")
        (tmp_path / "secret").write_text("renewed-renewed\n")
        # New connections are held to another authority, and to another certificate.
        second.write("client.pem")
        second.write_own("ca.pem")
        context.load_verify_locations(tmp_path / "ca.pem")
        context.load_cert_chain(second.write("server.pem", "127.0.0.1"))
        await client.connection_pool.disconnect()
        assert await client.ping()
        await client.aclose()


async def test_the_documented_user_is_enough_and_each_missing_right_is_named(
    tmp_path: Path,
) -> None:
    rules = documented_user()
    assert {rule.removeprefix("~") for rule in rules if rule.startswith("~")} == {*key_patterns()}
    assert {rule.removeprefix("+") for rule in rules if rule.startswith("+")} == {
        *COMMANDS, *TRANSACTION, "client|setinfo",
    }  # fmt: skip
    login = {"username": "gateway", "password": SECRET}
    async with valkey(tmp_path) as port, Redis(port=port, decode_responses=True) as admin:
        run: Any = admin.execute_command

        async def allow(given: list[str]) -> None:
            await run("ACL", "SETUSER", "gateway", "reset", "on", f">{SECRET}", *given)

        await allow(rules)
        await _accepted(tmp_path, port, **login)
        assert await run("ACL", "LOG") == []
        for rule in rules:
            if rule[0] not in "+~" or rule in ("+client|setinfo", "+exec"):
                continue
            await allow([other for other in rules if other != rule])
            what = f"the command {rule[1:]}" if rule[0] == "+" else f"the keys '{rule[1:]}'"
            named = "ping" if rule == "+ping" else re.escape(what)
            await _refused(tmp_path, port, f"redis.*{named}", **login)
