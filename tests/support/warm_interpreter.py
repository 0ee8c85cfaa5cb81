"""An interpreter that has imported the gateway and forks a process for each command or module.

Importing the gateway takes two seconds of CPU and 100 MB, and the tests start it hundreds of times.
A forked process runs what ``python -m MODULE`` would, with arguments, environment, working
directory and standard streams of its own. ``python tests/support/warm_interpreter.py FD`` listens
on a socket, on which each worker of the test run connects; it forks a process for each connection,
which ends with it and takes requests:

    {"module": "event_gateway", "argv": […], "cwd": "…", "environ": {…}, "terminal": false}

with four file descriptors: standard input, output and error, and the one to which it reports the
process id, and the exit status once the process has ended, a line each. ``terminal``: the standard
input becomes the controlling terminal of a new session. It is a script, not a module: what it
imports would be seen by the tested program.
"""

import atexit
import contextlib
import ctypes
import fcntl
import gc
import importlib
import io
import json
import os
import runpy
import signal
import socket
import sys
import termios
import threading
import time
from typing import Any

PR_SET_PDEATHSIG = 1
# What commands import only when they are called.
IMPORTED_LATE = (
    "client.gateway_client", "client.live_events", "process.serve", "assistants.server",
)  # fmt: skip


def become(request: dict[str, Any], streams: list[int]) -> list[str]:
    """Sets up the forked process as a new one would be; returns its arguments."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    if request["terminal"]:
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environ"])
    time.tzset()
    paths = os.environ.get("PYTHONPATH", "")
    sys.path[:0] = [os.getcwd(), *(os.path.abspath(path) for path in paths.split(":") if path)]
    if paths:  # Python imports it at its start
        sys.modules.pop("sitecustomize", None)
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module("sitecustomize")
    return list(request["argv"])


def _run(connections: socket.socket) -> None:
    del sys.path[0]  # the folder of this script
    from event_gateway.cli.main import COMMANDS
    from event_gateway.cli.process.forks import forked

    for name in IMPORTED_LATE:
        importlib.import_module(f"event_gateway.cli.{name}")
    for place in COMMANDS.values():
        importlib.import_module(f"event_gateway.cli.commands.{place.partition('.')[0]}")
    gc.freeze()
    requests = connection_of(connections)
    request = forked(requests)
    if request is not None:
        message, streams = request
        wanted = json.loads(message)
        sys.argv[1:] = become(wanted, streams)
        assert isinstance(sys.stdout, io.TextIOWrapper)
        sys.stdout.reconfigure(line_buffering=os.isatty(1))
        try:
            runpy.run_module(wanted["module"], run_name="__main__", alter_sys=True)
        except SystemExit as end:
            _end_at_once(end.code)
            raise


def connection_of(connections: socket.socket) -> socket.socket:
    """Forks a process for each connection, for ever; in such a process, returns its connection."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for these processes
    while True:
        requests, _ = connections.accept()
        if os.fork() == 0:
            connections.close()
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            return requests
        requests.close()


def _end_at_once(code: object) -> None:
    """Ends the process without dismantling its modules: that takes as long as a short command, as
    it copies the memory that forked processes share. Returns if the process has to end as usual."""
    waited_for = [thread for thread in threading.enumerate() if not thread.daemon]
    if not isinstance(code, int | None) or len(waited_for) > 1:
        return
    atexit._run_exitfuncs()
    with contextlib.suppress(OSError):  # a closed pipe, of which Python's own end tells
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code or 0)


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    _run(socket.socket(fileno=int(sys.argv[1])))
