"""Runs all benchmarks.

    python -m bench [--short] [--runs 5] [--only deliver,ingest] [--out bench-results]

Each turn measures all sections one after another, each beside the floor (bench/floor.py), so that
other load on the machine affects all of them alike; figures are medians over the turns. CPU is the
time that the kernel counts for the measured process alone. Writes results.json and results.svg, and
prints a table. Compare the multiples of the floor; seconds depend on the machine.
"""

import argparse
import os
import platform
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import uvloop

from bench import deliver, failing, footprint, ingest, lowrate, matching, parts, queued
from bench.figures import Figures
from bench.picture import draw
from bench.receiver import Receiver, receiving
from bench.sizes import FULL, SHORT, Sizes

Section = Callable[[Figures, Receiver, Sizes], Awaitable[None]]

EVERY_TURN: dict[str, Section] = {
    "deliver": deliver.run,
    "ingest": ingest.run,
    "lowrate": lowrate.run,
    "parts": parts.run,
    "matching": matching.run,
    "failing": failing.run,
    "footprint": footprint.run,
}
ONCE: dict[str, Section] = {"queued": queued.run}  # sections that take minutes and hardly vary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--short", action="store_true", help="small numbers: only tests that it works"
    )
    parser.add_argument("--runs", type=int, help="turns; 5, or 1 with --short")
    parser.add_argument("--only", help=f"of {', '.join([*EVERY_TURN, *ONCE])}, with commas")
    parser.add_argument("--out", type=Path, default=Path("bench-results"))
    options = parser.parse_args()
    selected = (options.only or ",".join([*EVERY_TURN, *ONCE])).split(",")
    for name in selected:
        if name not in EVERY_TURN and name not in ONCE:
            parser.error(f"there is no section {name!r}")
    sizes = SHORT if options.short else FULL
    figures = Figures()
    began = time.monotonic()
    with receiving() as receiver:
        for turn in range(options.runs or sizes.turns):
            for name, section in (EVERY_TURN | ONCE if turn == 0 else EVERY_TURN).items():
                if name in selected:
                    print(f"turn {turn + 1}: {name}", file=sys.stderr, flush=True)
                    uvloop.run(section(figures, receiver, sizes))  # type: ignore[arg-type]
    options.out.mkdir(parents=True, exist_ok=True)
    about = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"), "python": platform.python_version(),
        "machine": platform.machine(), "cores": os.cpu_count(),
        "turns": options.runs or sizes.turns, "seconds": round(time.monotonic() - began),
        "figures": [figure.as_json() for figure in figures.all.values()],
    }  # fmt: skip
    (options.out / "results.json").write_bytes(
        msgspec.json.format(msgspec.json.encode(about)) + b"\n"
    )
    draw(figures, options.out / "results.svg")
    print(table(figures))


def table(figures: Figures) -> str:
    """The figures, a line each: median, least, most, and the multiple of the floor."""
    lines = [f"{'':44} {'median':>10} {'min':>10} {'max':>10} {'':5} {'x floor':>8}"]
    section = ""
    for figure in figures.all.values():
        if figure.section != section:
            section = figure.section
            lines += ["", section]
        times = figure.times_floor
        lines.append(
            f"  {figure.name:42} {_short(figure.median):>10} {_short(min(figure.samples)):>10} "
            f"{_short(max(figure.samples)):>10} {figure.unit:5} "
            + ("" if times is None else f"{times:8.2f}")
        )
    return "\n".join(lines)


def _short(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"


if __name__ == "__main__":
    main()
