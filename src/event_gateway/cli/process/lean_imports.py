"""Imports libraries without what they import only for options that the gateway does not use.

structlog prepares tracebacks in colours, and redis-py metrics of its own: each imports another
library where it is installed, and does without it where it is not. That library is told to be
missing for as long as the import takes. It saves 4 MiB, and a twentieth of the time of a start.

nats-py imports aiohttp where it is installed, for connections over WebSocket. It is imported when
it is first used, which saves 8 MiB.
"""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from types import ModuleType


def import_lean() -> None:
    """Imports these libraries; to be called before they are imported in another way."""
    with _missing("rich"):
        import structlog as structlog
    with _missing("opentelemetry.sdk"):
        import redis.asyncio as redis_asyncio  # noqa: F401
    with _put_off("aiohttp"):
        import nats as nats


@contextmanager
def _missing(library: str) -> Iterator[None]:
    """Lets the import of a library fail meanwhile, unless it was imported before."""
    if library in sys.modules:
        yield
        return
    sys.modules[library] = None  # type: ignore[assignment]  # which Python takes for missing
    try:
        yield
    finally:
        del sys.modules[library]


@contextmanager
def _put_off(library: str) -> Iterator[None]:
    """While it lasts, an import of a library gives a module that imports the library when something
    of it is first used: importlib's LazyLoader would import it at once, as ``import`` itself asks
    the module for something."""
    if library in sys.modules or find_spec(library) is None:
        yield
        return
    module = ModuleType(library)

    def first_used(name: str) -> object:
        if sys.modules.get(library) is module:  # used while it is imported, so not put off
            del sys.modules[library]
        return getattr(importlib.import_module(library), name)

    module.__getattr__ = first_used  # type: ignore[method-assign]
    sys.modules[library] = module
    try:
        yield
    finally:
        if sys.modules.get(library) is module:
            del sys.modules[library]
