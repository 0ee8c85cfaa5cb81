"""Logins to Sentinels and clusters, and a managed service: TLS, an ACL user, no CONFIG."""

import contextlib
import ssl
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from event_gateway.app.server_logins import login_files, login_problems, redis_login
from event_gateway.config.model import Config
from event_gateway.core.errors import ServerRefused
from event_gateway.embedded.servers import usable_port
from event_gateway.state import sentinels
from event_gateway.state.connection import close, connect
from support.certificates import Authority
from support.client import event
from support.patience import PATIENCE
from support.program import LOOPBACK, Program, running
from support.receiver import Receiver
from support.secured_servers import behind_tls, documented_user, valkey
from support.valkey_servers import MASTER, until

SECRET, OF_SENTINELS = "hunter2-hunter2", "sentinel-hunter2"


async def _connect(directory: Path, **redis: Any) -> None:
    config = Config.model_validate({"secrets": {"dir": str(directory)}, "redis": redis})
    assert SECRET not in repr(config) + repr(redis_login(config))
    assert OF_SENTINELS not in repr(config) + repr(redis_login(config))
    place = config.redis.place
    assert place is not None
    await close(await connect(place, redis_login(config), timeout=2))


async def _refused(directory: Path, message: str, **redis: Any) -> None:
    with pytest.raises(ServerRefused, match=message) as refused:
        await _connect(directory, **redis)
    assert "\n" not in str(refused.value)
    assert SECRET not in str(refused.value)
    assert OF_SENTINELS not in str(refused.value)


async def test_logins_to_sentinels_and_to_the_primary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sentinels, "WAIT", PATIENCE)
    (tmp_path / "secret").write_text(OF_SENTINELS)
    async with contextlib.AsyncExitStack() as stack:
        primary = await stack.enter_async_context(valkey(tmp_path, "--requirepass", SECRET))
        file = tmp_path / "sentinel.conf"
        file.write_text(
            f"sentinel monitor {MASTER} 127.0.0.1 {primary} 1\nsentinel auth-pass {MASTER} {SECRET}"
            f"\nrequirepass {OF_SENTINELS}\n"
        )
        # The file is the first argument of the server.
        port = await stack.enter_async_context(valkey(tmp_path, "--sentinel", file=file))
        silent = usable_port()
        servers = [f"127.0.0.1:{silent}", f"127.0.0.1:{port}"]
        sentinel: dict[str, Any] = {"servers": servers, "master": MASTER}
        right = sentinel | {"password_file": "secret"}
        await _connect(tmp_path, sentinel=right, password=SECRET)
        await _refused(tmp_path, "redis.password: the server asks for a password", sentinel=right)
        await _refused(tmp_path, r"redis\.sentinel\.password: 127\.0\.0\.1:\d+ refuses",
                       sentinel=sentinel, password=SECRET)  # fmt: skip
        await _refused(tmp_path, r"redis\.sentinel\.master: the Sentinels know no primary other",
                       sentinel=right | {"master": "other"}, password=SECRET)  # fmt: skip
        await _refused(tmp_path, f"no Sentinel answers: 127.0.0.1:{silent} .*Connect",
                       sentinel=right | {"servers": servers[:1]}, password=SECRET)  # fmt: skip
        async with behind_tls(port, _tls(Authority(tmp_path), tmp_path)) as front:
            over_tls = right | {"servers": [f"127.0.0.1:{front}"], "tls": {"ca": "ca.pem"}}
            await _connect(tmp_path, sentinel=over_tls, password=SECRET)


def test_files_of_the_sentinels_are_checked_and_private(tmp_path: Path) -> None:
    sentinel = {"servers": ["a:1"], "master": "m", "password_file": "none", "tls": {"ca": "no.pem"}}
    config = Config.model_validate(
        {"secrets": {"dir": str(tmp_path)}, "redis": {"sentinel": sentinel}}
    )
    keys = [key for key, _ in login_problems(config)]
    assert keys == ["redis.sentinel.password_file", "redis.sentinel.tls.ca"]
    assert tmp_path / "none" in login_files(config)


def _tls(authority: Authority, directory: Path) -> ssl.SSLContext:
    authority.write_own("ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.write("server.pem", "127.0.0.1"))
    return context


@pytest.mark.parametrize("in_cluster", [False, True])
async def test_a_managed_service(tmp_path: Path, receiver: Receiver, in_cluster: bool) -> None:
    """TLS, an ACL user without CONFIG and the other commands of administrators, nothing to set."""
    rules = [rule for rule in documented_user() if not (in_cluster and rule.startswith("~"))]
    extra = ["~{eg}:*", "+cluster|slots"] if in_cluster else []
    settings = ["--appendonly", "yes"]
    async with contextlib.AsyncExitStack() as stack:
        (tmp_path / "a").mkdir()
        server = _tls(Authority(tmp_path), tmp_path)
        if in_cluster:
            settings += ["--cluster-enabled", "yes", "--cluster-port", str(usable_port())]
        port = await stack.enter_async_context(valkey(tmp_path, *settings))
        front = await stack.enter_async_context(behind_tls(port, server))
        admin = await stack.enter_async_context(Redis(port=port))
        run: Any = admin.execute_command
        await run("ACL", "SETUSER", "gateway", "reset", "on", f">{SECRET}", *rules, *extra)
        redis: dict[str, Any] = {"url": f"redis://127.0.0.1:{front}"}
        if in_cluster:
            await run("CONFIG", "SET", "cluster-announce-port", front)
            await run("CLUSTER", "ADDSLOTSRANGE", 0, 16383)

            async def is_up() -> bool:
                return b"cluster_state:ok" in await run("CLUSTER", "INFO")

            await until(is_up, "the cluster does not come up")
            redis = {"cluster": {"servers": [f"127.0.0.1:{front}"]}}
        login = {"username": "gateway", "password": SECRET, "tls": {"ca": "ca.pem"}}
        webhook = {"url": f"{receiver.url}/w", "events": ["load.*"]}
        config = {
            "secrets": {"dir": str(tmp_path)}, "redis": redis | login, "webhooks": {"w": webhook},
        }  # fmt: skip
        async with running(Program(tmp_path, LOOPBACK | config)) as client:
            sent = event("load.made")
            await client.send(sent)
            await client.until("w", sent["id"], "succeeded")
        denied = [entry for entry in await run("ACL", "LOG") if _text(entry, "reason") != "auth"]
        assert denied == []
        keys: Any = await admin.keys()
        assert keys
        assert all(key.startswith(b"{eg}:") for key in keys) == in_cluster


def _text(entry: Any, name: str) -> str:
    return str(entry[name])
