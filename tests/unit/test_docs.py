"""The documentation: links have targets, and the names of code exist."""

import ast
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest

from event_gateway.app.reload import FIXED
from support.source_code import modules_with

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
SOURCE = ROOT / "src" / "event_gateway"

# `delivery/lane.py`, `delivery/lane.py::Lane.trip`, `tests/unit`, `state/scripts/`
NAMED = re.compile(r"`((?:[\w.-]+/)+(?:[\w.-]+\.(?:py|lua|toml|json))?)(?:::([\w.]+))?`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_have_a_target(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        if "://" in path or path.startswith("mailto:"):
            continue
        result = (page.parent / path).resolve() if path else page
        assert result.exists(), f"{page.name} links {target}"
        if anchor:
            assert anchor in _anchors(result), f"{page.name} links {target}"


NAMING = [
    ROOT / "CONTRIBUTING.md",
    ROOT / "docs" / "features.md",
    *sorted((ROOT / "docs" / "development").glob("*.md")),
]


@pytest.mark.parametrize("page", NAMING, ids=lambda page: page.name)
def test_names_in_the_code_exist(page: Path) -> None:
    named = NAMED.findall(page.read_text())
    assert named, f"{page.name} names no file"
    missing = []
    for path, name in named:
        if "NAME" in path or "VERSION" in path:  # what the reader chooses
            continue
        frame = next((root / path for root in (SOURCE, ROOT) if (root / path).exists()), None)
        if frame is None:
            missing.append(path)
        elif name and name not in _defined(frame):
            missing.append(f"{path}::{name}")
    assert not missing


def test_the_rows_of_packages_are_those_of_the_import_contract() -> None:
    page = (ROOT / "docs/development/architecture.md").read_text()
    rows: dict[int, set[str]] = {}
    for number, names in re.findall(r"^\| (\d+) \| (`.+?`) \|", page, re.MULTILINE):
        found = {name.rstrip("/").removesuffix(".py") for name in re.findall(r"`(.+?)`", names)}
        rows.setdefault(int(number), set()).update(found)
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (layers,) = (
        contract["layers"]
        for contract in contracts["contracts"]
        if contract.get("containers") == ["event_gateway"]
    )
    expected = [set(layer.split(" | ")) for layer in layers]
    assert [rows[number] for number in sorted(rows)] == expected


def test_each_feature_names_a_test() -> None:
    rows = re.findall(
        r"^\| (?!the gateway|---)(.+) \| (.+) \|$", NAMING[1].read_text(), re.MULTILINE
    )
    assert len(rows) > 40
    assert [told for told, tests in rows if not re.match(r"`tests/\S+\.py", tests)] == []


def test_the_places_of_the_placeholder_are_listed() -> None:
    section = (ROOT / "docs/development/releasing.md").read_text().split("## Put your address")[1]
    listed = {name for row in re.findall(r"^\| (`.+?) \|", section, re.MULTILINE)
              for name in re.findall(r"`([^`]+)`", row)}  # fmt: skip
    texts = [ROOT / "pyproject.toml", *(ROOT / "docs/reference").glob("*.md")]
    texts += [path for folder in ("src", "deploy") for path in (ROOT / folder).rglob("*")
              if path.suffix in {".py", ".yaml", ".json", ".service", ".tpl"}
              and not path.is_symlink() and not path.parent.is_symlink()]  # fmt: skip
    found = {path.relative_to(ROOT).as_posix() for path in texts
             if "your-org/" in path.read_text()}  # fmt: skip
    assert found in (listed, set())  # who has replaced it has replaced it everywhere


def test_the_page_of_background_tasks_has_all_of_them() -> None:
    rows = re.findall(r"^\| (`.+?) \|", (ROOT / "docs/reference/background-tasks.md").read_text(),
                      re.MULTILINE)  # fmt: skip
    listed = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
    names = {name for _, module in modules_with("start(") for name in _tasks(module)}
    names |= {"embedded-nats", "embedded-valkey"}  # whose names are put together
    assert listed == names


def test_the_glossary_defines_a_word_once() -> None:
    words = re.findall(r"^\| ([^|`]+) \|", (ROOT / "docs/glossary.md").read_text(), re.MULTILINE)
    assert {word for word in words if words.count(word) > 1} <= {"word", "---"}


def test_the_page_of_reloads_names_what_needs_a_restart() -> None:
    page = (ROOT / "docs/operations/reload.md").read_text()
    row = next(line for line in page.splitlines() if "needs a restart;" in line)
    assert set(re.findall(r"`([^`]+)`", row)) == {*FIXED, "server.tls"}


def _tasks(module: ast.Module) -> set[str]:
    """The names of the tasks that a module gives to a supervisor."""
    return {
        call.args[0].value
        for call in ast.walk(module)
        if isinstance(call, ast.Call)
        and (call.func.id if isinstance(call.func, ast.Name) else
             call.func.attr if isinstance(call.func, ast.Attribute) else "") == "start"
        and len(call.args) > 1
        and isinstance(call.args[0], ast.Constant)
        and isinstance(call.args[0].value, str)
    }  # fmt: skip


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@cache
def _defined(path: Path) -> set[str]:
    """The functions, classes, methods, fields and constants that a module defines."""
    names: set[str] = set()

    def collect(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                names.add(prefix + node.name)
            if isinstance(node, ast.ClassDef):
                collect(node.body, f"{prefix}{node.name}.")
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                names.add(prefix + node.target.id)
            if isinstance(node, ast.Assign):
                names.update(prefix + t.id for t in node.targets if isinstance(t, ast.Name))

    collect(ast.parse(path.read_text()).body, "")
    return names
