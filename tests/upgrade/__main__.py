"""A rolling upgrade under load: ``python tests/upgrade COMMIT``.

Two gateways of the version of COMMIT run on one NATS and one Redis. Two of this version start
beside them, then the former two are taken out of the balancing and end. Meanwhile events come in
over HTTP and NATS, for twenty webhooks, most of whose receivers fail at times. No publish may fail,
no delivery may be lost, and what comes twice is counted.
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from upgrade.run import Plan, run

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Runs the program; returns 1 if something was lost or refused."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commit", help="of the earlier version")
    parser.add_argument("--seconds", type=float, default=60, help="of load, in five steps")
    parser.add_argument("--rate", type=float, default=25, help="events a second")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--python", default=sys.executable, help="interpreter with its packages")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        former = Path(directory) / "former"
        former.mkdir()
        packed = subprocess.run(
            ["git", "archive", options.commit, "src"], cwd=ROOT, capture_output=True, check=True
        )
        subprocess.run(["tar", "-x", "-C", str(former)], input=packed.stdout, check=True)
        plan = Plan(options.seconds, options.rate, options.seed)
        sources = ((options.python, former / "src"), (sys.executable, ROOT / "src"))
        report = asyncio.run(run(Path(directory), sources, plan))
    print(report)
    return int(bool(report.lost or report.refused))


if __name__ == "__main__":
    sys.exit(main())
