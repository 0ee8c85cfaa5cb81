"""The short form of the chaos run: nothing accepted is lost, whoever is killed whenever."""

import os
from pathlib import Path

import chaos


async def test_nothing_is_lost(tmp_path: Path) -> None:
    seed = int(os.environ.get("CHAOS_SEED", "20261"))
    outcome = await chaos.run(tmp_path, seconds=15, seed=seed)
    print(outcome)
    assert not any(outcome.lost.values()), str(outcome)
    assert outcome.accepted > 100
    assert set(outcome.kills) == set(chaos.VICTIMS)
