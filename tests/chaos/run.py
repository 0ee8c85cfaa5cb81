"""One run: the load, the actions against gateways and servers, and the report."""

import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from chaos.load import Load
from chaos.receivers import TEMPERS, Receivers
from chaos.shapes import Action, Nats, Valkeys
from event_gateway.embedded.servers import EmbeddedServers
from event_gateway.tasks import Supervisor
from support.gateway_process import GatewayProcess
from support.program import LOOPBACK, Program
from support.relay import Relay
from support.stopping import stop_process

SETTLE = 180.0  # seconds without an arrival after which what has not arrived counts as lost
KEY = "chaos-admin-key-of-the-run"


@dataclass(frozen=True)
class Plan:
    """``rate``: events a second. ``fan_out``: webhooks of an event, which divides 20. ``batch``:
    events in a request over HTTP. ``pause``: the most seconds between two actions. ``losses``:
    Redis loses its last seconds from time to time. ``only``: only actions with this text in their
    name. ``nats`` is ``single`` or ``cluster``, ``redis`` is ``single``, ``sentinel``, ``cluster``
    or ``managed``."""

    seconds: float
    seed: int
    rate: float = 25.0
    fan_out: int = 4
    batch: int = 1
    pause: float = 3.0
    losses: bool = False
    only: str = ""
    nats: str = "single"
    redis: str = "single"

    @property
    def groups(self) -> int:
        """Groups of events: the events of one go to the same webhooks."""
        return len(TEMPERS) // self.fan_out

    @property
    def faulty(self) -> float:
        """Receivers have no more faults a second than they have at 100 deliveries a second."""
        return min(1.0, 100 / (self.rate * self.fan_out))


@dataclass
class Report:
    """The result of a run. ``lost``: pairs of webhook and event that never arrived; ``more``: the
    surplus deliveries by webhook; ``done``: how often each action was done."""

    plan: Plan
    accepted: int = 0
    deliveries: int = 0
    lost: list[tuple[str, int]] = field(default_factory=list)
    more: dict[str, int] = field(default_factory=dict)
    tempers: dict[str, str] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)
    took: float = 0.0

    def __str__(self) -> str:
        actions = ", ".join(f"{name} {count}" for name, count in sorted(self.done.items()))
        per_second = self.deliveries / self.plan.seconds
        lines = [
            f"NATS {self.plan.nats}, Redis {self.plan.redis}, seed {self.plan.seed}, "
            f"{self.plan.seconds:.0f} s: {self.accepted} events accepted, "
            f"{self.deliveries} deliveries due, {per_second:.0f} a second; "
            f"all arrived {self.took:.0f} s after the last event",
            f"done meanwhile: {actions}",
            f"lost: {len(self.lost)} {self.lost[:5] or ''}",
            f"more than once: {sum(self.more.values())} "
            f"({sum(self.more.values()) / max(1, self.deliveries):.2%})",
        ]
        by: dict[str, list[int]] = {}
        for name, count in self.more.items():
            by.setdefault(self.tempers[name], []).append(count)
        lines += [f"  {temper}: {sorted(counts)}" for temper, counts in sorted(by.items())]
        return "\n".join(lines)


def _config(
    plan: Plan, receivers: Receivers, nats: dict[str, Any], redis: Mapping[str, object]
) -> dict[str, Any]:
    policy = {"max_attempts": 100, "backoff": "fixed", "initial_delay": "500ms"}
    return LOOPBACK | {
        "nats": nats,
        "redis": redis,
        "webhooks": {
            name: {
                "url": f"{receivers.url}/{name}",
                "events": [f"load.g{number % plan.groups}"],
                "timeout": "2s",
                "retry_policy": policy,
                "circuit_breaker": {"failure_threshold": 5, "open_for": "1s"},
            }
            for number, name in enumerate(receivers.names)
        },
    }


def _through(url: str, port: int) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.username or ''}:{parts.password}@127.0.0.1:{port}"


class _Chaos:
    """The actions against the servers and the gateways."""

    def __init__(self, directory: Path, dice: random.Random, plan: Plan) -> None:
        self._directory = directory
        self.dice = dice
        self._plan = plan
        self.relays: dict[str, Relay] = {}
        self.of_shapes: dict[str, Action] = {}
        self.gateways: list[Program] = []
        self.urls: dict[int, str] = {}

    @property
    def actions(self) -> dict[str, Action]:
        """The actions by name."""
        actions = {
            "kill -9 of a gateway": self._kill_gateway,
            "a gateway stopped past its leases": self._stop_gateway,
            **self.of_shapes,
        }
        if "nats" in self.relays:
            actions |= {
                "kill -9 of nats-server": lambda: self._kill("nats"),
                "connections to NATS cut": lambda: self._cut("nats"),
                "NATS held up": lambda: self._hold("nats"),
            }
        if "valkey" in self.relays:
            actions |= {
                "kill -9 of Valkey": lambda: self._kill("valkey"),
                "connections to Valkey cut": lambda: self._cut("valkey"),
                "Valkey held up": lambda: self._hold("valkey"),
            }
        if len(self.relays) == 2:
            actions["both slow"] = self._slow
        if self._plan.losses and "valkey" in self.relays:
            actions["Valkey without its last seconds"] = self._lose
        return {name: act for name, act in actions.items() if self._plan.only in name}

    def reachable(self) -> list[tuple[str, str]]:
        """URL and key of each running gateway."""
        return [(url, KEY) for url in self.urls.values()] or [("http://127.0.0.1:1", KEY)]

    async def start_gateway(self, number: int) -> None:
        """Starts it again if NATS or Redis did not answer in time, as a service manager does."""
        gateway = self.gateways[number]
        async with asyncio.timeout(180):
            while True:
                try:
                    at = await gateway.start(timeout=90)
                    break
                except AssertionError:
                    if "failed at the start" not in gateway.last_line:
                        raise
        self.urls[number] = at["http"]

    async def _kill_gateway(self) -> None:
        number = self.dice.randrange(len(self.gateways))
        self.urls.pop(number, None)
        self.gateways[number].kill()
        await asyncio.sleep(self.dice.uniform(0, 2))
        await self.start_gateway(number)

    async def _stop_gateway(self) -> None:
        number = self.dice.randrange(len(self.gateways))
        self.urls.pop(number, None)
        stop_process(self.gateways[number].pid)
        await asyncio.sleep(self.dice.uniform(1, 15))
        os.kill(self.gateways[number].pid, signal.SIGCONT)
        await asyncio.sleep(1)
        self.urls[number] = self._url(number)

    def _url(self, number: int) -> str:
        path = self.gateways[number].data / "endpoints.json"
        return str(json.loads(path.read_text())["http"])

    def _pid(self, name: str) -> int:
        return int((self._directory / "servers" / f"{name}.pid").read_text())

    async def _kill(self, name: str) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid(name), signal.SIGKILL)

    async def _cut(self, name: str) -> None:
        self.relays[name].cut()

    async def _hold(self, name: str) -> None:
        self.relays[name].hold()
        await asyncio.sleep(self.dice.uniform(0.5, 8))
        self.relays[name].release()

    async def _slow(self) -> None:
        for relay in self.relays.values():
            relay.delay = self.dice.uniform(0.005, 0.05)
        await asyncio.sleep(self.dice.uniform(2, 5))
        for relay in self.relays.values():
            relay.delay = 0.0

    async def _lose(self) -> None:
        """Restores an older copy of Valkey's data, as a failover or a backup would."""
        store, copy = self._directory / "servers" / "valkey", self._directory / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        pid = self._pid("valkey")
        with contextlib.suppress(ProcessLookupError):
            stop_process(pid)
            shutil.copytree(store, copy)
            os.kill(pid, signal.SIGCONT)
            await asyncio.sleep(self.dice.uniform(1, 4))
            if self._pid("valkey") != pid:
                return
            stop_process(pid)
            shutil.rmtree(store)
            shutil.copytree(copy, store)
            os.kill(pid, signal.SIGKILL)


async def run(directory: Path, plan: Plan) -> Report:
    """Runs the load and the actions, with all data in ``directory``; returns the report."""
    dice = random.Random(plan.seed)
    report = Report(plan)
    async with contextlib.AsyncExitStack() as stack:
        receivers = await stack.enter_async_context(
            Receivers(plan.seed, plan.groups, plan.faulty).running()
        )
        report.tempers = receivers.tempers
        _warm_up()
        chaos = _Chaos(directory, dice, plan)
        nats, redis, nats_url = await _servers(directory, plan, chaos, stack)
        for number in range(2):
            own = directory / f"gateway{number}"
            (own / "data").mkdir(parents=True)
            (own / "data" / "admin.key").write_text(KEY)
            chaos.gateways.append(Program(own, _config(plan, receivers, nats, redis)))
            stack.push_async_callback(_stop, chaos.gateways[-1])
            await chaos.start_gateway(number)
        load = Load(
            chaos.reachable, rate=plan.rate, batch=plan.batch, groups=plan.groups, seed=plan.seed
        )
        sending = asyncio.create_task(load.run(nats_url))
        end = time.monotonic() + plan.seconds
        order: list[str] = []
        while time.monotonic() < end and not sending.done():
            await asyncio.sleep(dice.uniform(0.5, plan.pause))
            order = order or list(chaos.actions)
            name = order.pop(dice.randrange(len(order)))
            report.done[name] += 1
            await chaos.actions[name]()
        load.ending = True
        await sending
        receivers.calm = True
        began = time.monotonic()
        report.accepted = len(load.accepted)
        report.deliveries = len(load.accepted) * plan.fan_out
        left, changed = 0, began
        while missing := receivers.missing(load.accepted):
            if len(missing) != left:
                left, changed = len(missing), time.monotonic()
            elif time.monotonic() - changed > SETTLE:
                break
            await asyncio.sleep(0.5)
        report.took = time.monotonic() - began
        report.lost = missing
        await asyncio.sleep(2)
        report.more = {
            name: counts.surplus(load.accepted) for name, counts in receivers.accepted.items()
        }
        for gateway in chaos.gateways:
            assert await gateway.stop(60) == 0, gateway.output[-2000:]
            assert "Traceback" not in gateway.output, gateway.output
    return report


def _warm_up() -> None:
    """Has the gateway imported before there are relays, which would stand still meanwhile."""
    with Path(os.devnull).open("r+") as nothing:
        streams = (nothing.fileno(), nothing.fileno(), nothing.fileno())
        GatewayProcess(["--version"], streams, environ=dict(os.environ)).wait()


async def _servers(
    directory: Path, plan: Plan, chaos: _Chaos, stack: contextlib.AsyncExitStack
) -> tuple[dict[str, Any], Mapping[str, object], str]:
    """Starts the servers; returns the sections ``nats`` and ``redis`` of the gateways, and the URL
    of NATS for publishers."""
    embedded = EmbeddedServers(
        directory / "servers", nats=plan.nats == "single", valkey=plan.redis == "single"
    )
    found = dict(zip(("nats", "valkey"), await embedded.start(), strict=True))
    stack.push_async_callback(embedded.stop)
    embedded.keep(Supervisor())
    sections: dict[str, Mapping[str, object]] = {}
    for name, url in found.items():
        if url is not None:
            relay = Relay(urlsplit(url).port or 0)
            chaos.relays[name] = await stack.enter_async_context(relay.running())
            sections[name] = {"url": _through(url, relay.port)}
    publish_to = found["nats"] or ""
    if plan.nats == "cluster":
        nats = Nats(directory / "nats", chaos.dice)
        await nats.start(stack)
        chaos.of_shapes |= nats.actions
        publish_to = nats.url
        sections["nats"] = {"url": nats.url, "replicas": 3}
    if plan.redis != "single":
        valkeys = Valkeys(directory / "valkeys", plan.redis, chaos.dice)
        await valkeys.start(stack)
        chaos.of_shapes |= valkeys.actions
        sections["valkey"] = valkeys.config
    return dict(sections["nats"]), sections["valkey"], publish_to


async def _stop(gateway: Program) -> None:
    with contextlib.suppress(Exception):
        await gateway.stop()
