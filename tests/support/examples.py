"""The number of examples that Hypothesis tries: all in the long form, ``make examples``, a sixth
elsewhere."""

import os

from hypothesis import HealthCheck, settings

ALL = "FUZZ" in os.environ


def examples(count: int) -> int:
    """``count`` in the long form, a sixth of it elsewhere."""
    return count if ALL else count // 6


def no_deadlines() -> None:
    """Turns off Hypothesis' deadlines: on a busy machine any example may take long."""
    settings.register_profile(
        "tests", deadline=None, suppress_health_check=[HealthCheck.too_slow],
        max_examples=100 if ALL else 25,
    )  # fmt: skip
    settings.load_profile("tests")
