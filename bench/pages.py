"""What the pages of the console cost beside many webhooks and deliveries that wait.

    python -m bench.pages [--webhooks 10000] [--paused 100] [--events 10000] [--loads 5]

Fills a gateway: ``--webhooks``, of which ``--paused`` have each of the ``--events`` waiting. Then
it loads each page many times, one after another. CPU is that of the processes of the gateway, the
console and Valkey. The time is that of the answer, and says little on a busy machine, whose load is
printed, too.
"""

import argparse
import asyncio
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

import httpx
import uvloop

from bench.figures import cpu_seconds
from bench.programs import Program, program

CONFIG: dict[str, Any] = {
    "server": {"limits": {"requests": 1_000_000, "per": "1s"}},
    "ingest": {"subjects": ["load.>"]},
}
NOWHERE = "https://receiver.example.com/in"
AT_ONCE = 32
BATCH = 100
WAIT = 1200  # seconds for the deliveries to be recorded
PAGES = (
    "/", "/charts/throughput", "/charts/waiting", "/webhooks", "/webhooks?search=w9",
    "/webhooks?state=paused", "/webhooks/paused0", "/webhooks/paused0/charts/waiting",
    "/webhooks/w0/edit", "/deliveries", "/deliveries?status=pending", "/deliveries?type=load.*",
    "/deliveries?since=1h", "/deliveries?webhook=paused0", "/deliveries/paused0/e0", "/events",
    "/events/e0", "/dead-letters", "/replays", "/streams", "/sources", "/event-types", "/rejected",
    "/alerts", "/audit-log", "/keys", "/secrets", "/system", "/system/configuration",
)  # fmt: skip


async def fill(http: httpx.AsyncClient, webhooks: int, paused: int, events: int) -> None:
    """Registers the webhooks, sends the events, and waits until their deliveries are recorded."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def register(name: str, **more: Any) -> None:
        async with gate:
            body = {"id": name, "url": NOWHERE, **more}
            (await http.post("/v1/webhooks", json=body)).raise_for_status()

    waiting = {"events": ["load.*"], "enabled": False}
    await asyncio.gather(
        *(register(f"paused{number}", **waiting) for number in range(paused)),
        *(register(f"w{n}", events=[f"other.t{n}.*"]) for n in range(webhooks - paused)),
    )
    headers = {"Content-Type": "application/cloudevents-batch+json"}
    for start in range(0, events, BATCH):
        batch = [
            {"specversion": "1.0", "source": "bench", "type": "load.made", "id": f"e{number}",
             "data": {"n": number}}
            for number in range(start, min(start + BATCH, events))
        ]  # fmt: skip
        answer = await http.post("/v1/events", content=json.dumps(batch), headers=headers)
        answer.raise_for_status()
    async with asyncio.timeout(WAIT):
        while (await _waiting(http, paused)) < events * paused:
            await asyncio.sleep(1)


async def _waiting(http: httpx.AsyncClient, paused: int) -> int:
    stats = [await http.get(f"/v1/webhooks/paused{number}/stats") for number in (0, paused - 1)]
    return min(int(each.json()["waiting"]) for each in stats) * paused


async def load(http: httpx.AsyncClient, path: str, pids: list[int]) -> list[float]:
    """Milliseconds of one load of a page: until it is there, and the CPU of each process."""
    before, began = [cpu_seconds(pid) for pid in pids], time.monotonic()
    answer = await http.get(path)
    took = time.monotonic() - began
    answer.raise_for_status()
    await asyncio.sleep(0.05)  # what the processes do after the answer
    used = [cpu_seconds(pid) - each for pid, each in zip(pids, before, strict=True)]
    return [milliseconds * 1000 for milliseconds in (took, *used)]


async def measure(options: argparse.Namespace) -> None:
    """Prints the medians of each page."""
    async with program("gateway", CONFIG) as running:
        authorization = {"Authorization": f"Bearer {running.key}"}
        async with httpx.AsyncClient(
            base_url=running.http_url, headers=authorization, timeout=120
        ) as http:
            await fill(http, options.webhooks, options.paused, options.events)
        url = json.loads((running.directory / "data" / "endpoints.json").read_text())["console"]
        pids = [running.pid, _console(running), _server(running, "valkey", "redis")]
        taken: dict[str, list[list[float]]] = {path: [] for path in PAGES}
        async with httpx.AsyncClient(base_url=url, timeout=120) as http:
            signed_in = await http.post(
                "/sign-in", data={"key": running.key}, headers={"Origin": url}
            )
            assert signed_in.headers.get("location") == "/", signed_in.text
            for _ in range(options.loads):
                for path in PAGES:
                    taken[path].append(await load(http, path, pids))
        print(f"load of the machine: {os.getloadavg()[0]:.0f}; milliseconds, medians")
        print(f"{'page':<36}{'there':>9}{'gateway':>9}{'console':>9}{'valkey':>9}")
        for path, loads in taken.items():
            figures = (statistics.median(column) for column in zip(*loads, strict=True))
            print(f"{path:<36}" + "".join(f"{each:9.1f}" for each in figures))


def _console(running: Program) -> int:
    return _found(running.pid, "event_gateway.console")


def _server(running: Program, *names: str) -> int:
    return _found(os.getpid(), *names)


def _found(parent: int, *names: str) -> int:
    """The process whose parent is this one, and whose command has one of these names."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            status = (process / "stat").read_text().rpartition(")")[2].split()
            command = (process / "cmdline").read_bytes().decode()
        except OSError:
            continue  # it has just ended
        if int(status[1]) == parent and any(name in command for name in names):
            return int(process.name)
    raise RuntimeError(f"no process of {parent} is one of {names}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--webhooks", type=int, default=10_000)
    parser.add_argument("--paused", type=int, default=100)
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--loads", type=int, default=5)
    uvloop.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
