"""Prints what was found: a line each, with what to do below it."""

import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import typer

from event_gateway.cli.client.output import has_colours, printable
from event_gateway.cli.doctor.finding import Finding, FindingStatus

_COLOURS = {
    FindingStatus.OK: "green",
    FindingStatus.WARNING: "yellow",
    FindingStatus.ERROR: "red",
    FindingStatus.SKIPPED: "bright_black",
}
_STATUS, _AREA = 9, 15  # columns


def is_well(findings: Sequence[Finding]) -> bool:
    """Whether nothing is an error."""
    return all(finding.status is not FindingStatus.ERROR for finding in findings)


def as_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """The report for a program."""
    return {
        "ok": is_well(findings),
        "counts": _counts(findings),
        "findings": [
            {"area": each.area, "status": each.status, "text": each.text, "remedy": each.remedy}
            for each in findings
        ],
    }


def as_lines(findings: Sequence[Finding]) -> Iterator[str]:
    """The report for people: in colours and as wide as the terminal, if there is one."""
    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if terminal else 100_000
    colours = has_colours(sys.stdout)
    indent = " " * (_STATUS + _AREA)
    for finding in findings:
        status = f"{finding.status:<{_STATUS}}"
        if colours:
            bold = finding.status is FindingStatus.ERROR
            status = typer.style(status, fg=_COLOURS[finding.status], bold=bold)
        first, *more = _wrapped(finding.text, width - len(indent))
        yield f"{status}{finding.area:<{_AREA}}{first}"
        for line in more:
            yield indent + line
        if finding.remedy:
            for number, line in enumerate(_wrapped(finding.remedy, width - len(indent) - 3)):
                yield f"{indent}{'-> ' if number == 0 else '   '}{line}"
    yield ""
    counts = _counts(findings)
    warnings, errors = (
        f"{counts[status]} {status}{'' if counts[status] == 1 else 's'}"
        for status in (FindingStatus.WARNING, FindingStatus.ERROR)
    )
    ok, skipped = counts[FindingStatus.OK], counts[FindingStatus.SKIPPED]
    yield f"{ok} ok, {warnings}, {errors}, {skipped} skipped"


def _counts(findings: Sequence[Finding]) -> dict[str, int]:
    found = Counter(finding.status for finding in findings)
    return {status.value: found[status] for status in FindingStatus}


def _wrapped(text: str, width: int) -> list[str]:
    lines = textwrap.wrap(printable(text), max(width, 20), break_on_hyphens=False)
    return lines or [""]
