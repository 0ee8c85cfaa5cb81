"""Draws the figures: throughput, CPU and latency of each program in one SVG."""

import math
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Drawing

from bench.figures import Figure, Figures

SECTION = "deliver"
QUANTILES = ("p50", "p95", "p99", "p99.9")
BAR = "#4878a8"
SHADES = ("#bcd2e8", "#7fa8d0", "#4878a8", "#1f3f63")  # of the quantiles
# The same figures give the same file: no random names, no date, and text as text, whatever fonts
# the machine has.
SETTINGS: dict[Any, object] = {"svg.hashsalt": "bench", "svg.fonttype": "none", "font.size": 9}


def draw(figures: Figures, path: Path) -> None:
    """Writes the SVG. Programs and figures that were not measured are left out."""
    with mpl.rc_context(SETTINGS):
        drawing = Drawing(figsize=(9, 8.5), layout="constrained")
        FigureCanvasSVG(drawing)
        throughput, cpu, latency = drawing.subplots(3, 1, height_ratios=(2, 2, 4))
        rates = _of(figures, "rate")
        _bars(throughput, {name: figure.median for name, figure in rates.items()}, "{:,.0f}")
        throughput.set_title("Deliveries per second")
        multiples = {
            name: figure.times_floor
            for name, figure in _of(figures, "CPU").items()
            if figure.times_floor is not None
        }
        _bars(cpu, multiples, "{:.1f}")
        cpu.set_title("CPU of a delivery, in multiples of the floor")
        _latencies(latency, {quantile: _of(figures, quantile) for quantile in QUANTILES})
        drawing.savefig(path, format="svg", metadata={"Date": None})


def _of(figures: Figures, what: str) -> dict[str, Figure]:
    """A figure of each program, without the floor."""
    return {
        figure.name.removesuffix(f": {what}"): figure
        for figure in figures.all.values()
        if figure.section == SECTION
        and figure.name.endswith(f": {what}")
        and figure.name[:5] != "floor"
    }


def _bars(axes: Axes, values: dict[str, float], form: str) -> None:
    if not values:
        return
    bars = axes.barh(list(values), list(values.values()), color=BAR)
    axes.bar_label(bars, [form.format(value) for value in values.values()], padding=3)
    axes.margins(x=0.1)
    axes.invert_yaxis()  # the first bar on top


def _latencies(axes: Axes, quantiles: dict[str, dict[str, Figure]]) -> None:
    programs = list(quantiles[QUANTILES[0]])
    axes.set_title("Milliseconds from publishing to the receiver, at half of that throughput")
    if not programs:
        return
    height = 0.8 / len(QUANTILES)
    for row, (quantile, of_programs) in enumerate(quantiles.items()):
        positions = [program - 0.4 + height * (row + 0.5) for program in range(len(programs))]
        values = [of_programs[name].median for name in programs]
        bars = axes.barh(positions, values, height, color=SHADES[row], label=quantile)
        axes.bar_label(bars, [f"{value:.3g}" for value in values], padding=3, fontsize=7)
    axes.set_yticks(range(len(programs)), programs)
    axes.set_xscale("log")
    medians = [
        figure.median for of_programs in quantiles.values() for figure in of_programs.values()
    ]
    # Starts at a whole decade, because a bar on a logarithmic axis has no natural beginning.
    axes.set_xlim(10 ** math.floor(math.log10(min(medians) * 0.9)), max(medians) * 1.5)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
    axes.invert_yaxis()
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=len(QUANTILES))
