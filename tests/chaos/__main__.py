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
    """Runs it; gives the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument(
        "--rate", type=float, default=25, help="events a second, each to 4 webhooks"
    )
    parser.add_argument(
        "--losses", action="store_true", help="now and then Redis loses its last seconds"
    )
    parser.add_argument("--only", default="", help="do only what has this in its name")
    given = parser.parse_args()
    plan = Plan(given.minutes * 60, given.seed, given.rate, given.losses, given.only)
    with tempfile.TemporaryDirectory() as directory:
        account = asyncio.run(run(Path(directory), plan))
    print(account)
    return 1 if account.lost else 0


if __name__ == "__main__":
    sys.exit(main())
