"""matching: what it costs to find the webhooks of an event, by how many are registered.

    python -m bench.matching REPETITIONS COUNT…

Ten webhooks match, however many are registered. Of the others four in five demand a
``data.namespace`` of their own, the rest another source, tenant, prefix, suffix or limit, and all
share eight types, by name or by wildcard. Prints the CPU microseconds of an event among so many, of
putting in and taking out one webhook, and what conditions cost that only a test of each webhook can
answer.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from bench import deliver
from bench.figures import Figures
from bench.parts import measured
from bench.receiver import Receiver
from bench.sizes import Sizes
from event_gateway.core.cloudevents.event import DataKind, Event, Received
from event_gateway.core.matching.filter import Filter
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.embedded.process import killed_with_parent
from event_gateway.routing.index import Index

TYPES = 8
MATCHING = 10
CHANGES = 200  # webhooks that are put in and taken out
TESTED = 1_000  # webhooks whose conditions are in no table

DATA = {
    "namespace": "customer", "tenant": "t-7", "path": "/orders/2026/11", "file": "scan.pdf",
    "size": 512, "items": [{"sku": f"sku-{number}", "count": number} for number in range(12)],
    "comment": "x" * 300,
}  # fmt: skip


def received() -> Received:
    """An event of one of the types, with data of 1 KB."""
    event = Event("1", "/shop", "orders.t0.created", "orders/1", data=json.dumps(DATA).encode(),
                  kind=DataKind.JSON)  # fmt: skip
    return Received(event, "GATEWAY_EVENTS", 1, 0.0)


def webhook(name: str, number: int, *filters: Filter, **more: Any) -> Webhook:
    """Its pattern is one of three kinds."""
    kind = number % TYPES
    pattern = (f"orders.t{kind}.created", f"orders.t{kind}.*", "orders.>")[number // TYPES % 3]
    return Webhook(name, "http://127.0.0.1/", (pattern,), filters=filters, **more)


def wanted(number: int) -> Webhook:
    """One that matches."""
    namespace = Filter("data.namespace", "equals", "customer")
    filters = (
        (namespace,),
        (namespace, Filter("data.size", "gt", 100)),
        (Filter("data.path", "prefix", "/orders/"),),
        (namespace, Filter("data.items[*].sku", "equals", "sku-3")),
        (namespace, Filter("data.file", "matches", r"\.(pdf|png)$")),
    )[number % 5]
    return webhook(f"wanted{number}", number * TYPES, *filters)


def unwanted(number: int) -> Webhook:
    """One that does not, for a reason of its own."""
    other = (
        Filter("source", "equals", f"/factory/{number}"),
        Filter("data.tenant", "in", [f"t-{number}-a", f"t-{number}-b"]),
        Filter("data.path", "prefix", f"/archive/{number}/"),
        Filter("data.file", "suffix", f"-{number}.csv"),
        Filter("data.size", "gt", 1_000 + number),
    )[number // 5 % 5]
    if number % 5:
        other = Filter("data.namespace", "equals", f"customer-{number}")
    return webhook(f"unwanted{number}", number, other)


def among(count: int) -> Index:
    """An index of so many webhooks."""
    index = Index()
    for number in range(MATCHING):
        index.put(wanted(number))
    for number in range(count - MATCHING):
        index.put(unwanted(number))
    assert len(index) == count
    assert len(index.match(received())) == MATCHING
    return index


def finding(index: Index) -> Callable[[], object]:
    """Finds the webhooks of an event whose data nobody has looked at."""
    event = received()

    def find() -> None:
        event.content = None
        index.match(event)

    return find


def changing(index: Index) -> dict[str, float]:
    """Wall-clock microseconds of putting in and taking out one webhook: the median, and the most.

    An event is matched after each change, as what was remembered may have to be found anew.
    """
    event, took = received(), {"put in": list[float](), "take out": list[float]()}
    change: Callable[[], object]
    for number in range(CHANGES):
        one = unwanted(10_000_000 + number)
        for name, change in (
            ("put in", lambda one=one: index.put(one)),
            ("take out", lambda one=one: index.remove(one.id)),
        ):
            began = time.perf_counter_ns()
            change()
            index.match(event)
            took[name].append((time.perf_counter_ns() - began) / 1000)
    return {
        f"{name} one, {what}": figure(values)
        for name, values in took.items()
        for what, figure in (("median", statistics.median), ("most", max))
    }


def tested(**more: Any) -> Index:
    """Webhooks that nothing but a test of each keeps away."""
    index = Index()
    for number in range(TESTED):
        given = {
            key: value.replace("N", str(number))
            if isinstance(value, str)
            else (Filter(value.field, value.operator, value.value.replace("N", str(number))),)
            for key, value in more.items()
        }
        index.put(webhook(f"w{number}", 0, *given.pop("filters", ()), **given))
    return index


def main() -> None:
    repetitions, *counts = map(int, sys.argv[1:])
    out: dict[str, float] = {}
    for count in counts:
        index = among(count)
        out[f"among {count:,}: CPU"] = measured(finding(index), repetitions)
    out |= {f"{name}, among {counts[-1]:,}": took for name, took in changing(index).items()}
    few = max(20, repetitions // 100)
    for name, made in (
        ("regular expression", tested(filters=Filter("data.file", "matches", "^N-"))),
        ("CEL expression, each its own", tested(expression='event.data.file == "N"')),
        ("CEL expression, all the same", tested(expression='event.data.file == "x"')),
    ):
        out[f"{TESTED:,} by {name}: CPU"] = measured(finding(made), few)
    print(json.dumps(out))


async def run(figures: Figures, receiver: Receiver, sizes: Sizes) -> None:
    """One turn, in a process of its own."""
    base = await deliver.floor(receiver, sizes.deliveries)
    figures.add("matching", "floor: CPU", "us", base["cpu_us"])
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.matching", str(sizes.parts), *map(str, sizes.matching),
        stdout=subprocess.PIPE, preexec_fn=killed_with_parent,
    )  # fmt: skip
    out, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError("the matching could not be measured")
    for name, each in json.loads(out).items():
        floor = base["cpu_us"] if name.endswith("CPU") else None
        figures.add("matching", name, "us", each, floor)


if __name__ == "__main__":
    main()
