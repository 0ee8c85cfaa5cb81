"""The commands and programs on the pages of the documentation.

A fenced block below ``<!-- run: NAME -->`` is run by a test. ``python -m support.snippets`` (with
``PYTHONPATH=tests``) writes the page that lists the others.
"""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIST = ROOT / "docs" / "development" / "snippets.md"
# Programs and commands. Configurations (yaml) are all validated, and what a program prints is none.
LANGUAGES = {"sh": "shell", "bash": "shell", "python": "Python", "go": "Go", "js": "JavaScript",
             "jsx": "JavaScript", "html": "HTML"}  # fmt: skip
_BLOCK = re.compile(r"^(?:<!-- ([^\n]+) -->\n)?```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
# Pages whose blocks have tests of their own, which find them without a mark.
_TESTED = {
    "guides/hmac.md": "tests/access/test_hmac.py",
    "guides/compliance.md": "tests/unit/test_compliance_guide.py",
}


@dataclass(frozen=True)
class Snippet:
    """A block under a mark: its language, and its text."""

    language: str
    text: str


def snippets(page: str) -> dict[str, Snippet]:
    """The blocks of a page (its path below ``docs``) that are marked to be run, by name."""
    return {
        mark.removeprefix("run: "): Snippet(language, text)
        for mark, language, text in _BLOCK.findall((ROOT / "docs" / page).read_text())
        if mark.startswith("run: ")
    }


def not_run() -> str:
    """The page that counts the blocks which no test runs."""
    lines = []
    for path in sorted((ROOT / "docs").rglob("*.md")):
        name = path.relative_to(ROOT / "docs").as_posix()
        if name in _TESTED or name.startswith("decisions/"):
            continue
        counts = Counter(
            LANGUAGES[language]
            for mark, language, _ in _BLOCK.findall(path.read_text())
            if not mark and language in LANGUAGES
        )
        if counts:
            shown = ", ".join(f"{count} {language}" for language, count in sorted(counts.items()))
            lines.append(f"| [{name}](../{name}) | {shown} |")
    return f"""# Commands and programs on these pages

`tests/programs/test_snippets.py` runs each block under `<!-- run: NAME -->` against a gateway, and
with `make languages` those in Go and JavaScript and the `nats` command. Other marks are those of
tests of their own, such as `tests/ingest/test_python_client.py`. Every configuration in YAML is
validated by `tests/unit/test_guides.py`. No test runs the blocks that are counted here: they need
a machine, an account or a program that a test has not, or are a part of a program.

| page | blocks that no test runs |
| --- | --- |
{chr(10).join(lines)}
"""


if __name__ == "__main__":
    LIST.write_text(not_run())
