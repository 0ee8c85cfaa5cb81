"""Telemetry of the real program."""

from pathlib import Path

import pytest

from support.command import command

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
async def test_a_collector_without_the_packages_of_the_extra_is_one_line(
    tmp_path: Path, protocol: str
) -> None:
    config, data = tmp_path / "gateway.yaml", tmp_path / "data"
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_EXTRA)
    otlp = f"{{endpoint: 'http://127.0.0.1:9', protocol: {protocol}}}"
    config.write_text(f"telemetry:\n  otlp: {otlp}\n")
    words = ("serve", "-c", str(config), "--data-dir", str(data), "--port", "0")
    ended = await command(*words, PYTHONPATH=str(tmp_path))
    message = f"{config}:2: telemetry.otlp: needs the packages of the extra otel: "
    ended.assert_refused(2, message)
    assert not data.exists()  # nothing was started
