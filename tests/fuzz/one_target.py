"""Runs one target in this process until its time is over: ``one_target.py NAME SECONDS SEED``.

Prints the number of cases on a line of its own, again and again; the last one counts. Ends with a
traceback and a status other than 0 if a case fails. Hypothesis stores that case, and the tests
begin with it from then on.
"""

import importlib
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1]
REPORTED = 0.5  # seconds between two counts
CORPUS = TESTS.parent / ".fuzz"  # inputs that reached something new, kept for the next run
MAX_INPUT = 4096  # bytes from which an example is made


def main(name: str, seconds: float, seed: int) -> None:
    """Runs the target; with atheris where it is installed, with random input elsewhere."""
    sys.path.insert(0, str(TESTS))
    try:
        atheris: Any = importlib.import_module("atheris")
    except ImportError:
        case = _case(name, seconds)
        chance = random.Random(seed)
        while True:
            case(chance.randbytes(chance.randrange(MAX_INPUT)))
    with atheris.instrument_imports(include=["event_gateway"]):
        case = _case(name, seconds)
    corpus = CORPUS / name
    corpus.mkdir(parents=True, exist_ok=True)
    options = [f"-seed={seed or 1}", f"-max_len={MAX_INPUT}", "-verbosity=0", "-timeout=60",
               f"-artifact_prefix={corpus.parent}/"]  # fmt: skip
    atheris.Setup([sys.argv[0], *options, str(corpus)], case)
    atheris.Fuzz()


def _case(name: str, seconds: float) -> Callable[[bytes], None]:
    """What tries one input, and ends the process when the time is over."""
    from fuzz.targets import TARGETS
    from support.examples import no_deadlines

    no_deadlines()
    fuzz_one_input: Callable[[bytes], bytes | None] = TARGETS[name].hypothesis.fuzz_one_input  # type: ignore[attr-defined]
    until = time.monotonic() + seconds
    cases, reported = 0, 0.0

    def case(data: bytes) -> None:
        nonlocal cases, reported
        if fuzz_one_input(data) is not None:
            cases += 1
        now = time.monotonic()
        if now > reported + REPORTED or now > until:
            print(cases, flush=True)
            reported = now
        if now > until:
            os._exit(0)  # libFuzzer has no end of its own

    return case


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))
