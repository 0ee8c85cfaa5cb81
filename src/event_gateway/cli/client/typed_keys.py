"""Keys that are typed at the terminal while a command runs."""

import asyncio
import contextlib
import os
import sys
import termios
import tty
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def typed_keys(typed: Callable[[bytes], None]) -> Iterator[None]:
    """Calls ``typed`` in the running loop with the keys that are typed, and with nothing at the end
    of the input. The terminal does not show them meanwhile. Without a terminal it does nothing."""
    if not sys.stdin.isatty():
        yield
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    loop = asyncio.get_running_loop()
    tty.setcbreak(descriptor)
    loop.add_reader(descriptor, lambda: typed(os.read(descriptor, 64)))
    try:
        yield
    finally:
        loop.remove_reader(descriptor)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
