"""Events that are read for an answer: what cannot be read now is an error, and not left out."""

from collections.abc import Sequence
from typing import Any, cast

import pytest

from event_gateway.broker.event_log import LogUnavailable
from event_gateway.broker.log_reader import LogReader, Undecodable
from event_gateway.core.cloudevents.event import Event, Received
from event_gateway.lookup.read_events import read_events

EVENT = Received(Event("1", "s", "t"), "GATEWAY_EVENTS", 1, 0.0)


class Answers:
    """What the log answers for any sequences."""

    def __init__(self, *results: Any) -> None:
        self._results = results

    async def read_many(self, _stream: str, _seqs: Sequence[int]) -> Sequence[Any]:
        return self._results


async def _read(*results: Any) -> list[Any]:
    return await read_events(cast(LogReader, Answers(*results)), "GATEWAY_EVENTS", [1, 2, 3])


async def test_what_is_gone_or_no_event_is_left_out() -> None:
    assert await _read(EVENT, None, Undecodable(b"{", ValueError())) == [EVENT]


async def test_what_cannot_be_read_now_is_an_error() -> None:
    with pytest.raises(LogUnavailable, match="does not respond"):
        await _read(EVENT, None, LogUnavailable("GATEWAY_EVENTS does not respond"))
