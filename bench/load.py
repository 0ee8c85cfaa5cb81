"""Publishes events of 1 KB, as fast as the log accepts them or at an even rate."""

import asyncio
import multiprocessing
import time
from collections.abc import Callable, Sequence

import nats
import uvloop

from bench.programs import STREAM
from bench.receiver import WIDTH
from event_gateway.embedded.process import killed_with_parent

SIZE = 1024  # bytes of an event in the JSON format


def event_id(number: int) -> str:
    """The id of the event with a number."""
    return f"{number:08d}-0000-4000-8000-000000000000"


def event(
    number: int, event_type: str, sent: int = 0, size: int = SIZE, subjects: int = 0
) -> bytes:
    """An event of ``size`` bytes; ``sent`` is when it was due, in ns of CLOCK_MONOTONIC.
    ``subjects``: how many events in turn have a subject each of its own (0: none has one)."""
    subject = f'"subject":"order/{number % subjects}",' if subjects else ""
    head = (
        f'{{"specversion":"1.0","id":"{event_id(number)}",'
        f'"source":"/bench","type":"{event_type}",{subject}"time":"2026-01-01T00:00:00Z",'
        f'"datacontenttype":"application/json","data":{{"namespace":"n{number % 10}",'
        f'"sent":"{sent:0{WIDTH}d}","text":"'
    )
    return f'{head}{"x" * (size - len(head) - 3)}"}}}}'.encode()


async def _fill(url: str, types: Sequence[str], first: int, count: int, subjects: int) -> None:
    bus = await nats.connect(url, pending_size=64 * 1024 * 1024)
    js = bus.jetstream()
    before = (await js.stream_info(STREAM)).state.last_seq
    for number in range(first, first + count):
        event_type = types[number % len(types)]
        made = event(number, event_type, time.monotonic_ns(), subjects=subjects)
        await bus.publish(event_type, made)
        if number % 1000 == 999:
            await bus.flush()
    await bus.flush()
    while (await js.stream_info(STREAM)).state.last_seq < before + count:
        await asyncio.sleep(0.01)
    await bus.close()


async def _pace(
    url: str, types: Sequence[str], first: int, rate: float, seconds: float, size: int
) -> None:
    """Each event has a due time, from which its latency counts also if it is published late."""
    bus = await nats.connect(url)
    began, number, total = time.monotonic_ns(), 0, int(rate * seconds)
    while number < total:
        due = min(total, int((time.monotonic_ns() - began) / 1e9 * rate) + 1)
        for number in range(number, due):  # noqa: B020 - continues with the next number
            due_at = began + int(number / rate * 1e9)
            event_type = types[(first + number) % len(types)]
            await bus.publish(event_type, event(first + number, event_type, due_at, size))
        number = due
        await asyncio.sleep(0.001)
    await bus.flush()
    await bus.close()


async def _in_process(target: Callable[..., object], *arguments: object) -> None:
    """Runs a function in a separate process and waits for it."""
    process = multiprocessing.Process(target=target, args=arguments, daemon=True)
    process.start()
    while process.is_alive():
        await asyncio.sleep(0.01)
    process.join()
    if process.exitcode:
        raise RuntimeError("the load could not be published")


def _run_fill(*arguments: object) -> None:
    killed_with_parent()
    uvloop.run(_fill(*arguments))  # type: ignore[arg-type]


def _run_pace(*arguments: object) -> None:
    killed_with_parent()
    uvloop.run(_pace(*arguments))  # type: ignore[arg-type]


async def fill(url: str, types: Sequence[str], first: int, count: int, subjects: int = 0) -> None:
    """Publishes ``count`` events, numbered from ``first``; returns once the log has them.
    ``subjects`` is as for :func:`event`."""
    await _in_process(_run_fill, url, types, first, count, subjects)


async def pace(
    url: str, types: Sequence[str], first: int, rate: float, seconds: float, size: int = SIZE
) -> None:
    """Publishes ``rate`` events of ``size`` bytes a second, for ``seconds``."""
    await _in_process(_run_pace, url, types, first, rate, seconds, size)
