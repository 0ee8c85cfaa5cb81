"""Workers of a test run, forked from a process that has imported all test modules already.

Each worker of xdist would import the gateway, its libraries and some 400 test modules, which takes
longer than to collect the tests of those modules. ``python -m support.warm_workers FD ARGUMENT …``
collects the tests of ``pytest ARGUMENT …`` once, listens on a socket, and forks a worker for each
call of :mod:`support.forked_command`, with which xdist starts its workers.
"""

import atexit
import contextlib
import ctypes
import gc
import json
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import execnet
    import pytest

TESTS = Path(__file__).parents[1]
MODULE = "support.warm_workers"


def fork_workers(config: "pytest.Config", specs: "list[execnet.XSpec]") -> None:
    """Has the workers of these specifications forked, unless their coverage is measured, of which
    imports are a part."""
    if config.getoption("cov_source", None):
        return
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    address = f"event-gateway-workers-{secrets.token_hex(8)}"
    listener.bind(f"\0{address}")
    listener.listen(64)
    arguments = [str(each) for each in config.invocation_params.args]
    with listener:
        process = subprocess.Popen(
            [sys.executable, "-m", MODULE, str(listener.fileno()), *arguments],
            pass_fds=[listener.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            env=environment(), cwd=config.invocation_params.dir,
        )  # fmt: skip
    atexit.register(_end, process)
    forked = TESTS / "support" / "forked_command.py"
    for spec in specs:
        spec.python = f"{sys.executable} -I -S {forked} {address} {MODULE}"


def environment() -> dict[str, str]:
    """The environment of the process that forks the workers. It serves all tests: the name of a
    test in whose process this run is would make it a leftover of that test."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    paths = filter(None, [str(TESTS), os.environ.get("PYTHONPATH")])
    return environ | {"PYTHONPATH": os.pathsep.join(paths)}


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()


def _run(connections: socket.socket, arguments: list[str]) -> None:
    import pytest

    from event_gateway.cli.process.forks import forked
    from support.warm_interpreter import become, connection_of

    # What is wrong with the arguments or the tests, the run itself tells. A worker imports whatever
    # is missing afterwards.
    with contextlib.suppress(Exception, SystemExit):
        pytest.main([*arguments, "-n0", "--collect-only", "-qq", "--capture=no"])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the workers
    gc.disable()  # as the head of conftest.py does in a process of its own
    gc.freeze()
    requests = connection_of(connections)
    request = forked(requests)
    if request is None:
        return
    message, streams = request
    *_, program = become(json.loads(message), streams)
    random.seed()
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    sys.argv = ["-c"]
    exec(program, main.__dict__)


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    _run(socket.socket(fileno=int(sys.argv[1])), sys.argv[2:])
