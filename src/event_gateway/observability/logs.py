"""The log: one line for each thing on standard error, as JSON or as text for people.

The lines of the gateway come through structlog, those of libraries (uvicorn, nats, redis, asyncio)
and of Python itself through :mod:`logging`; all have the same form.
"""

import contextlib
import json
import logging
import os
import sys
import threading
import types
from dataclasses import dataclass
from typing import Any

import structlog
from structlog.dev import ConsoleRenderer, plain_traceback
from structlog.typing import Processor

from event_gateway.observability.log_lines import LineLimit, bounded, printable, with_exception

PACKAGE = "event_gateway."
# Some readers take these for the end of a line.
_LINE_ENDS = {ord(end): f"\\u{ord(end):04x}" for end in "\x85\u2028\u2029"}


@dataclass(frozen=True, slots=True)
class LogSettings:
    """``level``: debug, info, warning or error. ``format``: json, console, or auto (console if
    standard error is a terminal, else json)."""

    level: str = "info"
    format: str = "auto"


def configure_logs(settings: LogSettings) -> None:
    """Sets up the log of this process, or changes it while the process runs."""
    level = getattr(logging, settings.level.upper())
    chain = _chain(settings.format)
    structlog.configure(
        processors=chain,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_Output,
        # A cached logger would keep the former level and format. Nothing is logged for an event or
        # a delivery that goes well, so the cost does not matter.
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers = [_Handler(chain)]
    # Libraries log what they send and receive at lower levels.
    root.setLevel(max(level, logging.WARNING))


def log_uncaught() -> None:
    """From now on, exceptions that nobody catches and Python's warnings are log lines, too."""
    logging.captureWarnings(True)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread
    sys.unraisablehook = _unraisable


def _chain(form: str) -> list[Processor]:
    terminal = sys.stderr.isatty()
    common: list[Processor] = [
        LineLimit(), structlog.processors.add_log_level, _module, with_exception, bounded,
    ]  # fmt: skip
    if form == "console" or (form == "auto" and terminal):
        return [
            *common,
            printable,
            structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S", utc=True),
            ConsoleRenderer(
                colors=terminal and "NO_COLOR" not in os.environ,
                exception_formatter=plain_traceback,
                sort_keys=False,
            ),
        ]
    return [*common, structlog.processors.TimeStamper(fmt="iso", utc=True), _as_json]


_encode = json.JSONEncoder(ensure_ascii=False).encode  # json.dumps would make one for each line


class _Output:
    """Writes the lines of one module; the name is the module's."""

    def __init__(self, name: str = "") -> None:
        self.name = name

    def msg(self, line: str) -> None:
        """Writes a line. A log that cannot be written stops nothing."""
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(line + "\n")
            sys.stderr.flush()

    debug = info = warning = error = critical = exception = msg


class _Handler(logging.Handler):
    """Gives the records of :mod:`logging` the same form."""

    def __init__(self, chain: list[Processor]) -> None:
        super().__init__()
        self._chain = chain

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line: Any = {"event": record.getMessage(), "exc_info": record.exc_info}
            output = _Output(record.name)
            for process in self._chain:
                line = process(output, record.levelname.lower(), line)
            output.msg(line)
        except structlog.DropEvent:
            pass
        except Exception:  # a line that cannot be made must not stop the code that logs it
            self.handleError(record)


def _module(logger: Any, _method: str, fields: Any) -> Any:
    fields["logger"] = logger.name.removeprefix(PACKAGE)
    return fields


def _as_json(_logger: Any, _method: str, fields: Any) -> str:
    line = {
        "timestamp": fields.pop("timestamp"),
        "level": fields.pop("level"),
        # structlog calls it "event", which means something else in a gateway of events.
        "message": fields.pop("event"),
        "logger": fields.pop("logger"),
        "process": os.getpid(),
        **fields,
    }
    text = _encode(line)
    return text if text.isascii() else text.translate(_LINE_ENDS)


def _uncaught(
    kind: type[BaseException], error: BaseException, trace: types.TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        structlog.get_logger(__name__).critical("the process ends by an exception", exc_info=error)


def _uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
        structlog.get_logger(__name__).error(
            "a thread ended by an exception",
            task=args.thread.name if args.thread else "",
            exc_info=args.exc_value,
        )


def _unraisable(args: "sys.UnraisableHookArgs") -> None:
    structlog.get_logger(__name__).error(
        "an exception could not be raised", exc_info=args.exc_value
    )
