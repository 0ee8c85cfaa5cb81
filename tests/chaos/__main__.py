"""The long run."""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from chaos.run import Plan, run


def main() -> int:
    """Runs the program; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument(
        "--rate", type=float, default=25, help="events a second, each to 4 webhooks"
    )
    parser.add_argument(
        "--losses", action="store_true", help="from time to time Redis loses its last seconds"
    )
    parser.add_argument("--only", default="", help="only actions with this text in their name")
    parser.add_argument("--nats", choices=("single", "cluster"), default="single")
    parser.add_argument("--redis", choices=("single", "sentinel", "cluster"), default="single")
    options = parser.parse_args()
    plan = Plan(
        options.minutes * 60, options.seed, options.rate, options.losses, options.only,
        options.nats, options.redis,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as directory:
        report = asyncio.run(run(Path(directory), plan))
    print(report)
    return 1 if report.lost else 0


if __name__ == "__main__":
    sys.exit(main())
