"""Values as the pages of the console show them."""

from typing import Any

import pytest

from event_gateway.console.assets import Assets
from event_gateway.console.formats import pretty, when
from event_gateway.console.rendering import templates


def test_json_is_indented() -> None:
    assert pretty({"a": [1, "\u00e9"]}) == '{\n  "a": [\n    1,\n    "\u00e9"\n  ]\n}'


@pytest.mark.parametrize("depth", [40, 300, 800])
def test_json_does_not_grow_many_times_longer_by_its_indentation(depth: int) -> None:
    value: list[object] = [0] * 1000
    for _ in range(depth):
        value = [value]
    assert len(pretty(value)) <= 10 * 4 * 1000


def test_a_payload_of_many_values_folds_to_some_thousand_lines_and_text() -> None:
    payload = [[[0] * 200] * 200] * 6
    shown = _folded(payload)
    assert shown.count("json-line") < 5000
    assert shown.count("<code>") > 100
    assert "<code>" not in _folded([[0] * 100] * 15)


def _folded(payload: Any) -> str:
    module: Any = templates("x", Assets(None), ()).get_template("parts/json.html").module
    return str(module.value(payload))


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("2026-01-01T01:30:00+02:00", "2025-12-31 23:30:00 UTC"),
        ("2026-01-01T01:30:00Z", "2026-01-01 01:30:00 UTC"),
        ("0001-01-01T00:00:00+02:00", "0001-01-01T00:00:00+02:00"),
        ("<b>", "&lt;b&gt;"),
    ],
)
def test_a_time_without_script_is_in_utc(given: str, shown: str) -> None:
    assert shown in str(when(given))
