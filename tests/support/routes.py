"""The routes that an application has."""

from collections.abc import Iterator, Sequence
from typing import Any

from fastapi import FastAPI
from starlette.routing import BaseRoute


def routes_of(app: FastAPI) -> Iterator[Any]:
    """Every route of an application that has methods, also those of routers within it."""
    return _routes(app.router.routes)


def operations_of(app: FastAPI) -> set[tuple[str, str]]:
    """Method and path of everything that an application answers, without HEAD."""
    return {
        (method, getattr(route, "path_format", None) or route.path)
        for route in routes_of(app)
        for method in route.methods or ()
        if method != "HEAD"
    }


def _routes(routes: Sequence[BaseRoute]) -> Iterator[Any]:
    for route in routes:
        inner = getattr(route, "original_router", None) or getattr(route, "router", None)
        if inner is not None:
            yield from _routes(inner.routes)
        else:
            assert hasattr(route, "methods"), route
            yield route
