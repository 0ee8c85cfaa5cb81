"""Changes of leaders that NATS does not answer."""

from pathlib import Path

import pytest
from nats.js.api import ClusterInfo, StreamConfig, StreamInfo, StreamSourceInfo, StreamState
from structlog.testing import capture_logs

from event_gateway.app.copy_watch import CopyWatch
from event_gateway.broker import leaders
from event_gateway.broker.connection import connect
from support.secured_servers import nats

LOG = "GATEWAY_EVENTS"
STILL = [StreamSourceInfo(LOG, active=60 * 10**9)]


def _seen(name: str, sources: list[StreamSourceInfo]) -> StreamInfo:
    return StreamInfo(
        StreamConfig(name=name, num_replicas=3), StreamState(0, 0, 0, 0, 0), sources=sources,
        cluster=ClusterInfo(leader="n1"),
    )  # fmt: skip


async def test_streams_do_not_wait_for_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the user may not change leaders, each request lasts until its timeout."""
    monkeypatch.setattr(leaders, "REQUEST_TIMEOUT", 0.2)
    may = 'publish: { deny: ["$JS.API.STREAM.LEADER.STEPDOWN.*"] }'
    users = f"authorization {{ users: [ {{ user: g, password: p, permissions: {{ {may} }} }} ] }}\n"
    async with nats(tmp_path, users) as port:
        broker = await connect(f"nats://g:p@127.0.0.1:{port}")
        try:
            named = ["GATEWAY_STREAM_a", "GATEWAY_STREAM_b", "GATEWAY_STREAM_c"]
            infos = {LOG: _seen(LOG, [])} | {name: _seen(name, STILL) for name in named}
            with capture_logs() as logs:
                await CopyWatch(broker).look(infos, named, change=True)
        finally:
            await broker.close()
    told = [(entry["log_level"], entry["stream"]) for entry in logs if "stream" in entry]
    assert told[:3] == [("warning", name) for name in named]
    assert sorted(told[3:]) == [("error", name) for name in named]
