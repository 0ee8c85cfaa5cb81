"""``event-gateway expressions``: real commands against a running gateway."""

import json
from pathlib import Path

from support.client import event
from support.fixtures import Command


async def test_evaluate(run: Command, tmp_path: Path) -> None:
    file = tmp_path / "event.json"
    file.write_text(json.dumps(event("order.paid", {"n": 3}, priority="5")))
    words = ("expressions", "evaluate")
    done = await run(*words, "CONCAT(type, '!')", str(file))
    assert (done.status, done.out, done.err) == (0, '"order.paid!"\n', "")
    done = await run(*words, "event.data.n * 2", str(file), "--dialect", "cel", "--json")
    assert done.json == {"value": 6, "errors": []}
    done = await run(*words, "priority / 0", str(file))
    assert (done.status, done.out) == (1, "0\nMathError: division by zero\n")
    done = await run(*words, "type ==", str(file))
    assert done.status == 1
    assert "ParseError: line 1, column 7: expected a literal" in done.out
    (await run(*words, "1 +", str(file), "--dialect", "cel")).assert_refused(2, "not valid CEL")
    (await run(*words, "1", str(tmp_path / "no"))).assert_refused(2, "No such file")
