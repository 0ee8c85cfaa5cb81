"""Some hundred generated requests, by the OpenAPI document; ``tests/fuzz/api.py`` sends many."""

import asyncio
from pathlib import Path

import pytest

from fuzz.api import CONFIG, make_document, run
from support.program import Program, running


@pytest.mark.timeout(1200)  # on a busy machine; half a minute on an idle one
async def test_what_the_gateway_answers_is_described(tmp_path: Path) -> None:
    program = Program(tmp_path, CONFIG)
    async with running(program) as client:
        url, key = str(client.http.base_url).rstrip("/"), client.key
        await asyncio.to_thread(make_document, url, key)
        report = await asyncio.to_thread(run, url, key, examples=1, seed=41, phases="fuzzing")
        assert program.runs, program.output
    assert "Traceback" not in program.output, program.output
    assert not report.output, report.output
    assert report.cases > 100
