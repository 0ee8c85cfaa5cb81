"""Which named streams stand still, by what NATS says of them."""

import time

import pytest
from nats.js.api import ClusterInfo, StreamConfig, StreamInfo, StreamSourceInfo, StreamState

from event_gateway.app.copy_watch import LONGEST, STILL, CopyWatch, StillStream
from event_gateway.broker.connection import Broker

LOG, COPY = "GATEWAY_EVENTS", "GATEWAY_STREAM_work"
NEVER = -1  # what NATS says of a source from which the leader has heard nothing yet


def seen(
    *heard: float, leader: str | None = "n1", of_log: str | None = "n1"
) -> dict[str, StreamInfo]:
    """What NATS says of the log and of a stream with a source for each of ``heard``, in seconds."""
    sources = [
        StreamSourceInfo(LOG, active=NEVER if ago == NEVER else int(ago * 1e9)) for ago in heard
    ]
    return {
        name: StreamInfo(
            StreamConfig(name=name, num_replicas=3), StreamState(0, 0, 0, 0, 0), sources=of,
            cluster=ClusterInfo(leader=server),
        )
        for name, of, server in ((LOG, None, of_log), (COPY, sources, leader))
    }  # fmt: skip


async def texts(watch: CopyWatch, infos: dict[str, StreamInfo]) -> list[str]:
    await watch.look(infos, [COPY], change=False)
    return [reason.text for reason in watch.reasons]


async def test_a_stream_that_hears_nothing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    watch = CopyWatch(Broker("nats://127.0.0.1:1"))
    assert await texts(watch, seen(0.4)) == []
    assert await texts(watch, seen(9.9)) == []
    (text,) = await texts(watch, seen(0.4, 34.2))
    assert f"{COPY} has heard nothing from {LOG} for 34 s" in text
    # Nobody could copy now.
    for infos in (seen(34, leader=None), seen(34, of_log=None), {COPY: seen(34)[COPY]}):
        assert await texts(watch, infos) == []
    # A new leader says nothing of the time before: it counts from the first look.
    assert await texts(watch, seen(NEVER)) == []
    now += 9
    assert await texts(watch, seen(NEVER)) == []
    now += 2
    (text,) = await texts(watch, seen(NEVER))
    assert "for 11 s" in text
    assert await texts(watch, seen(0.1)) == []
    assert await texts(watch, seen()) == []


def test_the_leader_of_a_stream_that_stands_still_for_days_is_changed_on_and_on() -> None:
    still = StillStream(LOG, 1000.0)
    assert still.due_at == 1000 + STILL
    still.changes = 5000  # a week of them
    assert still.due_at == 1000 + LONGEST
