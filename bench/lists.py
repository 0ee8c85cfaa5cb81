"""What a list of 1,000 items costs the process of the gateway.

    python -m bench.lists [--source CHECKOUT …] [--items 1000] [--requests 20]

Fills a gateway, and asks for each list with ``limit=1000`` many times, one request after another;
CPU is that of the gateway's process, all its threads. With ``--source`` the code of another
checkout is measured beside this one, in turns, so that other load affects both alike.
"""

import argparse
import asyncio
import base64
import statistics
from pathlib import Path
from typing import Any

import httpx
import uvloop

from bench import programs
from bench.figures import cpu_seconds
from bench.programs import Program, program

HERE = Path(__file__).parents[1]
NOWHERE = "http://127.0.0.1:8099/"  # nobody listens there: each delivery becomes a dead letter
CONFIG: dict[str, Any] = {
    "delivery": {"allow_networks": ["127.0.0.0/8"]},
    "server": {"limits": {"requests": 1_000_000, "per": "1s"}},
}
LISTS = {
    "webhooks": "/v1/webhooks", "keys": "/v1/keys", "deliveries": "/v1/webhooks/dead/deliveries",
    "all deliveries": "/v1/deliveries", "dead letters": "/v1/dead-letters",
    "dead letters of one": "/v1/dead-letters?webhook=dead", "audit log": "/v1/audit-log",
    "events": "/v1/events", "event types": "/v1/event-types", "secrets": "/v1/secrets",
    "streams": "/v1/streams",
}  # fmt: skip
SCHEMA = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
SEALING_KEY = base64.b64encode(bytes(32)).decode()
AT_ONCE = 32
STREAMS = 200  # each is a stream of NATS: a gateway has tens of them


async def fill(http: httpx.AsyncClient, items: int) -> None:
    """Registers webhooks, keys, event types, secrets and streams, and makes dead letters."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def post(path: str, body: dict[str, Any], method: str = "POST") -> None:
        async with gate:
            answer = await http.request(method, path, json=body)
            if answer.status_code >= 400:
                raise RuntimeError(answer.text)

    dead = {"id": "dead", "url": NOWHERE, "events": ["bench.>"],
            "retry_policy": {"max_attempts": 1},
            "circuit_breaker": {"failure_threshold": 10_000}}  # fmt: skip
    await post("/v1/webhooks", dead)
    first = {"url": NOWHERE, "events": ["another.*"], "metadata": {"team": "bench"}}
    schema = {"description": "Made by the benchmark", "owner": "bench", "schema": SCHEMA}
    stream = {"subjects": ["another.>"], "retention": "1d"}
    key = {"scopes": ["events:publish"], "namespaces": ["customer"]}
    await asyncio.gather(
        *(post("/v1/webhooks", first | {"id": f"w{n}"}) for n in range(items)),
        *(post("/v1/keys", key | {"name": f"k{n}"}) for n in range(items)),
        *(post("/v1/event-types", schema | {"type": f"another.t{n}"}) for n in range(items)),
        *(post(f"/v1/secrets/s{n}", {"value": "v"}, "PUT") for n in range(items)),
        *(post("/v1/streams", stream | {"name": f"s{n}"}) for n in range(min(items, STREAMS))),
    )
    event = {"specversion": "1.0", "source": "bench", "type": "bench.made", "data": {"n": 1}}
    headers = {"Content-Type": "application/cloudevents+json"}
    for n in range(items):
        answer = await http.post("/v1/events", json=event | {"id": f"e{n}"}, headers=headers)
        answer.raise_for_status()
    while (await http.get("/v1/webhooks/dead/stats")).json()["dead_lettered"] < items:
        await asyncio.sleep(0.2)


async def cost(running: Program, http: httpx.AsyncClient, path: str) -> float:
    """CPU milliseconds of one request."""
    before = cpu_seconds(running.pid)
    answer = await http.get(f"{path}{'&' if '?' in path else '?'}limit=1000")
    answer.raise_for_status()
    return (cpu_seconds(running.pid) - before) * 1000


async def measure(sources: list[Path], items: int, requests: int) -> None:
    """Prints the median of each list for each checkout."""
    taken: dict[tuple[str, str], list[float]] = {}
    for source in sources:
        programs.ENVIRON["PYTHONPATH"] = f"{source}/src:{source}"
        programs.ENVIRON["EVENT_GATEWAY_SECRET_SEALING_KEY"] = SEALING_KEY
        async with program("gateway", CONFIG) as running, httpx.AsyncClient(
            base_url=running.http_url, headers={"Authorization": f"Bearer {running.key}"},
            timeout=60,
        ) as http:  # fmt: skip
            await fill(http, items)
            for _ in range(requests):
                for name, path in LISTS.items():
                    milliseconds = await cost(running, http, path)
                    taken.setdefault((name, str(source)), []).append(milliseconds)
    for name in LISTS:
        costs = [statistics.median(taken[name, str(source)]) for source in sources]
        print(f"{name:<20}" + "".join(f"{each:9.1f} ms" for each in costs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, action="append", default=[])
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--requests", type=int, default=20)
    options = parser.parse_args()
    uvloop.run(measure([*options.source, HERE], options.items, options.requests))


if __name__ == "__main__":
    main()
