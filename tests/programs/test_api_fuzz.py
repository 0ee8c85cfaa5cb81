"""Some hundred generated requests, by the OpenAPI document; ``tests/fuzz/api.py`` sends many."""

from pathlib import Path

from fuzz.api import gateway, run


def test_what_the_gateway_answers_is_described(tmp_path: Path) -> None:
    with gateway(tmp_path) as (url, key):
        report = run(url, key, examples=1, seed=41, phases="fuzzing")
    assert not report.output, report.output
    assert report.cases > 100
