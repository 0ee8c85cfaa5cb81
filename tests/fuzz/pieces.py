"""Bytes of a protocol, put together from pieces that it knows and others, and cut anywhere."""

import asyncio
import atexit
import functools
import json
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from typing import Any

from hypothesis import strategies as st

from event_gateway.core.cloudevents.event import DataKind, Event
from event_gateway.core.text.json_text import read_json


def bytes_of(known: Sequence[bytes], max_size: int = 24) -> st.SearchStrategy[bytes]:
    """Bytes that consist of some of the known pieces, and of a few arbitrary bytes."""
    piece = st.sampled_from(known) | st.sampled_from(known) | st.binary(max_size=6)
    return st.lists(piece, max_size=max_size).map(b"".join)


cuts = st.lists(st.integers(0, 400), max_size=6)


def cut(data: bytes, at: Iterable[int]) -> Iterator[bytes]:
    """The data in parts, which begin at the given positions."""
    begin = 0
    for end in sorted(position % (len(data) + 1) for position in at):
        if end > begin:
            yield data[begin:end]
            begin = end
    if begin < len(data):
        yield data[begin:]


def encoded(value: Any) -> bytes:
    """The value in JSON; a half of a character is not UTF-8, as somebody may send it."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def event_with(data: bytes, **members: Any) -> Event:
    """An event with these data, of the kind that the gateway would take them for."""
    kind = DataKind.JSON
    try:
        read_json(data)
    except Exception:
        kind = DataKind.TEXT
        try:
            data.decode()
        except UnicodeDecodeError:
            kind = DataKind.BINARY
    return Event("1", members.pop("source", "s"), "a.b", data=data, kind=kind, **members)


def complete(coroutine: Coroutine[Any, Any, None]) -> None:
    """Runs a coroutine in an event loop that all examples share: a loop takes longer than they."""
    _runner().run(coroutine)


@functools.cache
def _runner() -> asyncio.Runner:
    runner = asyncio.Runner()
    atexit.register(runner.close)
    return runner
