"""Every problem and every warning of the gateway is in its table, which makes the page."""

import ast
from collections.abc import Iterator
from pathlib import Path

from event_gateway.api.server import problem_types
from event_gateway.api.server.problem_reference import description, reference
from event_gateway.api.server.problem_types import TYPES, ProblemType, general_type
from event_gateway.core.warning_codes import WARNING_CODES
from event_gateway.core.warning_codes import reference as warnings_page
from support.source_code import modules_with

RAISERS = {"Problem", "Refusal", "refused", "invalid"}


def raised() -> Iterator[tuple[str, ast.expr]]:
    """Where a problem is made, and what says of which kind it is."""
    for file, module in modules_with(*RAISERS, folder="api"):
        for node in ast.walk(module):
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


def test_every_warning_is_in_the_table_that_makes_the_page() -> None:
    codes = {
        node.args[0].value
        for _, module in modules_with("DefinitionWarning")
        for node in ast.walk(module)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "DefinitionWarning"
        if isinstance(node.args[0], ast.Constant)
    }
    assert codes == WARNING_CODES.keys()
    assert Path("docs/reference/warnings.md").read_text() == warnings_page(), "make docs"
