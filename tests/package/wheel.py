"""Builds the wheel and the sdist, and installs the wheel into empty environments."""

import os
import re
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def build(tools: Path, folder: Path) -> Path:
    """Builds both into a folder, checks them with twine, and returns the wheel."""
    _run(tools / "python", "-m", "build", "--outdir", folder, ROOT)
    made = sorted(folder.glob("event_gateway-*"))
    assert len(made) == 2, made
    _run(tools / "twine", "check", "--strict", *made)
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(wheel: Path, python: str, folder: Path) -> str:
    """Installs the wheel with its newest libraries, and runs commands of it."""
    _run(python, "-m", "venv", folder)
    scripts = folder / "bin"
    _run(scripts / "python", "-m", "pip", "install", "--quiet", wheel)
    version = _run(scripts / "event-gateway", "--version").split()[-1]
    assert f"-{version}-" in wheel.name, (version, wheel.name)
    _run(scripts / "event-gateway", "check", "--config", ROOT / "examples" / "gateway.yaml",
         EVENT_GATEWAY_SECRET_SIEM_TOKEN="not-a-real-token")  # fmt: skip
    seen = _run(scripts / "event-gateway", "demo", "--for", "3s", "--no-console")
    assert "every promise was kept" in seen, seen
    size = sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())
    return f"{size / 1e6:.0f} MB, help in {_seconds(scripts / 'event-gateway', '--help'):.2f} s"


def with_pipx(tools: Path, wheel: Path) -> str:
    """``pipx run`` finds the command by the package's name."""
    seen = _run(tools / "pipx", "run", "--spec", wheel, "event-gateway", "--version")
    assert re.fullmatch(r"event-gateway \d+\.\d+\.\d+", seen.strip().splitlines()[-1]), seen
    return seen.strip().splitlines()[-1]


def bill_of_materials(tools: Path, file: Path) -> str:
    """Writes what the lock file installs, as CycloneDX."""
    _run(tools / "cyclonedx-py", "requirements", ROOT / "requirements.lock",
         "--output-reproducible", "--of", "JSON", "--output-file", file)  # fmt: skip
    return f"{file.stat().st_size} bytes"


def _seconds(*words: str | Path) -> float:
    """The least of three runs."""
    times = []
    for _ in range(3):
        began = time.monotonic()
        _run(*words)
        times.append(time.monotonic() - began)
    return min(times)


def _run(*words: str | Path, **environ: str) -> str:
    done = subprocess.run(
        [str(word) for word in words], cwd=ROOT / "build", env=os.environ | environ, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=1500,
    )  # fmt: skip
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, done.args, done.stdout)
    return done.stdout
