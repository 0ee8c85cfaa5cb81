"""What ``.ci/run`` makes of the end of the tests, and how a run of the tests ends."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.environment import outer_environment
from support.leftovers import OUTLIVED
from support.patience import PATIENCE

ROOT = Path(__file__).parents[2]
# Stand for what it calls: each does nothing.
PROGRAMS = (
    "python3", "git", "curl", "redis-check-rdb", "luacheck", "prometheus", "promtool",
    "chromium-headless-shell",
)  # fmt: skip
SCRIPTS = ("scripts/lint", "scripts/audit", ".venv/bin/coverage")
README = """<!-- command: test -->
```sh
.venv/bin/pytest
```
"""


def _script(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


FAILED = Path(".pytest_cache", "v", "cache", "lastfailed")
NAMES_A_FAILED_TEST = (
    f"""mkdir -p {FAILED.parent}; echo '{{"tests/some.py::test": true}}' >{FAILED}; """
)


def _ci_run(
    directory: Path, status: int, leaves: str = NAMES_A_FAILED_TEST
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Runs it where pytest ``leaves`` something, ends with this status and then passes; also
    returns the arguments of each call of pytest."""
    (directory / ".ci").mkdir()
    shutil.copy2(ROOT / ".ci" / "run", directory / ".ci")
    (directory / "README.md").write_text(README)
    for name in PROGRAMS:
        _script(directory / "bin" / name)
    _script(directory / "bin" / "apt-get", "exit 99")
    for name in SCRIPTS:
        _script(directory / name)
    shutil.copy2(ROOT / "scripts" / "last_failed", directory / "scripts")
    _script(
        directory / ".venv/bin/python",
        f'if [ "$1" = scripts/last_failed ]; then exec {sys.executable} "$@"; fi',
    )
    _script(
        directory / ".venv/bin/pytest",
        f'echo "$*" >>calls; [ "$*" ] || {{ {leaves}exit {status}; }}',
    )
    done = subprocess.run(
        [directory / ".ci" / "run"], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        check=False, timeout=PATIENCE, env=os.environ | {
            "PATH": f"{directory / 'bin'}:{os.environ['PATH']}", "TMPDIR": str(directory),
        },
    )  # fmt: skip
    return done, (directory / "calls").read_text().splitlines()


def test_what_fails_once_and_passes_alone_is_named(tmp_path: Path) -> None:
    done, calls = _ci_run(tmp_path, 1)
    assert done.returncode == 0, done.stdout
    assert calls == ["", "-n 0 --last-failed", "-n 0 -m install"]
    assert done.stdout.splitlines()[-2].startswith("unstable: ")
    assert done.stdout.splitlines()[-1] == "tests/some.py::test"


@pytest.mark.parametrize("status", [OUTLIVED, pytest.ExitCode.INTERNAL_ERROR.value])
def test_no_second_run_makes_up_for_other_faults(tmp_path: Path, status: int) -> None:
    done, calls = _ci_run(tmp_path, status)
    assert (done.returncode, calls) == (status, [""])


def test_what_a_former_run_has_left_is_not_run_in_place_of_the_tests(tmp_path: Path) -> None:
    """The test command may fail before any test, as where pip fails."""
    former = tmp_path / FAILED
    former.parent.mkdir(parents=True)
    former.write_text('{"tests/former.py::test": true}')
    done, calls = _ci_run(tmp_path, 1, leaves="")
    assert (done.returncode, calls) == (1, [""]), done.stdout


PLUGIN = """
from pathlib import Path
from support import leftovers, order
leftovers.GRACE = 0  # for processes to end
order.TESTS = Path(__file__).parent
"""
LEAVING = """
import subprocess

def test_leaving():
    subprocess.Popen(["sleep", "300"])
    assert False
"""


def test_a_process_that_outlives_its_test_has_its_own_status(tmp_path: Path) -> None:
    """Also where a test has failed, whose status it would else have."""
    (tmp_path / "plugin.py").write_text(PLUGIN)
    test = tmp_path / "programs" / "test_leaving.py"
    test.parent.mkdir()
    test.write_text(LEAVING)
    words = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(tmp_path), "-n", "0",
             "-p", "no:cacheprovider", "-p", "conftest", "-p", "plugin"]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, str(test)], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=PATIENCE,
        env=outer_environment() | {
            "PYTHONPATH": f"{ROOT / 'tests'}:{tmp_path}", "CORE_COVERAGE": "",
        },
    )  # fmt: skip
    assert done.returncode == OUTLIVED, done.stdout
    assert "sleep 300" in done.stdout
    assert "1 failed" in done.stdout
