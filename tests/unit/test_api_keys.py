"""The form of API keys, and what a narrowed caller may hand on."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_gateway.core.access.api_key import (
    FORM,
    ID_IN_VALUE,
    hash_of,
    is_mistyped,
    new_id,
    new_value,
)
from event_gateway.core.access.principal import Principal
from event_gateway.core.matching.pattern import includes, takes

ADMIN = frozenset(("admin",))
READER = frozenset(("streams:read",))


def test_a_key_has_the_form_that_scanners_search_for() -> None:
    for _ in range(100):
        key_id = new_id()
        value = new_value(key_id)
        assert re.fullmatch(FORM, value), value
        assert value[ID_IN_VALUE] == key_id
        assert not is_mistyped(value)
        assert len(hash_of(value)) == 32


@given(position=st.integers(4, 54), character=st.sampled_from(string.ascii_letters))
def test_a_mistyped_key_is_told_from_an_unknown_one(position: int, character: str) -> None:
    value = new_value("abcdefghijkl")
    wrong = value[:position] + character + value[position + 1 :]
    if wrong != value and position != 16:  # the underscore: it is of no known form
        assert is_mistyped(wrong)


def test_former_admin_keys_and_other_texts_are_not_mistyped() -> None:
    for text in ("", "egk_", "egk_" + "a" * 43, "k" * 55, "egt_x.y", "é" * 55):
        assert not is_mistyped(text)


def caller(**values: object) -> Principal:
    base: dict[str, object] = {"name": "n", "method": "api_key", "id": "i", "scopes": READER}
    return Principal(**(base | values))  # type: ignore[arg-type]


@pytest.mark.parametrize(("inner", "outer", "within"), [
    ({}, {}, True),
    ({}, {"scopes": ADMIN}, True),
    ({"scopes": ADMIN}, {}, False),
    ({"namespaces": ("a",)}, {}, True),
    ({}, {"namespaces": ("a",)}, False),
    ({"namespaces": ("a",)}, {"namespaces": ("a", "b")}, True),
    ({"namespaces": ("a", "c")}, {"namespaces": ("a", "b")}, False),
    ({"namespaces": ("c",)}, {"namespaces": ("*",)}, False),  # a namespace is no pattern
    ({"types": ("a.b",)}, {"types": ("a.*",)}, True),
    ({"types": ("a.>",)}, {"types": ("a.*",)}, False),
    ({"streams": ("s",)}, {"streams": ("s", "t")}, True),
    ({"streams": ("s", "u")}, {"streams": ("s", "t")}, False),
    ({"streams": (), "subjects": ("a.b",)}, {"streams": (), "subjects": ("a.>",)}, True),
    ({"streams": (), "subjects": ("a.>",)}, {"streams": (), "subjects": ("a.b",)}, False),
    ({"streams": (), "subjects": ("a.>",)}, {"namespaces": ("a",)}, False),
])  # fmt: skip
def test_what_is_within_what(
    inner: dict[str, object], outer: dict[str, object], within: bool
) -> None:
    assert caller(**inner).within(caller(**outer)) is within


_patterns = st.lists(st.sampled_from(["a", "gateway", "*"]), min_size=1, max_size=3).flatmap(
    lambda tokens: st.sampled_from([".".join(tokens), ".".join([*tokens, ">"])])
)
_subjects = st.lists(st.sampled_from(["a", "b", "gateway"]), min_size=1, max_size=4).map(".".join)


@given(wide=_patterns, narrow=_patterns, subject=_subjects)
def test_a_pattern_that_includes_another_matches_all_that_it_matches(
    wide: str, narrow: str, subject: str
) -> None:
    if includes(wide, narrow) and takes(narrow, subject):
        assert takes(wide, subject)
    if takes(wide, subject):
        assert includes(wide, subject)
