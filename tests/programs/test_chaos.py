"""The short form of the chaos run: no accepted event is lost, whatever fails."""

import os
from pathlib import Path

from chaos.run import Plan, run


async def test_nothing_is_lost(tmp_path: Path) -> None:
    seed = int(os.environ.get("CHAOS_SEED", "20261"))
    report = await run(tmp_path, Plan(seconds=50, seed=seed, rate=15))
    print(report)
    assert not report.lost, str(report)
    assert report.accepted > 150
    assert len(report.done) >= 5
