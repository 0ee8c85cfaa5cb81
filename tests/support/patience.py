"""How long a test waits for a condition: long enough for a busy machine."""

import math

PATIENCE = 90.0  # seconds


def allowance(least: int, took: float, times: float) -> int:
    """Whole seconds in which something must happen that a test cannot hold up: ``least`` on an idle
    machine, and ``times`` as long as the like ``took`` just now on a busy one."""
    return max(least, math.ceil(times * took))
