"""The processes whose CPU bench/deliver.py measures."""

import asyncio
from pathlib import Path

from bench.deliver import Case
from bench.figures import trees
from bench.programs import program

from support.patience import PATIENCE


def _states(pids: list[int]) -> set[str]:
    """As ``T`` of a stopped process; the name before it may have spaces."""
    stats = (Path(f"/proc/{pid}/stat").read_text() for pid in pids)
    return {stat.rpartition(")")[2].split()[0] for stat in stats}


async def test_all_processes_of_a_gateway_are_measured_and_no_others() -> None:
    case = Case("gateway", fan_out=1, workers=2)
    async with program(case.kind, case.config(9999), case.workers) as running:
        pids = trees([running.pid])
        commands = [Path(f"/proc/{pid}/cmdline").read_text() for pid in pids]
        assert not [each for each in commands if "event_gateway.console" in each]
        assert len(pids) == 4  # the first one, the one that forks, and two that deliver
        async with asyncio.timeout(PATIENCE):
            with running.stopped():
                while _states(pids) != {"T"}:
                    await asyncio.sleep(0.01)
            while "T" in _states(pids):
                await asyncio.sleep(0.01)
        assert trees([running.pid]) == pids
