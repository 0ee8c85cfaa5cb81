"""Transformations by Python functions of the operator.

They run in threads, so that a slow or endless function delays only its own webhooks:
docs/decisions/0018-transformations.md.
"""

import asyncio
import importlib
import inspect
import os
import threading
import time
from collections.abc import Callable
from importlib.metadata import entry_points
from queue import SimpleQueue
from typing import Any

import msgspec

from event_gateway.core.cloudevents.event import Event
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.transformation.definition import (
    JSON,
    MAX_OUTPUT,
    TransformationError,
    as_dict,
    is_content_type,
)
from event_gateway.request.transformations.pending_body import PendingBody

ENTRY_POINTS = "event_gateway.transformations"  # the group of entry points
TIME_LIMIT = 1.0  # seconds for one call
THREADS = 4  # for each function
CHECK_INTERVAL = 0.25  # seconds between two checks for calls over the time limit

Function = Callable[[dict[str, Any]], Any]
_encode = msgspec.json.Encoder().encode


def load_function(name: str) -> Function:
    """Imports the function with the name ``package.module:function``, or of an entry point.

    Raises InvalidDefinition.
    """
    try:
        if ":" in name:
            module, _, path = name.partition(":")
            value: Any = importlib.import_module(module)
            for part in path.split("."):
                value = getattr(value, part)
        else:
            value = next(iter(entry_points(group=ENTRY_POINTS, name=name))).load()
    except StopIteration:
        raise InvalidDefinition(
            "python",
            f"no entry point {name!r} in {ENTRY_POINTS}; a function is package.module:function",
        ) from None
    except Exception as error:  # an import can raise anything
        why = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise InvalidDefinition("python", f"{name!r} cannot be imported: {why}") from None
    if not callable(value) or inspect.iscoroutinefunction(value):
        raise InvalidDefinition("python", f"{name!r} is not a plain function")
    return value  # type: ignore[no-any-return]


class FunctionTransformation:
    """Calls a function in up to :data:`THREADS` threads of its own, started when needed."""

    def __init__(self, function: Function, content_type: str | None) -> None:
        self._function = function
        self._content_type = content_type
        self._queue: SimpleQueue[PendingBody | None] = SimpleQueue()
        self._threads = 0
        self._open: dict[PendingBody, None] = {}  # calls without a result, oldest first
        self._stuck = 0  # threads in a call over the time limit
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    def __call__(self, event: Event, received_at: float) -> PendingBody:
        """Starts to make a body. Must be called in the event loop."""
        call = PendingBody(event)
        if self._stuck >= THREADS:
            call.end(_timed_out(f"all {THREADS} threads are in calls that do not end"))
            return call
        self._loop = asyncio.get_running_loop()
        self._open[call] = None
        self._queue.put(call)
        if self._threads < min(THREADS, len(self._open) + self._stuck):
            self._threads += 1
            threading.Thread(target=self._run, name="transformation", daemon=True).start()
        if self._timer is None:
            self._timer = self._loop.call_later(CHECK_INTERVAL, self._check_time_limit)
        return call

    def close(self) -> None:
        """Ends the threads after the calls that are queued."""
        for _ in range(self._threads):
            self._queue.put(None)

    def _run(self) -> None:
        """The loop of a thread."""
        while (call := self._queue.get()) is not None:
            if call.ended:
                continue
            call.started = time.monotonic()
            result = self._call(call.event)
            assert self._loop is not None
            try:
                self._loop.call_soon_threadsafe(self._ended, call, result)
            except RuntimeError:
                return  # the event loop is closed: no caller waits any more

    def _ended(self, call: PendingBody, result: tuple[bytes, bytes] | TransformationError) -> None:
        if self._open.pop(call, ...) is ...:
            self._stuck -= 1  # it was over the time limit
        call.end(result)

    def _check_time_limit(self) -> None:
        now = time.monotonic()
        for call in list(self._open):
            if call.started and now - call.started > TIME_LIMIT:
                del self._open[call]
                self._stuck += 1
                call.end(_timed_out(f"took longer than {TIME_LIMIT:g}s"))
        if self._stuck >= THREADS:
            for call in list(self._open):
                if not call.started:
                    del self._open[call]
                    call.end(_timed_out(f"all {THREADS} threads are in calls that do not end"))
        self._timer = None
        if self._open:
            assert self._loop is not None
            self._timer = self._loop.call_later(CHECK_INTERVAL, self._check_time_limit)

    def _call(self, event: Event) -> tuple[bytes, bytes] | TransformationError:
        try:
            value = self._function(as_dict(event))
            return self._body(value)
        except TransformationError as error:
            return error
        except BaseException as error:  # the function can raise anything, SystemExit too
            return TransformationError(_describe(error))

    def _body(self, value: Any) -> tuple[bytes, bytes]:
        content_type = self._content_type
        if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str):
            content_type, value = value
            if not is_content_type(content_type):
                raise TransformationError(f"gave {content_type[:64]!r}, which is no media type")
            if not isinstance(value, (str, bytes)):
                raise TransformationError(f"gave {type(value).__name__} with a content type")
        if isinstance(value, (dict, list)):
            try:
                body, default = _encode(value), JSON
            except Exception as error:
                raise TransformationError(f"gave what is not JSON: {error}") from None
        elif isinstance(value, str):
            body, default = value.encode(), "text/plain; charset=utf-8"
        elif isinstance(value, bytes):
            body, default = value, "application/octet-stream"
        else:
            raise TransformationError(
                f"gave {type(value).__name__} in place of a dict, list, str, bytes or "
                "(content type, bytes)"
            )
        if len(body) > MAX_OUTPUT:
            raise TransformationError(f"makes more than {MAX_OUTPUT} bytes")
        return (content_type or default).encode(), body


def _timed_out(why: str) -> TransformationError:
    return TransformationError(why, final=False)


def _describe(error: BaseException) -> str:
    """An exception with the file and line that raised it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = ""
    if trace is not None:
        where = f" ({os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno})"
    return f"{type(error).__name__}: {error}{where}"
