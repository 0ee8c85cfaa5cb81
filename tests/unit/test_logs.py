"""Log lines: one form for all, of a limited size, and without what must not be in a log."""

import ast
import io
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

from event_gateway.observability import log_lines
from event_gateway.observability.log_fields import COMMON, FIELDS, reference
from event_gateway.observability.logs import LogSettings, configure_logs
from support.source_code import modules_with

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "logs.md"
METHODS = ("debug", "info", "warning", "error", "exception", "critical")
log = structlog.get_logger("event_gateway.some.module")


class Terminal(io.StringIO):
    """Standard error that is a terminal."""

    def isatty(self) -> bool:
        return True


class Broken(io.StringIO):
    """Standard error that nobody reads."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


class Output:
    """What was written to standard error."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self._text = ""

    @property
    def text(self) -> str:
        """All of it."""
        self._text += self._capsys.readouterr().err
        return self._text

    def lines(self) -> list[dict[str, Any]]:
        """The lines as objects; fails if any of them is not one."""
        text = self.text
        assert text == "" or text.endswith("\n")
        return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def output(capsys: pytest.CaptureFixture[str]) -> Iterator[Output]:
    """The output of this process' log, as JSON from the level info on."""
    handlers, level = logging.getLogger().handlers, logging.getLogger().level
    configure_logs(LogSettings())
    yield Output(capsys)
    configure_logs(LogSettings())
    logging.getLogger().handlers = handlers
    logging.getLogger().setLevel(level)


def _calls() -> Iterator[tuple[str, ast.Call]]:
    for path, module in modules_with("log."):
        for node in ast.walk(module):
            if (
                isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
                and node.func.attr in METHODS and ast.unparse(node.func.value) == "log"
            ):  # fmt: skip
                yield f"{path}:{node.lineno}", node


def test_each_field_has_one_name() -> None:
    calls = list(_calls())
    assert len(calls) > 100
    given = {(place, word.arg) for place, call in calls for word in call.keywords if word.arg}
    unknown = [pair for pair in given if pair[1] not in {*FIELDS, "exc_info", "fault"}]
    assert not unknown
    used = {name for _, name in given}
    rest = {"exception", "lines_left_out", "about", "count"}  # from processors, or given as **
    rest |= {"event_id", "event_type", "source", "trace_id", "correlation_id", "run", "error"}
    assert not set(FIELDS) - used - rest
    # structlog's own name of the message, and what a processor adds
    assert not used & {"event", *COMMON}


def test_the_reference_page_is_that_of_the_code() -> None:
    assert PAGE.read_text() == reference()


def test_a_line_is_one_json_object(output: Output) -> None:
    log.warning("receiver keeps failing", webhook="w", seconds=1.5, detail="é \u2028\x85\n\ud800")
    (line,) = output.lines()
    assert list(line)[:5] == list(COMMON)
    assert (line["level"], line["message"]) == ("warning", "receiver keeps failing")
    assert (line["logger"], line["webhook"], line["seconds"]) == ("some.module", "w", 1.5)
    assert line["detail"] == "é \u2028\x85\n?"


def test_an_exception_is_one_line(output: Output) -> None:
    try:
        try:
            raise KeyError("first")
        except KeyError:
            raise ValueError("a\nb") from None
    except ValueError as error:
        log.exception("failed")
        log.error("failed", exc_info=error)
    first, second = output.lines()
    assert first["exception"] == second["exception"]
    assert first["exception"].startswith("Traceback (most recent call last):\n")
    assert first["exception"].endswith("ValueError: a\nb")
    assert "first" not in first["exception"]


def test_a_fault_shows_where_and_nothing_of_the_data(output: Output) -> None:
    def fails() -> None:
        try:
            int("canary-payload")
        except ValueError as error:
            raise KeyError("canary-payload") from error

    try:
        fails()
    except KeyError as error:
        error.add_note("canary-payload")
        log.error("failed", fault=error)
    (line,) = output.lines()
    assert "canary-payload" not in json.dumps(line).replace(
        'int(\\"canary-payload\\")', ""
    ).replace('KeyError(\\"canary-payload\\")', "").replace('add_note(\\"canary-payload\\")', "")
    assert line["exception"].endswith("KeyError")
    assert "ValueError\n" in line["exception"]
    assert "in fails" in line["exception"]


def _deep(depth: int) -> None:
    if depth:
        _deep(depth - 1)
    raise ValueError("x" * 100_000)


def test_a_line_has_a_limit(output: Output) -> None:
    class Silent:
        def __str__(self) -> str:
            raise ValueError("no text")

    values = {f"k{number}": "v" * 10_000 for number in range(1000)}
    log.warning("m" * 10_000, text="x" * 10_000_000, list=list(range(10_000)), map=values,
                deep=[[[["x" * 100] * 100] * 100] * 100], odd=Silent())  # fmt: skip
    try:
        _deep(500)
    except ValueError as error:
        log.error("failed", exc_info=error)
    logging.getLogger("uvicorn.error").error("%s", "y" * 1_000_000)
    lines = output.text.splitlines()
    assert [len(line) < 16_000 for line in lines] == [True] * 3
    assert output.lines()[0]["odd"] == "Silent"


def test_many_lines_of_one_kind_have_a_limit(
    output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(log_lines, "time", SimpleNamespace(monotonic=lambda: now[0]))
    for number in range(1000):
        log.info("attempt failed", webhook="w", attempt=number)
        log.info("attempt failed", webhook=f"w{number}")
    assert len(output.lines()) == log_lines.MAX_LINES
    of_w = [line for line in output.lines() if line["webhook"] == "w"]
    assert len(of_w) == log_lines.MAX_ALIKE_INFO
    now[0] += 1.0
    log.info("attempt failed", webhook="w")
    log.info("attempt failed", webhook="w")
    assert output.lines()[-2]["lines_left_out"] > 0
    assert "lines_left_out" not in output.lines()[-1]
    told = sum(line.get("lines_left_out", 0) for line in output.lines())
    assert told == 2000 - log_lines.MAX_LINES
    now[0] += 1.0
    for _ in range(log_lines.MAX_ALIKE_INFO + 1):  # each tells of one that was not made at all
        log.info("attempt failed", webhook="w", lines_left_out=1)
    now[0] += 1.0
    log.info("attempt failed", webhook="w")
    assert output.lines()[-1]["lines_left_out"] == 2
    now[0] += 1.0
    before = len(output.lines())
    for number in range(1000):
        log.warning("delivery became a dead letter", webhook="w", attempts=number)
    assert len(output.lines()) == before + log_lines.MAX_ALIKE


def test_libraries_log_in_the_same_form(output: Output) -> None:
    try:
        raise ValueError("a\nb")
    except ValueError:
        logging.getLogger("uvicorn.error").exception("Exception in %s", "ASGI")
    logging.getLogger("nats.aio.client").warning("slow\nconsumer")
    logging.getLogger("redis").info("not at this level")
    first, second = output.lines()
    assert list(first)[:5] == list(COMMON)
    assert (first["message"], first["logger"]) == ("Exception in ASGI", "uvicorn.error")
    assert first["exception"].endswith("ValueError: a\nb")
    assert (second["message"], second["level"]) == ("slow\nconsumer", "warning")


def test_level_and_format_change_while_it_runs(output: Output) -> None:
    log.debug("not yet")
    configure_logs(LogSettings("debug", "console"))
    log.debug("text for people", webhook="w")
    configure_logs(LogSettings("error", "json"))
    log.warning("no more")
    log.error("an object")
    logging.getLogger("nats").warning("no more")
    text, obj = output.text.splitlines()
    assert "text for people" in text
    assert "webhook" in text
    assert json.loads(obj)["message"] == "an object"


def test_text_for_people_cannot_be_forged(monkeypatch: pytest.MonkeyPatch, output: Output) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.delenv("NO_COLOR", raising=False)
    configure_logs(LogSettings())
    log.warning("input rejected", subject="a\n2026-01-01 [info] all is well\x1b[2J")
    assert len(screen.getvalue().splitlines()) == 1
    assert "\x1b[2J" not in screen.getvalue()
    assert "\x1b[" in screen.getvalue()  # colours of our own
    monkeypatch.setenv("NO_COLOR", "1")
    configure_logs(LogSettings())
    log.warning("plain")
    assert "\x1b[" not in screen.getvalue().splitlines()[-1]


def test_a_log_that_cannot_be_written_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, output: Output
) -> None:
    monkeypatch.setattr(sys, "stderr", Broken())
    log.warning("nobody reads this")
    sys.stderr.close()
    log.warning("nor this")
