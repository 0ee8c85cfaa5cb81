"""Every problem that the gateway answers with is in the one table, which makes the page."""

import ast
from collections.abc import Iterator
from pathlib import Path

from event_gateway.api.server import problem_types
from event_gateway.api.server.problem_reference import description, reference
from event_gateway.api.server.problem_types import TYPES, ProblemType, general_type

SOURCES = Path("src/event_gateway/api")
RAISERS = {"Problem", "Refusal", "refused", "invalid"}


def raised() -> Iterator[tuple[str, ast.expr]]:
    """Where a problem is made, and what says of which kind it is."""
    for file in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and node.args:
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                if name in RAISERS:
                    yield f"{file}:{node.lineno}", node.args[0]


def test_every_problem_that_is_raised_is_in_the_table() -> None:
    places = list(raised())
    assert len(places) > 80
    for place, kind in places:
        if isinstance(kind, ast.Constant) and isinstance(kind.value, int):
            assert general_type(kind.value), place  # a status without a type is a LookupError
        elif isinstance(kind, ast.Attribute) and ast.unparse(kind).startswith("problem_types."):
            assert isinstance(getattr(problem_types, kind.attr), ProblemType), place


def test_the_page_of_the_problems_is_up_to_date_and_complete() -> None:
    page = Path("docs/reference/problems.md").read_text()
    assert page == reference(), "write it with: make docs"
    for code, kind in TYPES.items():
        assert f"`/problems/{code}`" in page
        assert kind.meaning in description(kind)
        assert kind.meaning.endswith("."), code
