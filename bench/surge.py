"""Compares ``bench/simulate.py`` with the real program: receivers that are down, and the surge.

    python -m bench.surge [--webhooks 20] [--rate 2] [--outage 60] [--after 40] [--capacity 10]

A gateway, and events for each webhook at ``--rate`` a second. A part of the receivers answers 503
for ``--outage`` seconds and then is back; ``rate_limit`` is the ``--capacity`` of each receiver.
Counted are, second by second, the attempts that fail and the deliveries that succeed. Each case
gets a gateway and servers of its own. The program prints a row of the simulation and one of the
gateway for each case, and writes the curves of both (blue: simulated, brown: counted) to ``--out``.
"""

import argparse
import asyncio
import json
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import httptools
import nats
import uvloop

from bench.programs import Program, program
from bench.simulate import Case, Curve, drawn, simulate, summary
from event_gateway.core.webhook.retry_policy import RetryPolicy

WARM = 5.0  # seconds in which connections are opened
NEVER = 1e9


@dataclass
class Receivers:
    """``down``: the paths that answer 503. ``failed`` and ``succeeded``: how many requests were
    answered so in each second (CLOCK_MONOTONIC)."""

    down: set[bytes] = field(default_factory=set)
    failed: Counter[int] = field(default_factory=Counter)
    succeeded: Counter[int] = field(default_factory=Counter)

    def answer(self, path: bytes) -> bytes:
        second = int(time.monotonic())
        if path in self.down:
            self.failed[second] += 1
            return b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
        self.succeeded[second] += 1
        return b"HTTP/1.1 204 No Content\r\n\r\n"


class _Receiving(asyncio.Protocol):
    def __init__(self, receivers: Receivers) -> None:
        self._receivers = receivers
        self._parser = httptools.HttpRequestParser(self)
        self._path = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._path += url

    def on_message_complete(self) -> None:
        answer, self._path = self._receivers.answer(self._path), b""
        self._transport.write(answer)


def _config(case: Case, port: int) -> dict[str, Any]:
    webhook = {
        "rate_limit": {"events": round(case.capacity)},
        "retry_policy": {"max_attempts": case.policy.max_attempts},
        "circuit_breaker": {
            "failure_threshold": case.threshold or 10_000, "open_for": f"{case.open_for:g}s",
        },
    }  # fmt: skip
    return {
        "delivery": {"allow_networks": ["127.0.0.0/8"]},
        "ingest": {"subjects": ["surge.>"]},
        "webhooks": {
            f"w{n}": {"url": f"http://127.0.0.1:{port}/{n}", "events": [f"surge.w{n}"]} | webhook
            for n in range(case.webhooks)
        },
    }


async def counted(case: Case, warm: float = WARM) -> Curve:
    """What the real program does in a case: the same figures as :func:`simulate` returns.
    ``warm``: seconds of load before the outage."""
    concerned = {b"/%d" % n for n in range(round(case.webhooks * case.down))}
    receivers = Receivers()
    server = await asyncio.get_running_loop().create_server(
        lambda: _Receiving(receivers), "127.0.0.1", 0
    )
    port = server.sockets[0].getsockname()[1]
    async with program("gateway", _config(case, port)) as gateway:
        sending = asyncio.create_task(_publish(gateway, case))
        await asyncio.sleep(warm + 1 - time.monotonic() % 1)  # the outage begins with a second
        begin = round(time.monotonic())
        receivers.down = set(concerned)
        receivers.failed.clear()
        waiting = []
        end = begin + round(case.outage + case.after)
        back = begin + round(case.outage)
        while time.monotonic() < end:
            await asyncio.sleep(1 - time.monotonic() % 1)
            if round(time.monotonic()) == back:
                receivers.down = set()
            waiting.append(int((await _overview(gateway))["queues"]["waiting"]))
        sending.cancel()
        dead = int((await _overview(gateway))["dead_letters"])
    server.close()
    seconds = range(begin, end)
    failed = [float(receivers.failed[second]) for second in seconds]
    return Curve(
        failed=failed,
        succeeded=[float(receivers.succeeded[second]) for second in seconds],
        waiting=waiting[: len(seconds)], dead=dead, attempts=round(sum(failed)),
    )  # fmt: skip


async def _publish(gateway: Program, case: Case) -> None:
    """Publishes events for all webhooks in turn, at the rate of the case, until it is cancelled."""
    bus = await nats.connect(gateway.nats_url)
    try:
        begun, sent = time.monotonic(), 0
        while True:
            while sent < (time.monotonic() - begun) * case.rate * case.webhooks:
                name = f"surge.w{sent % case.webhooks}"
                body = {"specversion": "1.0", "id": str(sent), "source": "bench", "type": name}
                await bus.publish(name, json.dumps(body).encode())
                sent += 1
            await asyncio.sleep(0.01)
    finally:
        await bus.close()


async def _overview(gateway: Program) -> Any:
    return json.loads(await gateway.get("/v1/overview"))


def row(case: Case, curve: Curve) -> dict[str, float]:
    """The figures of a table's row. ``surge_seconds``: until 95% of what had waited at the end of
    the outage was delivered; ``surge_per_s_mean``: deliveries a second in that time."""
    end = round(case.outage)
    usual = case.webhooks * case.rate
    found = summary(case, curve)
    delivered, seconds = 0.0, 0
    for rate in curve.succeeded[end:]:
        if delivered >= 0.95 * found["waiting_at_end"]:
            break
        delivered += rate - usual
        seconds += 1
    mean = sum(curve.succeeded[end : end + seconds]) / max(seconds, 1)
    return found | {"failed": curve.attempts, "surge_seconds": seconds, "surge_per_s_mean": mean}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--webhooks", type=int, default=20)
    parser.add_argument("--rate", type=float, default=2.0, help="events a second and webhook")
    parser.add_argument("--outage", type=float, default=60.0, help="seconds")
    parser.add_argument("--after", type=float, default=40.0, help="seconds")
    parser.add_argument("--capacity", type=float, default=10.0, help="requests a second, of each")
    parser.add_argument("--open-for", type=float, default=5.0, help="seconds, of circuit breakers")
    parser.add_argument("--out", type=Path, default=Path("build/surge"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for number, (down, threshold, attempts) in enumerate(
        ((0.1, 5, 3), (0.5, 5, 3), (0.5, 0, 3), (0.5, 0, 10))
    ):
        case = Case(
            webhooks=arguments.webhooks, rate=arguments.rate, down=down, outage=arguments.outage,
            after=arguments.after, policy=RetryPolicy(max_attempts=attempts), threshold=threshold,
            open_for=arguments.open_for, capacity=arguments.capacity, throughput=NEVER,
        )  # fmt: skip
        curves = {"simulated": simulate(case), "counted": uvloop.run(counted(case))}
        if number == 0:
            print(" | ".join(("", "breaker", "max_attempts", *row(case, curves["simulated"]))))
        for name, curve in curves.items():
            values = (f"{value:,.6g}" for value in row(case, curve).values())
            print(" | ".join((name, str(bool(threshold)), str(attempts), *values)), flush=True)
        pair = [(case, curve) for curve in curves.values()]
        (arguments.out / f"surge-{number}.svg").write_text(drawn(pair))
        told = {name: asdict(curve) for name, curve in curves.items()}
        (arguments.out / f"surge-{number}.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main()
