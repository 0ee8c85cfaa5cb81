"""The files that how-to-add.md names exist, and each example is in the files of its section."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PAGE = Path("docs/development/how-to-add.md").read_text()
NAMED = sorted(set(re.findall(r"`((?:src|tests|docs)/[^`\s]+|pyproject\.toml)`", PAGE)))

# How each section's examples are called in code and texts. The first name is on the page.
EXAMPLES = {
    "an auth method towards receivers": ("basic",),
    "a method by which callers prove themselves": ("api_key", "browser_token"),
    "a transformation": ("crm",),
    "a provider of sources": ("github",),
    "a source of events": ("source_requests", "sources"),
    "a lifecycle event": ("stream.updated", "webhook.dead_lettered"),
    "a metric": ("schema_violation", "queue_depth"),
    "a reason for degraded health": ("routing_lag", "redis_unreachable"),
    "a route": ("repair",),
    "a log line": (),
    "a function or an operator of CESQL": (),
    "a command": ("deliveries", "schema"),
}
SECTIONS = dict(
    re.findall(r"^## How to add (.+?)\n(.+?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
)
LISTED = re.compile(r"`((?:src|tests|docs)/\S+\.\w+|pyproject\.toml|CHANGELOG\.md)`")


def _listed() -> Iterator[tuple[str, str]]:
    """The sections that have an example, with each file of their lists that every addition touches:
    what is said with ", if …" holds for some only."""
    for section, text in SECTIONS.items():
        for row in re.findall(r"^\| (`.+) \|$", text, re.MULTILINE):
            files, _, what = row.partition(" | ")
            if EXAMPLES[section] and ", if " not in what:
                yield from ((section, path) for path in LISTED.findall(files))


def _plain(text: str) -> str:
    return re.sub("[_-]", " ", text.lower())


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


def test_each_section_is_known_by_its_example() -> None:
    assert list(SECTIONS) == list(EXAMPLES)
    for section, names in EXAMPLES.items():
        assert not names or names[0] in SECTIONS[section]


@pytest.mark.parametrize(("section", "path"), list(_listed()))
def test_an_example_is_in_each_file_of_its_list(section: str, path: str) -> None:
    names = EXAMPLES[section]
    if "NAME" in path:
        assert any(list(Path().glob(path.replace("NAME", f"{name}*"))) for name in names)
    else:
        text = _plain(Path(path).read_text())
        assert any(re.search(rf"\b{re.escape(_plain(name))}", text) for name in names)
