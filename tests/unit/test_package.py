"""What the wheel and the sdist contain, and that the places which name the version agree."""

import re
import subprocess
import tomllib
from pathlib import Path

import yaml
from hatchling.builders.plugin.interface import BuilderInterface
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
VERSION = str(PROJECT["version"])


def _kept_files() -> set[str]:
    """The files of the repository that exist, new ones included, without those that git ignores."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others",
         "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=True, text=True,
    ).stdout  # fmt: skip
    return {name for name in listed.split("\0") if name and (ROOT / name).exists()}


def _packed(builder: type[BuilderInterface]) -> set[str]:  # type: ignore[type-arg]
    files = builder(str(ROOT)).recurse_included_files()
    return {str(Path(file.path).relative_to(ROOT)) for file in files}


def test_the_wheel_has_the_package_and_nothing_else() -> None:
    wheel = _packed(WheelBuilder)
    assert wheel == {name for name in _kept_files() if name.startswith("src/event_gateway/")}
    for kind in (".py", ".lua", ".html", ".css", ".js", ".svg", ".yaml", "py.typed"):
        assert any(name.endswith(kind) for name in wheel), kind


def test_the_sdist_has_all_that_builds_tests_and_deploys() -> None:
    not_needed = {".gitignore", ".pre-commit-config.yaml"}
    kept = {name for name in _kept_files() if not name.startswith(".github/")} - not_needed
    assert _packed(SdistBuilder) - not_needed == kept


def test_each_licence_file_is_packed() -> None:
    listed = {
        str(path.relative_to(ROOT))
        for pattern in PROJECT["license-files"]
        for path in ROOT.glob(pattern)
    }
    found = {
        name
        for name in _kept_files()
        if re.search(r"LICENSE|NOTICE", name) and not name.startswith("tests/")
    }
    assert listed == found


def test_the_places_that_name_the_version_agree() -> None:
    chart = yaml.safe_load((ROOT / "deploy/helm/event-gateway/Chart.yaml").read_text())
    assert chart["appVersion"] == VERSION
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    for service in ("gateway", "receiver"):
        assert compose["services"][service]["image"] == f"event-gateway:{VERSION}"
    changes = (ROOT / "CHANGELOG.md").read_text()
    assert re.search(rf"^## {re.escape(VERSION)} - \d{{4}}-\d\d-\d\d$", changes, re.MULTILINE)


def test_pipx_finds_the_command() -> None:
    """``pipx run NAME`` runs the command that is named like the package."""
    assert PROJECT["name"] in PROJECT["scripts"]


def test_each_extra_is_named_where_its_packages_are_missing() -> None:
    source = "".join(path.read_text() for path in (ROOT / "src" / "event_gateway").rglob("*.py"))
    docs = "".join(path.read_text() for path in (ROOT / "docs").rglob("*.md"))
    for extra in PROJECT["optional-dependencies"]:
        assert f"pip install 'event-gateway[{extra}]'" in source, extra
        assert f"event-gateway[{extra}]" in docs, extra


def test_the_lock_file_of_the_demo_has_what_expressions_need() -> None:
    locked = (ROOT / "requirements.lock").read_text()
    assert re.search(r"^cel-expr-python==", locked, re.MULTILINE)
