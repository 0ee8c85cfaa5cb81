"""The live connections of a process: whether their callers may still call."""

import asyncio
from collections import Counter

import pytest

from event_gateway.api.live import connections
from event_gateway.api.live.connections import AT_ONCE, Connections
from event_gateway.config.server_model import SubscribersModel
from event_gateway.core.access.principal import Principal
from event_gateway.tasks import end, spawn
from support.patience import PATIENCE


class _Connected:
    def __init__(self, principal: Principal) -> None:
        self.principal = principal
        self.code: int | None = None

    def refuse(self, code: int, reason: str) -> None:
        self.code = code

    async def going_away(self) -> None:
        """Nothing."""


async def test_the_connections_of_a_key_end_together_and_are_asked_about_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "ACCESS_INTERVAL", 0.05)
    good, bad = (
        Principal(name=name, method="api_key", id=name, scopes=frozenset())
        for name in ("good", "bad")
    )
    asked: Counter[str] = Counter()

    def still_valid(principal: Principal) -> bool:
        asked[principal.name] += 1
        return principal is good

    limits = SubscribersModel(max_connections=10_000)
    held = Connections(limits, still_valid, lambda limit: None)
    opened = [_Connected(bad if number % 3 else good) for number in range(3 * AT_ONCE)]
    for connection in opened:
        assert held.add(connection)
    watching = spawn(held.watch_access(), name="test")
    async with asyncio.timeout(PATIENCE):
        while any(each.code is None for each in opened if each.principal is bad):
            await asyncio.sleep(0.01)
    await end([watching])
    assert all(each.code is None for each in opened if each.principal is good)
    assert asked.total() <= len(opened) // 10  # two answers for all that are checked in one turn
