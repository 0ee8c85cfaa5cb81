"""The short form of the chaos run: nothing accepted is lost, whatever happens to whom."""

import os
from pathlib import Path

from chaos.run import Plan, run


async def test_nothing_is_lost(tmp_path: Path) -> None:
    seed = int(os.environ.get("CHAOS_SEED", "20261"))
    account = await run(tmp_path, Plan(seconds=75, seed=seed, rate=20))
    print(account)
    assert not account.lost, str(account)
    assert account.accepted > 200
    assert len(account.done) >= 7
