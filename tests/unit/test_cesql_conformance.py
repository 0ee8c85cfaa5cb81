"""CESQL against the sentences of its specification."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from event_gateway.cesql import ErrorType, ParseError, parse

FILE = Path(__file__).parents[1] / "data" / "cesql" / "conformance.yaml"
CONTENT = yaml.load(FILE.read_text(), yaml.CSafeLoader)


def _of(kind: str) -> list[Any]:
    return list(_cases(kind))


def _cases(kind: str) -> Iterator[Any]:
    for group in CONTENT["groups"]:
        event = {**CONTENT["event"], **group.get("event", {})}
        for case in group.get(kind, ()):
            yield pytest.param(event, case, id=f"{group['section']}: {case[0]}")


@pytest.mark.parametrize(("event", "case"), _of("cases"))
def test_value_and_errors(event: dict[str, Any], case: list[Any]) -> None:
    text, expected, *kinds = case
    expression = parse(text)
    value, errors = expression.evaluate(event)
    assert (type(value), value) == (type(expected), expected)
    assert [error.type for error in errors] == kinds
    assert all(error.message and 0 <= error.position < len(text) for error in errors)
    assert parse(str(expression)) == expression
    assert parse(str(expression)).evaluate(event)[0] == value
    assert expression.matches(event) is (expected is True and not kinds)
    first = expression.evaluate(event, fail_fast=True)[1]
    assert first == errors[:1]


@pytest.mark.parametrize(("event", "case"), _of("refused"))
def test_refused(event: dict[str, Any], case: list[Any]) -> None:
    text, position = case
    with pytest.raises(ParseError) as caught:
        parse(text)
    assert caught.value.position == position
    assert caught.value.reason in str(caught.value)
    assert caught.value.type is ErrorType.PARSE


def test_the_file_covers_the_specification() -> None:
    groups = CONTENT["groups"]
    count = sum(len(group.get("cases", ())) + len(group.get("refused", ())) for group in groups)
    assert count >= 250
    assert {group["section"] for group in groups} >= {
        "1", "2", "2.1", "2.2", "2.3", "2.4", "3.1", "3.2", "3.3", "3.4.1", "3.4.2", "3.4.3",
        "3.4.4", "3.4.5", "3.5", "3.5.1", "3.5.2", "3.6", "3.7", "5",
    }  # fmt: skip
    assert all(group["sentence"] for group in groups)
