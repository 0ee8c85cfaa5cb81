"""Measures the branch coverage of the core by the unit tests of a run, as ``.ci/run`` does.

``CORE_COVERAGE`` in the environment is the directory for the data of each process, which ``coverage
combine`` adds up. The other tests are not traced, as that would double their time.
"""

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from coverage import Coverage

DIRECTORY = "CORE_COVERAGE"


class CoreCoverage:
    """Traces the core's code from the start on: what a module does when it is imported counts."""

    def __init__(self) -> None:
        self._coverage: Coverage | None = None
        if directory := os.environ.get(DIRECTORY):
            from coverage import Coverage as Tracer

            # The project's settings would trace the programs that tests start, too.
            self._coverage = Tracer(
                data_file=f"{directory}/core", data_suffix=True, config_file=False, branch=True,
                concurrency="thread", source_pkgs=["event_gateway.core"],
            )  # fmt: skip
            self._coverage.set_option("run:disable_warnings", ["no-data-collected"])
            self._coverage.start()

    def pause(self) -> None:
        """Stops tracing, once all tests are collected."""
        if self._coverage is not None:
            self._coverage.stop()

    @contextlib.contextmanager
    def resumed(self) -> Iterator[None]:
        """Traces a test."""
        if self._coverage is None:
            yield
            return
        self._coverage.start()
        try:
            yield
        finally:
            self._coverage.stop()

    def save(self) -> None:
        """Writes what this process has found."""
        if self._coverage is not None:
            self._coverage.save()
