"""Metrics of ``serve --workers N`` and the admin port, with real processes."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import httpx
from prometheus_client.parser import text_string_to_metric_families

from support.client import connected, event
from support.patience import PATIENCE
from support.program import LOOPBACK, Program, worker_pids
from support.receiver import Receiver

Series = dict[str, float]
Result = TypeVar("Result")


async def _scrape(url: str) -> Series:
    """All series of an answer, over a connection of its own: any of the processes answers."""
    async with httpx.AsyncClient(timeout=PATIENCE) as http:
        answer = await http.get(f"{url}/metrics")
    assert answer.status_code == 200
    return {
        f"{sample.name}{sorted(sample.labels.items())}": sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def _again(call: Callable[[], Awaitable[Result]]) -> Result:
    """The result of a call, made again where its connection was one of the killed process."""
    while True:
        try:
            return await call()
        except httpx.TransportError:
            await asyncio.sleep(0.02)


def _counters(series: Series) -> Series:
    endings = ("_total", "_bucket", "_count", "_sum")
    return {key: value for key, value in series.items() if key.split("[")[0].endswith(endings)}


async def test_the_sum_of_all_processes_does_not_fall(tmp_path: Path, receiver: Receiver) -> None:
    hook = {"url": f"{receiver.url}/w", "events": ["a"]}
    server = {"admin": {"port": 0}}
    config = LOOPBACK | {"webhooks": {"w": hook}, "server": server}
    program = Program(tmp_path, config, "--workers", "2")
    at = await program.start()
    admin, shown = at["admin"], Series()

    async def shows(key: str, value: float) -> None:
        """Scrapes until a series has a value; no counter is ever lower than before."""
        async with asyncio.timeout(PATIENCE):
            while True:
                now = await _again(lambda: _scrape(admin))
                fallen = {k: (v, now.get(k)) for k, v in shown.items() if now.get(k, -1) < v}
                assert not fallen
                shown.update(_counters(now))
                if now.get(key) == value:
                    return
                await asyncio.sleep(0.05)

    succeeded = "event_gateway_deliveries_total[('outcome', 'succeeded'), ('webhook', 'w')]"
    try:
        async with connected(at["http"], at["nats"], at["key"]) as client:
            await client.send([event("a") for _ in range(100)])
            await shows(succeeded, 100)
            # With a key on the port of the API; the admin port has nothing but monitoring.
            assert (await client.http.get("/metrics")).status_code == 200
            async with httpx.AsyncClient(base_url=admin, timeout=PATIENCE) as http:
                assert (await http.get("/healthz")).json()["status"] == "ok"
                assert (await http.get("/readyz")).status_code == 200
                for path in ("/v1/webhooks", "/v1/health", "/docs", "/metrics/", "/"):
                    assert (await http.get(path)).status_code == 404
                assert (await http.post("/metrics")).status_code == 405
                upgrade = {"Connection": "Upgrade", "Upgrade": "websocket"}
                assert (await http.get("/v1/ws", headers=upgrade)).status_code == 404
                answer = await http.get(
                    "/metrics", headers={"Accept": "application/openmetrics-text"}
                )
                assert answer.headers["content-type"].startswith("application/openmetrics-text")
                assert answer.text.endswith("# EOF\n")
            workers = worker_pids(at["pid"])
            assert len(workers) == 2
            os.kill(min(workers), signal.SIGKILL)
            await shows("event_gateway_processes[]", 2)
            # The port of the killed process is the port of the other one.
            more = [event("a") for _ in range(100)]
            async with asyncio.timeout(PATIENCE):
                await _again(lambda: client.send(more))
                while shown.get(succeeded, 0) < 200:
                    await shows("event_gateway_leader[]", 1)
        folder = program.data / "metrics"
        assert folder.stat().st_mode & 0o777 == 0o700
    finally:
        await program.stop()
    assert not folder.exists()
    assert "Traceback" not in program.output, program.output
