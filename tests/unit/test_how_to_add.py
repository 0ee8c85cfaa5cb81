"""The files that how-to-add.md names exist."""

import re
from pathlib import Path

import pytest

PAGE = Path("docs/development/how-to-add.md").read_text()
NAMED = sorted(set(re.findall(r"`((?:src|tests|docs)/[^`\s]+|pyproject\.toml)`", PAGE)))


@pytest.mark.parametrize("path", [item for item in NAMED if "NAME" not in item])
def test_a_named_file_exists(path: str) -> None:
    assert Path(path).exists()


@pytest.mark.parametrize("path", [item for item in NAMED if "NAME" in item])
def test_a_new_file_goes_into_a_folder_that_exists(path: str) -> None:
    assert Path(path).parent.is_dir()


def test_generated_files_are_written_by_one_command() -> None:
    """A module that writes one of them is not named: the others would be forgotten."""
    assert "`make docs`" in PAGE
    assert not re.findall(r"python -m event_gateway\.\S+", PAGE)
