"""Figures: samples of a measurement over the runs, with their median."""

import contextlib
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Figure:
    """A line of the table. ``floors``: for CPU times, the floor's CPU time in the run of each
    sample, of which the figure is a multiple."""

    section: str
    name: str
    unit: str
    samples: list[float] = field(default_factory=list)
    floors: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def times_floor(self) -> float | None:
        """The median of the ratios to the floor of the same run."""
        if not self.floors:
            return None
        ratios = (sample / floor for sample, floor in zip(self.samples, self.floors, strict=True))
        return statistics.median(ratios)

    def as_json(self) -> dict[str, object]:
        """The figure for the JSON file."""
        out: dict[str, object] = {
            "section": self.section, "name": self.name, "unit": self.unit,
            "median": self.median, "min": min(self.samples), "max": max(self.samples),
            "samples": self.samples,
        }  # fmt: skip
        if self.floors:
            out["times_floor"] = self.times_floor
        return out


class Figures:
    """All figures so far, in the order of their first samples."""

    def __init__(self) -> None:
        self.all: dict[tuple[str, str], Figure] = {}

    def add(
        self, section: str, name: str, unit: str, value: float, floor: float | None = None
    ) -> None:
        """Adds a sample; ``floor`` is the floor's CPU in µs in the same run."""
        figure = self.all.setdefault((section, name), Figure(section, name, unit))
        figure.samples.append(value)
        if floor is not None:
            figure.floors.append(floor)


def quantile(values: Iterable[float], part: float) -> float:
    """The value below which a ``part`` (0 to 1) of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def cpu_seconds(pid: int) -> float:
    """CPU time of a process, all its threads, user and system, as the kernel counts it."""
    # clock_getcpuclockid(3): the id of a process' CPU clock is computed from the process id.
    return time.clock_gettime((~pid << 3) | 2)


def cpu_of_trees(pids: Sequence[int]) -> float:
    """CPU time of processes and of those that they have started: those of PostgreSQL, for example.
    Those that have ended are left out."""
    return _over_trees(pids, cpu_seconds)


def memory_of_trees(pids: Sequence[int]) -> float:
    """The resident memory of processes and of those that they have started, in bytes."""
    return _over_trees(pids, memory)


def _over_trees(pids: Sequence[int], figure: Callable[[int], float]) -> float:
    total = 0.0
    for pid in trees(pids):
        with contextlib.suppress(OSError):  # it has ended
            total += figure(pid)
    return total


def trees(pids: Sequence[int]) -> list[int]:
    """Processes, those that they have started, and so on."""
    found = list(pids)
    for pid in found:
        with contextlib.suppress(OSError):  # it has ended
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                found += map(int, children.read_text().split())
    return found


def memory(pid: int) -> int:
    """The resident memory of a process in bytes."""
    with open(f"/proc/{pid}/statm") as pages:
        return int(pages.read().split()[1]) * 4096
