"""A NATS cluster that has no leader of JetStream yet when a gateway connects."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from event_gateway.broker import connection
from event_gateway.broker.connection import Broker
from event_gateway.core.errors import ServerRefused
from support.nats_servers import NatsCluster
from support.patience import PATIENCE


async def test_a_cluster_that_has_just_started_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(connection, "REQUEST_TIMEOUT", 1.0)
    cluster = NatsCluster(tmp_path)
    async with contextlib.AsyncExitStack() as stack:
        cluster.start_one(stack)
        broker = Broker(cluster.url)
        connecting = asyncio.create_task(broker.connect(timeout=PATIENCE))
        text = ""
        async with asyncio.timeout(PATIENCE):
            while "JetStream does not answer yet" not in text and not connecting.done():
                await asyncio.sleep(0.05)
                text += "".join(capfd.readouterr())
        assert not connecting.done()
        cluster.start_others()
        await connecting
        await broker.close()


async def test_a_cluster_without_a_majority_is_named_as_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "REQUEST_TIMEOUT", 1.0)
    cluster = NatsCluster(tmp_path)
    async with contextlib.AsyncExitStack() as stack:
        cluster.start_one(stack)
        async with asyncio.timeout(PATIENCE):
            while True:
                broker = Broker(cluster.url)
                with pytest.raises(ServerRefused) as refused:
                    await broker.connect(timeout=2.0)
                if "cannot connect" not in str(refused.value):  # else it has not started yet
                    break
        assert "has the cluster a majority of its servers?" in str(refused.value)
