"""The order in which the stages of a process start and stop."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from event_gateway.app.gateway import open_gateway
from event_gateway.app.stages.stages import ProcessSettings
from event_gateway.config.load import load
from event_gateway.config.model import Config
from event_gateway.delivery.due_loop import DueLoop
from event_gateway.delivery.ordered import OrderedDeliveries
from event_gateway.observability.metrics import Metrics
from event_gateway.registration.admin_key import AdminKeyFile
from event_gateway.request.transformations import compile_definition
from event_gateway.routing.router import Router
from event_gateway.secrets.private_files import PrivateFiles
from event_gateway.streaming.subscription_directory import SubscriptionDirectory
from event_gateway.tasks import Supervisor
from event_gateway.transport.egress_guard import url_rule
from support.program import LOOPBACK


def _loaded(path: Path) -> Config:
    path.write_text(yaml.safe_dump(LOOPBACK))
    return load(path, {}, transformation_rule=compile_definition, url_rule=url_rule)


@pytest.fixture
def order(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The stages in the order in which they have started or stopped."""
    called: list[str] = []

    def note(owner: type[Any], method: str) -> None:
        original = getattr(owner, method)

        def noting(self: Any, *args: Any) -> Any:
            called.append(f"{owner.__name__}.{method}")
            return original(self, *args)

        monkeypatch.setattr(owner, method, noting)

    note(SubscriptionDirectory, "start")
    note(OrderedDeliveries, "start")
    for owner in (DueLoop, Router):
        note(owner, "start")
    note(DueLoop, "stop")
    note(Router, "close")
    return called


async def test_nothing_is_attempted_before_all_that_may_fail_has_started(
    tmp_path: Path, servers: tuple[str, str], order: list[str]
) -> None:
    nats_url, redis_url = servers
    settings = ProcessSettings(
        nats_url=nats_url,
        redis_url=redis_url,
        environ={},
        sealing_key=None,
        max_attempts=16,
        max_connections=16,
        private=PrivateFiles(),
    )
    supervisor = Supervisor()
    gateway = await open_gateway(
        _loaded(tmp_path / "gateway.yaml"),
        settings,
        admin_key=AdminKeyFile(tmp_path),
        supervisor=supervisor,
        metrics=Metrics(),
    )  # fmt: skip
    try:
        await gateway.start()
        assert order == [
            "SubscriptionDirectory.start", "DueLoop.start", "OrderedDeliveries.start",
            "Router.start",
        ]  # fmt: skip
        order.clear()
    finally:
        await gateway.stop()  # without a drain, as after a task has crashed that ends the process
        await supervisor.stop()
    assert order == ["Router.close", "DueLoop.stop"]
    assert supervisor.policies == {}
