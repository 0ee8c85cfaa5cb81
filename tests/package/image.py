"""Carries out the Dockerfile without a container engine, and runs what it makes as an engine would.

Each stage is a layer over this machine's files (overlayfs) in a mount namespace: the ``RUN``
commands run in it unchanged. The result runs read-only, as the image's user, as process 1 of its
own process and network namespaces. Needs root. What it cannot show: that the base image has all
that this machine has.
"""

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from compatibility.versions import pythons
from package.dockerfile import Stage, stages, variables

ROOT = Path(__file__).resolve().parents[2]
_INSIDE = "EVENT_GATEWAY_IMAGE_INSIDE"


def missing() -> str:
    """Why it cannot run here; empty if it can."""
    if os.geteuid() != 0 or sys.platform != "linux":
        return "needs root on Linux"
    absent = [name for name in ("unshare", "nsenter", "setpriv") if not shutil.which(name)]
    return f"there is no {', '.join(absent)}" if absent else ""


def check() -> str:
    """Builds and runs; returns what was seen. Raises CalledProcessError with the output."""
    with tempfile.TemporaryFile("w+") as output:  # no pipe, which what is left would hold open
        done = subprocess.run(
            ["unshare", "--mount", sys.executable, "-m", "package.image"],
            env=os.environ | {"PYTHONPATH": str(ROOT / "tests"), _INSIDE: "yes"}, cwd=ROOT,
            stdout=output, stderr=subprocess.STDOUT, check=False, timeout=3000,
        )  # fmt: skip
        output.seek(0)
        text = output.read()
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, done.args, text)
    return text.strip().splitlines()[-1]


class Layer:
    """The files of a stage: those of this machine, and what the stage's commands change."""

    def __init__(self, folder: Path) -> None:
        self.changes, self.root = folder / "changes", folder / "root"
        work = folder / "work"
        for path in (self.changes, self.root, work):
            path.mkdir(parents=True)
        options = f"lowerdir=/,upperdir={self.changes},workdir={work}"
        _run("mount", "-t", "overlay", "overlay", "-o", options, str(self.root))
        for kept in ("proc", "dev"):
            _run("mount", "--rbind", f"/{kept}", str(self.root / kept))
        # An interpreter in root's home: everybody may pass through, in this layer.
        (self.root / "root").chmod(0o711)
        self.environment = _outer_environment()
        self.folder = "/"

    def carry_out(self, stage: Stage, others: dict[str, "Layer"]) -> None:
        """Carries out a stage's instructions. Raises CalledProcessError if a command fails."""
        for name, argument in stage.instructions:
            if name == "ENV":
                self.environment |= variables(argument, self.environment)
            elif name == "WORKDIR":
                self.folder = argument
                (self.root / argument.lstrip("/")).mkdir(parents=True, exist_ok=True)
            elif name == "COPY":
                self._copy(shlex.split(argument), others)
            elif name == "RUN":
                command = f"cd {self.folder} && {argument}"
                _run("chroot", str(self.root), "/bin/sh", "-c", command, env=self.environment)

    def _copy(self, words: list[str], others: dict[str, "Layer"]) -> None:
        source, *words = words if words[0].startswith("--from=") else ["", *words]
        base = others[source.removeprefix("--from=")].root if source else ROOT
        *names, target = words
        at = self.root / os.path.join(self.folder, target).lstrip("/")
        for name in names:
            found = base / name.lstrip("/")
            if found.is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(found, at, symlinks=True, dirs_exist_ok=True, ignore=ignored)
            else:
                at.mkdir(parents=True, exist_ok=True)
                shutil.copy2(found, at)


def _outer_environment() -> dict[str, str]:
    """Nothing of this machine's but where pip finds packages, and a search path with python3."""
    pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    wanted = re.search(r"^ARG PYTHON=(.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    found = pythons().get(wanted[1]) if wanted else None
    python = subprocess.run(
        [found or sys.executable, "-c", "import sys; print(sys.base_prefix)"],
        capture_output=True, text=True, check=False,
    ).stdout.strip() or sys.base_prefix  # fmt: skip
    return pip | {"PATH": f"{python}/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"}


def _run(*command: str, env: dict[str, str] | None = None) -> None:
    subprocess.run(command, env=env, check=True)


def _container(layer: Layer, stage: Stage) -> str:
    """Runs the image until it is healthy, and stops it. Returns what was seen."""
    user = stage.last("USER").partition(":")[0]
    _run("mount", "-o", "remount,ro", str(layer.root))
    data = layer.root.parent / "data"
    data.mkdir(mode=0o700)
    os.chown(data, int(user), int(user))
    _run("mount", "--bind", str(data), str(layer.root / "data"))
    as_user = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups",
               "--no-new-privs", "--bounding-set=-all"]  # fmt: skip
    began = time.monotonic()
    outer = subprocess.Popen(
        ["unshare", "--net", "--pid", "--fork", "sh", "-c",
         f"mount -t proc proc {layer.root}/proc; ip link set lo up; "
         f"exec chroot {layer.root} {shlex.join([*as_user, *stage.command()])}"],
        env=layer.environment | {"HOME": "/"},
    )  # fmt: skip
    pid = _child(outer.pid)
    try:
        inside = ["nsenter", f"--target={pid}", "--net", "--pid", "chroot", str(layer.root),
                  *as_user]  # fmt: skip
        while subprocess.run(
            [*inside, *stage.health_check()], env=layer.environment, check=False,
            stderr=subprocess.DEVNULL,
        ).returncode:  # fmt: skip
            assert outer.poll() is None, f"the gateway ended with {outer.returncode}"
            assert time.monotonic() - began < 300, "the gateway was not healthy within 300 s"
            time.sleep(0.2)
        healthy = time.monotonic() - began
        _run(*inside, "event-gateway", "webhooks", "list", env=layer.environment)
        owners = {path.stat().st_uid for path in data.iterdir()}
        assert owners == {int(user)}, owners
        os.kill(pid, signal.SIGTERM)
        assert outer.wait(35) == 0, f"the gateway ended with {outer.returncode}"
    finally:
        # With its process 1 all of the namespace ends. --kill-child does not hold: the change of
        # the user has cleared it.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        outer.wait()
    return f"healthy after {healthy:.1f} s as user {user} on read-only files, ended by SIGTERM"


def _child(parent: int) -> int:
    """The process that unshare has forked."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        if children:
            return int(children[0])
        time.sleep(0.01)
    raise TimeoutError("unshare has started nothing")


def _inside() -> None:
    folder = ROOT / "build" / "image"
    folder.mkdir(parents=True, exist_ok=True)
    _run("mount", "--make-rprivate", "/")
    _run("mount", "-t", "tmpfs", "tmpfs", str(folder))
    layers: dict[str, Layer] = {}
    made = stages(ROOT / "Dockerfile")
    for stage in made:
        layers[stage.name] = layer = Layer(folder / (stage.name or "image"))
        layer.carry_out(stage, layers)
    size = sum(
        path.lstat().st_size for path in layer.changes.rglob("*") if not path.is_dir()
    )  # fmt: skip
    seen = _container(layer, made[-1])
    (python,) = layer.changes.glob("opt/event-gateway/lib/python3*")
    print(f"{python.name}, {size / 1e6:.0f} MB over the base image, {seen}")


if __name__ == "__main__" and _INSIDE in os.environ:
    _inside()
