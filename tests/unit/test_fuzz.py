"""The fuzzers' targets with some generated examples each; ``tests/fuzz`` runs them longer."""

import pytest
from hypothesis import settings

from fuzz.targets import TARGETS
from support.examples import examples


@pytest.mark.parametrize("name", TARGETS)
def test_generated_input(name: str) -> None:
    settings(max_examples=examples(150))(TARGETS[name])()
