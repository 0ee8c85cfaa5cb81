"""docs/security.md: what it names exists, and each threat names what shows that it is held."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from event_gateway.cli.command_reference import all_commands
from event_gateway.config.model import Config
from event_gateway.config.reference import _inner

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "security.md").read_text()
NAMED = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL))
COMMANDS = [name for name, _ in all_commands()]
SETTING = re.compile(r"[a-z_]+(\[\])?(\.[a-z_]+(\[\])?)+")
# What the page names in the data directory, and where the code makes it.
FILES = {"admin.key", "endpoints.json", "servers.json", "sealing.key"}


def test_settings_exist() -> None:
    named = {name for name in NAMED if SETTING.fullmatch(name)}
    named = {name for name in named if name.split(".")[0].removesuffix("[]") in Config.model_fields}
    assert len(named) > 12
    assert [name for name in sorted(named) if not _exists(Config, name.split("."))] == []


def _exists(model: type[BaseModel], path: list[str]) -> bool:
    field = model.model_fields.get(path[0].removesuffix("[]"))
    if field is None:
        return False
    inner, _ = _inner(field.annotation)
    return len(path) == 1 or (inner is not None and _exists(inner, path[1:]))


@pytest.mark.parametrize(
    "words",
    sorted({name for name in [*NAMED, *TEXT.splitlines()] if name.startswith("event-gateway ")}),
)
def test_commands_exist(words: str) -> None:
    def begins(first: str, other: str) -> bool:
        return f"{first} ".startswith(f"{other} ")

    words = words.removeprefix("event-gateway ").split(" -")[0]
    assert any(begins(words, name) or begins(name, words) for name in COMMANDS), words


def test_files_are_those_that_the_code_makes() -> None:
    named = {name for name in NAMED if re.fullmatch(r"[a-z]+\.(key|json)", name)}
    assert named == FILES
    code = "".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    assert [name for name in sorted(FILES) if f'"{name}"' not in code] == []


def test_each_threat_names_what_shows_that_it_is_held() -> None:
    threats = TEXT.split("## Who attacks")[1].split("## Harden")[0]
    rows = [line for line in threats.splitlines() if line.startswith("| ")]
    rows = [line for line in rows if not line.startswith(("| tries to", "| ---"))]
    assert len(rows) > 20
    for row in rows:
        cells = row.strip("|").split(" | ")
        assert len(cells) == 3, row
        assert re.search(r"\]\([^)]+\)", cells[2]), row


def test_the_policy_leads_to_the_page() -> None:
    assert "](docs/security.md)" in (ROOT / "SECURITY.md").read_text()
