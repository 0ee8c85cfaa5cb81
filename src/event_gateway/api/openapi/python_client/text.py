"""The parts that the text of every generated module has."""

import re
import textwrap

WIDTH = 92  # of a docstring's lines


def head(what: str) -> str:
    """The docstring of a generated module, which ``what`` describes in a sentence."""
    return textwrap.dedent(f'''\
        """{what}

        Generated from the OpenAPI document by ``make docs``; do not change it by hand.
        """

        ''')


def module_of(tag: str) -> str:
    """The name of the module of a tag: ``dead_letters`` for ``dead letters``."""
    return tag.replace(" ", "_")


def docstring(text: str, indent: str) -> str:
    """The first paragraph of a description, as a docstring."""
    first = " ".join(text.replace("\\", "").split("\n\n")[0].split()).replace("``", "`")
    lines = textwrap.wrap(first, WIDTH - len(indent)) or [""]
    return indent + '"""' + f"\n{indent}".join(lines) + '"""'


def named_in(text: str, name: str) -> bool:
    """Whether code uses a name; a docstring that begins with the word is none."""
    return re.search(rf"\b{name}\b(?! [a-z])", text) is not None
