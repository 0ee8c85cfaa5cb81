"""Types of the fixtures in ``conftest.py``."""

from collections.abc import Callable
from typing import Any

Start = Callable[..., Any]
Command = Callable[..., Any]
