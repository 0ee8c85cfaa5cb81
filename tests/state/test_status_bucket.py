"""The bucket of health and alerts, and announcements, on a real NATS."""

import asyncio
import json

import pytest

from event_gateway.broker import provision, status_bucket
from event_gateway.broker.failures import LogFull
from event_gateway.broker.lifecycle_log import LifecycleLog
from event_gateway.broker.provision import STATUS, existing
from event_gateway.broker.status_bucket import MAX_VALUE, StatusBucket
from event_gateway.cli.process.serve import Running
from event_gateway.core.streams.definition import LIFECYCLE
from event_gateway.observability.announcements import Announcements
from event_gateway.tasks import Supervisor, end
from support.patience import PATIENCE


async def test_entries(gateway: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    broker = gateway.gateway.stages.adapters.broker
    bucket, other = StatusBucket(broker), StatusBucket(broker)
    seen: list[tuple[str, bytes | None, int]] = []
    watch = Supervisor().start(
        "watch", lambda: bucket.watch("alert.", lambda *change: seen.append(change))
    )
    assert await bucket.read("alert.a") is None
    first = await bucket.write("alert.a", b"1")
    assert first is not None
    assert await other.write("alert.a", b"2") is None  # a second leader
    second = await other.write("alert.a", b"2", first)
    assert second is not None
    assert await bucket.write("alert.a", b"3", first) is None
    assert not await bucket.delete("alert.a", first)
    entry = await bucket.read("alert.a")
    assert entry is not None
    assert (entry.value, entry.revision) == (b"2", second)
    assert entry.stored_at > 1.7e9
    await bucket.write("alert.b", b"")
    await bucket.write("silence.c", b"!")
    assert await bucket.write("alert.full", b"x" * MAX_VALUE) is not None
    with pytest.raises(ValueError, match=r"alert\.d: a value of"):
        await bucket.write("alert.d", b"x" * (MAX_VALUE + 1))
    monkeypatch.setattr(status_bucket, "PAGE", 2)
    assert set(await bucket.read_all("alert.")) == {"alert.a", "alert.b", "alert.full"}
    assert set(await bucket.read_all("")) == {"alert.a", "alert.b", "alert.full", "silence.c"}

    assert await bucket.delete("alert.a", second)
    assert await bucket.read("alert.a") is None
    assert set(await bucket.read_all("alert.")) == {"alert.b", "alert.full"}
    assert await bucket.write("alert.a", b"4", second) is None
    fourth = await bucket.write("alert.a", b"4")
    assert fourth is not None
    assert await bucket.delete("alert.a", fourth)
    async with asyncio.timeout(PATIENCE):
        while [change[:2] for change in seen if change[0] == "alert.a"] != [
            ("alert.a", b"1"), ("alert.a", b"2"), ("alert.a", None), ("alert.a", b"4"),
            ("alert.a", None),
        ]:  # fmt: skip
            await asyncio.sleep(0.02)
    assert not any(key.startswith("silence") for key, _, _ in seen)
    await end([watch])

    messages = (await broker.js.stream_info(STATUS)).state.messages
    await bucket.tidy()
    assert (await broker.js.stream_info(STATUS)).state.messages == messages  # it is young
    monkeypatch.setattr(status_bucket, "KEPT_MARKERS", -3600.0)
    await bucket.tidy()
    assert (await broker.js.stream_info(STATUS)).state.messages == messages - 1
    assert set(await bucket.read_all("alert.")) == {"alert.b", "alert.full"}
    assert await bucket.write("alert.a", b"5") is not None

    config = await existing(broker, STATUS)
    assert config is not None
    assert config.max_msgs == provision.MAX_STATUS_ENTRIES
    config.max_msgs = 4
    await broker.js.update_stream(config)
    with pytest.raises(LogFull):
        await bucket.write("alert.e", b"")
    revision = await bucket.read("alert.a")
    assert revision is not None
    assert await bucket.write("alert.a", b"6", revision.revision) is not None


async def test_an_announcement_is_stored_once(gateway: Running) -> None:
    broker = gateway.gateway.stages.adapters.broker
    log = LifecycleLog(broker)
    first, second = Announcements(log), Announcements(log)
    subscription = await broker.nc.subscribe("gateway.>")
    arguments = ("gateway.health.degraded", "gateway", {"reasons": []}, "health-1-degraded")
    await first.announce(*arguments, at=1_700_000_000.25)
    await second.announce(*arguments, at=1_700_000_000.25)  # within the window of NATS
    await second.announce(*arguments, at=1_700_000_000.25, perhaps_published=True)
    await second.announce(
        "gateway.health.recovered", "gateway", {}, "health-1-recovered", at=1.0,
        perhaps_published=True,
    )  # fmt: skip
    # As if more time had passed than NATS remembers ids for: the log itself is searched.
    await broker.js.publish("gateway.health.late", b"{}", headers={"Nats-Msg-Id": "late"})
    assert await log.holds("gateway.health.late", "late")
    assert not await log.holds("gateway.health.degraded", "late")
    state = (await broker.js.stream_info(LIFECYCLE, subjects_filter="gateway.>")).state
    assert state.subjects == {
        "gateway.health.degraded": 1, "gateway.health.recovered": 1, "gateway.health.late": 1,
    }  # fmt: skip
    message = await subscription.next_msg()
    assert json.loads(message.data) == {
        "specversion": "1.0", "id": "health-1-degraded", "source": "event-gateway",
        "type": "gateway.health.degraded", "subject": "gateway",
        "time": "2023-11-14T22:13:20.250Z", "datacontenttype": "application/json",
        "data": {"reasons": []},
    }  # fmt: skip
