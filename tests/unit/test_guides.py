"""The configurations in the guides are valid."""

import re
from pathlib import Path

import pytest

from event_gateway.config.load import load
from event_gateway.core.transformation.definition import TransformationDefinition
from event_gateway.request.transformations import compile_definition
from event_gateway.transport.egress_guard import url_rule

DOCS = Path(__file__).parents[2] / "docs"
BLOCKS = [
    pytest.param(found[1], id=f"{path.name}-{number}")
    for path in sorted(DOCS.rglob("*.md"))
    for number, found in enumerate(
        re.finditer(r"^```yaml\n(.*?)^```$", path.read_text(), re.DOTALL | re.MULTILINE)
    )
]


@pytest.mark.parametrize("block", BLOCKS)
def test_configurations_in_the_guides_are_valid(tmp_path: Path, block: str) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(block)
    environ = dict.fromkeys(re.findall(r"\$\{(\w+)", block), "set")
    load(path, environ, transformation_rule=_rule, url_rule=url_rule)


def _rule(definition: TransformationDefinition) -> None:
    for problem in definition.problems():
        raise problem
    if definition.python is None:  # the functions in a guide do not exist
        compile_definition(definition)
