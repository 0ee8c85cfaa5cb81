"""The commands of the README, in a fresh checkout."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from event_gateway.embedded.process import killed_with_parent
from event_gateway.embedded.servers import usable_port
from support.environment import outer_environment
from support.patience import PATIENCE

ROOT = Path(__file__).parents[2]


def _block(mark: str) -> str:
    match = re.search(
        rf"^<!-- {mark} -->\n```sh\n(.*?)^```$", (ROOT / "README.md").read_text(), re.DOTALL | re.M
    )
    assert match, f"the README has no block {mark}"
    return match[1]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The files of a clone: all but those that git ignores."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others",
         "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=True, text=True,
    ).stdout  # fmt: skip
    target = tmp_path / "checkout"
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    return target


def _paste(command: str, directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", "-c", command], cwd=directory, env=outer_environment(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=1200,
        preexec_fn=killed_with_parent,
    )  # fmt: skip


@pytest.mark.install
@pytest.mark.timeout(1200)
def test_the_demo(checkout: Path) -> None:
    """``.ci/run`` itself runs the other command, which tests."""
    demo = _block("command: demo").strip()
    assert "\n" not in demo
    done = _paste(f"{demo} --for 3s", checkout)
    assert done.returncode == 0, done.stdout
    assert "every promise was kept" in done.stdout


@pytest.mark.curl
def test_the_journey(tmp_path: Path) -> None:
    """The commands with other ports, so that the test can run beside a gateway."""
    (tmp_path / ".venv").symlink_to(sys.prefix)
    port, receiver = usable_port(), usable_port()
    journey = _block("journey").replace(":8080", f":{port}").replace("3000", str(receiver))
    journey = journey.replace("serve ", f"serve --port {port} ").replace("/tmp/", f"{tmp_path}/")
    with subprocess.Popen(
        ["/bin/bash", "-c", journey], cwd=tmp_path, text=True, start_new_session=True,
        preexec_fn=killed_with_parent, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        try:
            lines = ""
            while '"attempts":' not in lines:
                read = os.read(process.stdout.fileno(), 65536).decode()
                assert read, lines
                lines += read
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(PATIENCE)
    assert '"accepted":1' in lines
    assert '"type":"orders.placed"' in lines, "the receiver printed no event"
    assert '"status":"succeeded"' in lines
