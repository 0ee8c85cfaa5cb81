"""Runs a benchmark whose programs are forked from the warm interpreter of the test run.

``python -m support.warm_bench -m bench …`` or ``python -m support.warm_bench bench/tracking.py …``
takes the place of the same call of Python without ``support.warm_bench``. A gateway, and a program
of the benchmark beside it, take one to two seconds of processor time less to start.
"""

import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

from support.gateway_process import GatewayProcess

PYTHON = [sys.executable, "-m"]


class Popen(subprocess.Popen[Any]):
    """Starts a program, or forks one that is a module of Python and writes to a file."""

    def __new__(cls, args: list[str], **settings: Any) -> Any:
        if args[:2] != PYTHON or not hasattr(settings.get("stdout"), "fileno"):
            return super().__new__(cls)
        module, *words = args[2:]
        with Path(os.devnull).open() as nothing:
            streams = (
                nothing.fileno(), settings["stdout"].fileno(), settings["stderr"].fileno()
            )  # fmt: skip
            environ = dict(settings.get("env") or os.environ)
            if "serve" in words:  # a console, which is not measured, would be another interpreter
                words.append("--no-console")
            return GatewayProcess(words, streams, environ=environ, module=module)


def main() -> None:
    subprocess.Popen = Popen  # type: ignore[misc, assignment]
    if sys.argv[1] == "-m":
        del sys.argv[:2]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        del sys.argv[0]
        sys.path.insert(0, str(Path(sys.argv[0]).parent))
        runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
