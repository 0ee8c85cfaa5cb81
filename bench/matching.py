"""matching: the cost of finding the webhooks of an event, by the number of registered webhooks.

    python -m bench.matching REPETITIONS COUNT…

Ten webhooks match, however many are registered. Of the others, four in five require a
``data.namespace`` of their own, the rest another source, tenant, prefix, suffix or limit; all share
eight types, by name or by wildcard. Prints the CPU microseconds of an event among COUNT webhooks,
the time to add and to remove a webhook, and the cost of conditions that must be evaluated for each
webhook.
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
CHANGES = 200  # webhooks that are added and removed
EVALUATED = 1_000  # webhooks whose conditions are in no table

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
    """A webhook whose pattern is of one of three kinds."""
    kind = number % TYPES
    pattern = (f"orders.t{kind}.created", f"orders.t{kind}.*", "orders.>")[number // TYPES % 3]
    return Webhook(name, "http://127.0.0.1/", (pattern,), filters=filters, **more)


def matching_webhook(number: int) -> Webhook:
    """A webhook that matches the event."""
    namespace = Filter("data.namespace", "equals", "customer")
    filters = (
        (namespace,),
        (namespace, Filter("data.size", "gt", 100)),
        (Filter("data.path", "prefix", "/orders/"),),
        (namespace, Filter("data.items[*].sku", "equals", "sku-3")),
        (namespace, Filter("data.file", "matches", r"\.(pdf|png)$")),
    )[number % 5]
    return webhook(f"matching{number}", number * TYPES, *filters)


def other_webhook(number: int) -> Webhook:
    """A webhook that does not match, because of a condition of its own."""
    other = (
        Filter("source", "equals", f"/factory/{number}"),
        Filter("data.tenant", "in", [f"t-{number}-a", f"t-{number}-b"]),
        Filter("data.path", "prefix", f"/archive/{number}/"),
        Filter("data.file", "suffix", f"-{number}.csv"),
        Filter("data.size", "gt", 1_000 + number),
    )[number // 5 % 5]
    if number % 5:
        other = Filter("data.namespace", "equals", f"customer-{number}")
    return webhook(f"other{number}", number, other)


def index_of(count: int) -> Index:
    """An index of ``count`` webhooks."""
    index = Index()
    for number in range(MATCHING):
        index.put(matching_webhook(number))
    for number in range(count - MATCHING):
        index.put(other_webhook(number))
    assert len(index) == count
    assert len(index.match(received())) == MATCHING
    return index


def finding(index: Index) -> Callable[[], object]:
    """Finds the webhooks of an event whose data is not decoded yet."""
    event = received()

    def find() -> None:
        event.content = None
        index.match(event)

    return find


def changing(index: Index) -> dict[str, float]:
    """Wall-clock microseconds to add and to remove a webhook: the median and the maximum.

    They include a match after each change, which may have to rebuild what the index has cached.
    """
    event, took = received(), {"add": list[float](), "remove": list[float]()}
    change: Callable[[], object]
    for number in range(CHANGES):
        added = other_webhook(10_000_000 + number)
        for name, change in (
            ("add", lambda added=added: index.put(added)),
            ("remove", lambda added=added: index.remove(added.id)),
        ):
            began = time.perf_counter_ns()
            change()
            index.match(event)
            took[name].append((time.perf_counter_ns() - began) / 1000)
    return {
        f"{name} a webhook, {figure}": compute(values)
        for name, values in took.items()
        for figure, compute in (("median", statistics.median), ("max", max))
    }


def evaluated(**more: Any) -> Index:
    """Webhooks that must each be evaluated; ``N`` in a condition stands for the number of each."""
    index = Index()
    for number in range(EVALUATED):
        given = {key: _numbered(value, str(number)) for key, value in more.items()}
        index.put(webhook(f"w{number}", 0, *given.pop("filters", ()), **given))
    return index


def _numbered(value: Any, number: str) -> Any:
    if isinstance(value, Filter):
        return (Filter(value.field, value.operator, value.value.replace("N", number)),)
    if isinstance(value, tuple):
        return tuple({"sql": each["sql"].replace("N", number)} for each in value)
    return value.replace("N", number)


def main() -> None:
    repetitions, *counts = map(int, sys.argv[1:])
    out: dict[str, float] = {}
    for count in counts:
        index = index_of(count)
        out[f"among {count:,}: CPU"] = measured(finding(index), repetitions)
    out |= {f"{name}, among {counts[-1]:,}": took for name, took in changing(index).items()}
    few = max(20, repetitions // 100)
    for name, index in (
        ("regular expression", evaluated(filters=Filter("data.file", "matches", "^N-"))),
        ("CEL expression, each its own", evaluated(expression='event.data.file == "N"')),
        (
            "CESQL, each its own",
            evaluated(
                cloudevents_filters=({"sql": "type LIKE '%.created' and subject LIKE '%/N-'"},)
            ),
        ),
        (
            "CESQL with an equality",
            evaluated(cloudevents_filters=({"sql": "source = '/N' and subject LIKE '%/N-'"},)),
        ),
        ("CEL expression, all the same", evaluated(expression='event.data.file == "x"')),
    ):
        out[f"{EVALUATED:,} by {name}: CPU"] = measured(finding(index), few)
    print(json.dumps(out))


async def run(figures: Figures, receiver: Receiver, sizes: Sizes) -> None:
    """One turn, in a separate process."""
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
