"""Each background task crashes in a running gateway: the work continues, or the process ends.

The tasks are those of docs/reference/background-tasks.md, which a unit test compares with the code.
"""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from redis.asyncio import Redis

from event_gateway.embedded.servers import usable_port
from event_gateway.tasks import Policy
from support.certificates import IssuedFiles
from support.client import STRUCTURED, Client, Socket, connected, event
from support.gateway_process import GatewayProcess
from support.patience import PATIENCE
from support.program import LOOPBACK, children, worker_pids
from support.receiver import Receiver
from support.secured_servers import valkey
from support.valkey_servers import until

TESTS = Path(__file__).parents[1]
RETRY = {"initial_delay": "100ms", "max_attempts": 5}
PAGE = (TESTS.parent / "docs" / "reference" / "background-tasks.md").read_text()
# Tasks of gateways with --workers, and of those with a configuration that the fixture has not.
WORKERS = {"fork-server", "metrics", "parent-watch", "sign-of-life", "workers"}
ELSEWHERE = {"redis-primary", "tls-files"}


def _documented(policy: Policy) -> set[str]:
    """The tasks of the page with this policy."""
    rows = re.findall(r"^\| (`.+?) \|.+\| (.+) \|$", PAGE, re.M)
    ends = policy is Policy.END_PROCESS
    return {
        name
        for names, what in rows
        if (what == "the process ends") == ends
        for name in re.findall(r"`([^`]+)`", names)
    }


@dataclass
class Gateway:
    """``event-gateway serve``, whose tasks crash on request."""

    directory: Path
    words: tuple[str, ...] = ()
    environ: dict[str, str] = field(default_factory=dict)

    @contextlib.asynccontextmanager
    async def run(self) -> AsyncIterator[GatewayProcess]:
        """Runs the process; it is terminated at the end."""
        paths = [TESTS / "support" / "crashing", TESTS]
        environ = (
            os.environ
            | self.environ
            | {
                "CRASH_DIRECTORY": str(self.directory),
                "PYTHONPATH": os.pathsep.join(map(str, paths)),
            }
        )
        words = ["serve", "-c", str(self.directory / "gateway.yaml"), "--port", "0",
                 "--data-dir", str(self.data), *self.words]  # fmt: skip
        self.endpoints.unlink(missing_ok=True)
        with (self.directory / "output").open("a") as output, Path(os.devnull).open() as nothing:
            streams = (nothing.fileno(), output.fileno(), output.fileno())
            process = GatewayProcess(words, streams, environ=environ)
        try:
            async with asyncio.timeout(PATIENCE):
                while not self.endpoints.exists():
                    assert process.poll() is None, self.output
                    await asyncio.sleep(0.02)
            yield process
        finally:
            process.terminate()
            await asyncio.to_thread(process.wait, PATIENCE)

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def endpoints(self) -> Path:
        return self.data / "endpoints.json"

    @property
    def output(self) -> str:
        return (self.directory / "output").read_text()

    def tasks(self, policy: Policy) -> set[str]:
        """The names of the tasks with a policy, of all processes so far."""
        return {path.name for path in (self.directory / policy.value).glob("*")}

    async def crash(self, task: str) -> None:
        """Makes a task raise in one of the processes."""
        ask = self.directory / "crash" / task
        ask.parent.mkdir(exist_ok=True)
        ask.touch()
        async with asyncio.timeout(PATIENCE):
            while ask.exists():
                await asyncio.sleep(0.02)

    @contextlib.asynccontextmanager
    async def clients(self) -> AsyncIterator[Client]:
        at = json.loads(self.endpoints.read_text())
        key = (self.data / "admin.key").read_text()
        async with connected(at["http"], at["nats"], key) as client:
            yield client


@pytest.fixture
def service_manager(tmp_path: Path) -> Iterator[str]:
    """The socket of a service manager that reads nothing of it."""
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        yield str(path)


@pytest.fixture
def gateway(tmp_path: Path, receiver: Receiver) -> Gateway:
    webhook = {"events": ["user.*"], "retry_policy": RETRY}
    config = LOOPBACK | {
        "webhooks": {
            "w": webhook | {"url": f"{receiver.url}/w"},
            "o": webhook | {"url": f"{receiver.url}/o", "ordered": True},
        },
        "streams": {
            "live": {"subjects": ["user.*"]},
            "sealed": {
                "subjects": ["user.*"], "retention": "2y", "compliance": True,
                "sealed_by": "source",
            },
        },
        "server": {"admin": {"port": 0}},
    }  # fmt: skip
    (tmp_path / "gateway.yaml").write_text(yaml.safe_dump(config))
    return Gateway(tmp_path)


async def _works(client: Client, receiver: Receiver, socket: Socket | None = None) -> None:
    """An event is delivered at the second attempt, also in order, and a live subscriber gets it."""
    receiver.answers["/w"] = [500, 200]
    sent = event("user.created")
    async with asyncio.timeout(PATIENCE):
        while not await _accepted(client, sent):
            await asyncio.sleep(0.1)  # the gateway's HTTP server or NATS starts again
    await client.until("w", sent["id"], "succeeded")
    await client.until("o", sent["id"], "succeeded")
    assert [
        result.status for result in receiver.requests_to("/w") if result.json["id"] == sent["id"]
    ] == [
        500,
        200,
    ]
    while socket is not None:
        frame = await socket.next()
        if frame["type"] == "event" and frame["event"]["id"] == sent["id"]:
            return


async def _accepted(client: Client, sent: dict[str, Any]) -> bool:
    try:
        answer = await client.http.post("/v1/events", content=json.dumps(sent), headers=STRUCTURED)
    except httpx.TransportError:
        return False
    return answer.status_code == 202


async def _readiness(client: Client) -> dict[str, Any]:
    answer = await client.http.get("/readyz")
    return {"code": answer.status_code} | dict(answer.json())


async def _crashes(client: Client) -> dict[str, float]:
    text = (await client.http.get("/metrics")).text
    matches = re.findall(r'^event_gateway_task_crashes_total\{task="(.+)"\} (\S+)$', text, re.M)
    return {task: float(count) for task, count in matches}


async def test_the_work_continues_after_the_crash_of_each_task(
    gateway: Gateway, receiver: Receiver, service_manager: str
) -> None:
    gateway.words = ("--watch",)
    gateway.environ = {"NOTIFY_SOCKET": service_manager}
    expected = _documented(Policy.RESTART) - WORKERS - ELSEWHERE
    async with gateway.run(), gateway.clients() as client, client.websocket() as socket:
        assert (await socket.request(action="subscribe", stream="live"))["type"] == "subscribed"
        await _works(client, receiver, socket)
        async with asyncio.timeout(PATIENCE):  # the leader starts some of them
            while (tasks := gateway.tasks(Policy.RESTART)) != expected:
                await asyncio.sleep(0.05)
        assert (await _readiness(client))["status"] == "ok"
        for count, task in enumerate(sorted(tasks), 1):
            await gateway.crash(task)
            async with asyncio.timeout(PATIENCE):
                while task not in await _crashes(client):
                    await asyncio.sleep(0.05)
            await _works(client, receiver, socket)
            readiness = await _readiness(client)
            assert readiness["code"] == 200
            assert readiness["status"] == "degraded"
            named = [reason for reason in readiness["reasons"] if f"task {task} " in reason]
            assert len(named) == 1, readiness
            assert len(await _crashes(client)) == count
        assert set((await _crashes(client)).values()) == {1.0}
    assert gateway.output.count("MadeToCrash: ") == len(tasks)


async def test_the_crash_of_a_required_task_ends_the_process(
    gateway: Gateway, receiver: Receiver
) -> None:
    gateway.words = ("--no-console",)  # its task is restarted
    async with gateway.run():
        tasks = gateway.tasks(Policy.END_PROCESS)
    assert tasks == _documented(Policy.END_PROCESS) - WORKERS
    for task in sorted(tasks):
        async with gateway.run() as process, gateway.clients() as client:
            await _works(client, receiver)
            await gateway.crash(task)
            assert await asyncio.to_thread(process.wait, PATIENCE) == 1
        assert f"event-gateway: the task {task} crashed: " in gateway.output
    async with gateway.run(), gateway.clients() as client:
        await _works(client, receiver)


async def test_a_worker_process_that_ends_is_restarted(
    gateway: Gateway, receiver: Receiver
) -> None:
    gateway.words = ("--workers", "2", "--no-console")
    async with gateway.run() as process, gateway.clients() as client:
        await _works(client, receiver)
        required = gateway.tasks(Policy.END_PROCESS) - {"fork-server"}
        restarted = WORKERS - {"fork-server"}
        assert restarted <= gateway.tasks(Policy.RESTART)
        for task in sorted(required | restarted):
            before = worker_pids(process.pid)
            await gateway.crash(task)
            if task in required:
                async with asyncio.timeout(PATIENCE):
                    while len(new := worker_pids(process.pid)) < len(before) or new == before:
                        await asyncio.sleep(0.02)
                assert f"the task {task} crashed: " in gateway.output
            await _works(client, receiver)
        assert process.poll() is None
        (fork_server,) = (child for child in children(process.pid) if children(child))
        os.kill(fork_server, signal.SIGKILL)
        assert await asyncio.to_thread(process.wait, PATIENCE) == 1
    assert "event-gateway: the task fork-server crashed: " in gateway.output


async def test_tasks_of_other_configurations_are_restarted(
    gateway: Gateway, receiver: Receiver, issued: IssuedFiles
) -> None:
    """Those of TLS, and of several Redis servers."""
    file = gateway.directory / "gateway.yaml"
    settings = ("--cluster-enabled", "yes", "--appendonly", "yes", "--cluster-port")
    async with (
        valkey(gateway.directory, *settings, str(usable_port())) as port,
        Redis(port=port) as node,
        httpx.AsyncClient(verify=issued.client(), timeout=PATIENCE) as http,
    ):
        ask: Any = node.execute_command
        await ask("CLUSTER", "ADDSLOTSRANGE", 0, 16383)

        async def is_up() -> bool:
            return b"cluster_state:ok" in await ask("CLUSTER", "INFO")

        await until(is_up, "the cluster does not come up")
        config = yaml.safe_load(file.read_text()) | {
            "redis": {"cluster": {"servers": [f"127.0.0.1:{port}"]}},
            "secrets": {"dir": str(issued.directory)},
            "server": {"tls": {"cert": "server.pem", "key": "server.key"}},
        }
        file.write_text(yaml.safe_dump(config))
        gateway.words = ("--no-console",)
        async with gateway.run():
            url = json.loads(gateway.endpoints.read_text())["http"]
            assert gateway.tasks(Policy.RESTART) >= ELSEWHERE
            for task in sorted(ELSEWHERE):
                await gateway.crash(task)
                async with asyncio.timeout(PATIENCE):
                    while f"task {task} " not in (await http.get(f"{url}/readyz")).text:
                        await asyncio.sleep(0.05)
            headers = STRUCTURED | {"X-API-Key": (gateway.data / "admin.key").read_text().strip()}
            sent = json.dumps(event("user.created"))
            answer = await http.post(f"{url}/v1/events", content=sent, headers=headers)
            assert answer.status_code == 202, answer.text
            await receiver.until(2)
    assert gateway.output.count("MadeToCrash: ") == len(ELSEWHERE)
