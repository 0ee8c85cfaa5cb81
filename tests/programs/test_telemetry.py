"""Telemetry of the real program."""

import os
import sys
from pathlib import Path
from subprocess import run

import pytest

from support.patience import PATIENCE

# Run at the start of the interpreter: what it imports later is as if the extra were not installed.
WITHOUT_EXTRA = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.startswith(("opentelemetry.exporter", "opentelemetry.sdk", "grpc")):
            raise ModuleNotFoundError(f"No module named {name!r}")

sys.meta_path.insert(0, Missing())
"""


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_collector_without_the_packages_of_the_extra_is_one_line(
    tmp_path: Path, protocol: str
) -> None:
    config, data = tmp_path / "gateway.yaml", tmp_path / "data"
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_EXTRA)
    otlp = f"{{endpoint: 'http://127.0.0.1:9', protocol: {protocol}}}"
    config.write_text(f"telemetry:\n  otlp: {otlp}\n")
    words = ("serve", "-c", str(config), "--data-dir", str(data), "--port", "0")
    ended = run(
        [sys.executable, "-m", "event_gateway", *words], capture_output=True, text=True,
        timeout=PATIENCE, env=os.environ | {"PYTHONPATH": str(tmp_path)}, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"{config}:2: telemetry.otlp: needs the packages of the extra otel: ")
    assert not data.exists()  # nothing was started
