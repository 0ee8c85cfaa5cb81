"""One run: the gateways of both versions, the publisher, and the report."""

import asyncio
import contextlib
import itertools
import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from chaos.receivers import GROUPS, Receivers
from event_gateway.embedded.process import killed_with_parent
from event_gateway.embedded.servers import EmbeddedServers
from support.bus import connect_bus
from support.client import STRUCTURED, event
from support.patience import PATIENCE
from support.program import LOOPBACK

KEY = "upgrade-admin-key-of-the-run"
START = 300.0  # seconds for a gateway to start: with an interpreter that has nothing compiled
SETTLE = 120.0  # seconds for all deliveries to arrive in the end
STEPS = 5


@dataclass(frozen=True)
class Plan:
    """``rate``: events a second, each to four webhooks."""

    seconds: float
    rate: float
    seed: int


@dataclass
class Report:
    """``refused``: publishes that failed; ``lost``: pairs of webhook and event that never arrived;
    ``more``: surplus deliveries by the temper of the receiver."""

    plan: Plan
    accepted: int = 0
    due: int = 0
    refused: list[str] = field(default_factory=list)
    lost: list[tuple[str, int]] = field(default_factory=list)
    more: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        return "\n".join((
            f"seed {self.plan.seed}: {self.accepted} events accepted, {self.due} deliveries due",
            f"failed publishes: {len(self.refused)} {self.refused[:3] or ''}",
            f"lost: {len(self.lost)} {self.lost[:5] or ''}",
            f"more than once: {sum(self.more.values())} {dict(self.more) or ''}",
        ))  # fmt: skip


class Gateway:
    """A process of one version, with a data directory of its own."""

    def __init__(
        self, name: str, directory: Path, source: tuple[str, Path], config: dict[str, Any]
    ) -> None:
        self.name, self.url = name, ""
        self._python, self._path = source
        self._directory = directory / name
        (self._directory / "data").mkdir(parents=True)
        (self._directory / "data" / "admin.key").write_text(KEY)
        (self._directory / "gateway.yaml").write_text(yaml.safe_dump(config))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def output(self) -> str:
        """What it has printed."""
        return (self._directory / "output").read_text()

    async def start(self) -> None:
        """Starts it, and waits until it is ready."""
        words = ("serve", "-c", "gateway.yaml", "--port", "0", "--data-dir", "data", "--no-console")
        with (self._directory / "output").open("w") as output:
            self._process = subprocess.Popen(
                [self._python, "-m", "event_gateway", *words], cwd=self._directory, stdout=output,
                stderr=output, env=os.environ | {"PYTHONPATH": str(self._path)},
                preexec_fn=killed_with_parent,
            )  # fmt: skip
        endpoints = self._directory / "data" / "endpoints.json"
        end = time.monotonic() + START
        while not endpoints.exists():
            assert self._process.poll() is None, self.output
            assert time.monotonic() < end, self.output
            await asyncio.sleep(0.05)
        self.url = json.loads(endpoints.read_text())["http"]

    async def stop(self) -> None:
        """Drains it; it must end by itself and without an error."""
        assert self._process is not None
        self._process.terminate()
        assert await asyncio.to_thread(self._process.wait, PATIENCE) == 0, self.output[-2000:]
        assert "Traceback" not in self.output, self.output

    def kill(self) -> None:
        """Ends it if it runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()


class _Publisher:
    """Publishes each event once, half over HTTP to the gateways of ``balanced`` in turn, half over
    NATS. ``accepted``: the group of each event, by the number in its id."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self.balanced: list[Gateway] = []
        self.accepted: dict[int, int] = {}
        self.ended = False

    async def run(self, nats_url: str) -> None:
        bus = await connect_bus(nats_url)
        turns = itertools.count()
        async with httpx.AsyncClient(timeout=PATIENCE) as http, asyncio.TaskGroup() as sending:
            while not self.ended:
                sending.create_task(self._publish(next(turns), http, bus))
                await asyncio.sleep(1 / self._report.plan.rate)
        await bus.close()

    async def _publish(self, turn: int, http: httpx.AsyncClient, bus: Any) -> None:
        group = turn // 2 % GROUPS
        sent = event(f"load.g{group}", {"group": group}, id=f"e-{turn}")
        body = json.dumps(sent).encode()
        if turn % 2:
            await bus.jetstream(timeout=PATIENCE).publish(
                f"load.g{group}", body, headers={"Nats-Msg-Id": sent["id"]}
            )
        else:
            gateway = self.balanced[turn // 2 % len(self.balanced)]
            headers = STRUCTURED | {"X-API-Key": KEY}
            try:
                answer = await http.post(f"{gateway.url}/v1/events", content=body, headers=headers)
                failed = "" if answer.status_code == 202 else answer.text
            except httpx.TransportError as error:
                failed = repr(error)
            if failed:
                self._report.refused.append(f"{gateway.name}: {failed}")
                return
        self.accepted[turn] = group


def _config(receivers: Receivers, nats_url: str, redis_url: str) -> dict[str, Any]:
    policy = {"max_attempts": 100, "backoff": "fixed", "initial_delay": "500ms"}
    webhooks = {
        name: {
            "url": f"{receivers.url}/{name}", "events": [f"load.g{number % GROUPS}"],
            "timeout": "2s", "retry_policy": policy,
        }
        for number, name in enumerate(receivers.names)
    }  # fmt: skip
    return LOOPBACK | {"nats": {"url": nats_url}, "redis": {"url": redis_url}, "webhooks": webhooks}


async def run(directory: Path, sources: tuple[tuple[str, Path], ...], plan: Plan) -> Report:
    """Upgrades from the first of ``sources`` (interpreter, source directory) to the second."""
    report = Report(plan)
    began = time.monotonic()
    async with contextlib.AsyncExitStack() as stack:
        receivers = await stack.enter_async_context(Receivers(plan.seed).running())
        servers = EmbeddedServers(directory / "servers", nats=True, valkey=True)
        nats_url, redis_url = map(str, await servers.start())
        stack.push_async_callback(servers.stop)
        config = _config(receivers, nats_url, redis_url)
        former, later = (
            [Gateway(f"{age}{number}", directory, source, config) for number in range(2)]
            for age, source in zip(("former", "later"), sources, strict=True)
        )
        for gateway in (*former, *later):
            stack.callback(gateway.kill)
        for gateway in former:
            await gateway.start()
        publisher = _Publisher(report)
        publisher.balanced = [*former]
        publishing = asyncio.create_task(publisher.run(nats_url))
        step = _steps(began)
        step("the former version takes events")
        for gateway in later:
            await asyncio.sleep(plan.seconds / STEPS)
            await gateway.start()
            publisher.balanced = [*publisher.balanced, gateway]
            step(f"{gateway.name} started")
        for gateway in former:
            await asyncio.sleep(plan.seconds / STEPS)
            publisher.balanced = [other for other in publisher.balanced if other is not gateway]
            await gateway.stop()
            step(f"{gateway.name} stopped")
        await asyncio.sleep(plan.seconds / STEPS)
        publisher.ended = True
        await publishing
        step("the last event was sent")
        await _account(report, publisher.accepted, receivers)
        for gateway in later:
            await gateway.stop()
    return report


def _steps(began: float) -> Callable[[str], None]:
    def step(text: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {text}", flush=True)

    return step


async def _account(report: Report, accepted: dict[int, int], receivers: Receivers) -> None:
    """Waits for what is due, and counts."""
    receivers.calm = True
    report.accepted = len(accepted)
    report.due = sum(len(receivers.webhooks_of(group)) for group in accepted.values())
    end = time.monotonic() + SETTLE
    while missing := receivers.missing(accepted):
        if time.monotonic() > end:
            break
        await asyncio.sleep(0.5)
    report.lost = missing
    await asyncio.sleep(2)  # what comes twice may come late
    for name, counts in receivers.accepted.items():
        if surplus := counts.surplus(accepted):
            report.more[receivers.tempers[name]] += surplus
