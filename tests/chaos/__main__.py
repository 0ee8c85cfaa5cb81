"""The long run."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).parents[1]))

from chaos.run import Plan, run


def main() -> int:
    """Runs the program; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument(
        "--rate", type=float, default=25, help="events a second, half over HTTP, half over NATS"
    )
    parser.add_argument(
        "--fan-out", type=int, choices=(1, 2, 4, 5, 10, 20), default=4, help="webhooks of an event"
    )
    parser.add_argument("--batch", type=int, default=1, help="events in a request over HTTP")
    parser.add_argument(
        "--pause", type=float, default=3, help="the most seconds between two disruptions"
    )
    parser.add_argument(
        "--losses", action="store_true", help="from time to time Redis loses its last seconds"
    )
    parser.add_argument("--only", default="", help="only actions with this text in their name")
    parser.add_argument("--nats", choices=("single", "cluster"), default="single")
    parser.add_argument(
        "--redis", choices=("single", "sentinel", "cluster", "managed"), default="single"
    )
    options = parser.parse_args()
    plan = Plan(
        options.minutes * 60, options.seed, options.rate, options.fan_out, options.batch,
        options.pause, options.losses, options.only, options.nats, options.redis,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as directory:
        report = uvloop.run(run(Path(directory), plan))
    print(report)
    return 1 if report.lost else 0


if __name__ == "__main__":
    sys.exit(main())
