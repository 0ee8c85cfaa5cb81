"""The process that forks the workers of a test run."""

import os

import pytest

from support import warm_workers


def test_the_process_that_forks_workers_belongs_to_no_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a run within a test, whose own leftovers are looked for, would end with an error."""
    monkeypatch.setenv("PYTEST_CURRENT_TEST", "tests/some.py::test")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    environ = warm_workers.environment()
    assert "PYTEST_CURRENT_TEST" not in environ
    assert environ["PYTHONPATH"] == f"{warm_workers.TESTS}{os.pathsep}/elsewhere"
