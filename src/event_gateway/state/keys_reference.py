"""The table of all keys in Redis for the documentation.

``python -m event_gateway.state.keys_reference [FILE]`` prints the table, or writes it into the
marked part of a page.
"""

import sys
from pathlib import Path

from event_gateway.state.keys import FAMILIES

_BEGIN, _END = "<!-- redis keys: begin -->\n", "<!-- redis keys: end -->\n"


def table() -> str:
    """All families as a Markdown table."""
    lines = ["| key | type | holds | lifetime | deleted by | module in `state/` |",
             "| --- | --- | --- | --- | --- | --- |"]  # fmt: skip
    lines += [
        f"| `{family.pattern}` | {family.type} | {family.value} | {family.lifetime} "
        f"| {family.deleted_by} | {family.owner} |"
        for family in FAMILIES
    ]
    return "\n".join(lines) + "\n"


def page_with_table(page: str) -> str:
    """Replaces the table in the marked part of a page. Raises ValueError."""
    before, begin, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise ValueError("the page has no marked part for the table of keys")
    return f"{before}{begin}\n{table()}\n{end}{after}"


if __name__ == "__main__":
    if len(sys.argv) > 1:
        path = Path(sys.argv[1])
        path.write_text(page_with_table(path.read_text()))
    else:
        print(table(), end="")
