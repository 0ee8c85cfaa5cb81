"""How routes get the objects that they work with.

A route module declares a small frozen dataclass with the objects that its routes use, and gets it
as a FastAPI dependency:

    @dataclass(frozen=True, slots=True, kw_only=True)
    class ReplayParts:
        replays: Replays
        replayer: Replayer

    Parts = Annotated[ReplayParts, Depends(provided(ReplayParts))]

    @router.get("")
    async def list_replays(parts: Parts, …) -> …:

The builder of the API makes these objects once; :func:`provide` stores them in the application.
"""

from typing import Generic, TypeVar

from fastapi import APIRouter, FastAPI, Request
from fastapi.routing import APIRoute

T = TypeVar("T")


class _Provided(Generic[T]):
    """Gives the object of one class."""

    def __init__(self, kind: type[T]) -> None:
        self.kind = kind

    # A coroutine function, as FastAPI calls other functions in a thread.
    async def __call__(self, request: Request) -> T:
        return part_of(request, self.kind)


def provided(kind: type[T]) -> _Provided[T]:
    """A dependency: the object of this class which the application was given."""
    return _Provided(kind)


def provide(app: FastAPI, *parts: object) -> None:
    """Gives objects to an application, each under its class, for :func:`provided`."""
    if not hasattr(app.state, "parts"):
        app.state.parts = {}
    app.state.parts |= {type(part): part for part in parts}


def part_of(request: Request, kind: type[T]) -> T:
    """The object of this class which the application was given."""
    part: T = request.app.state.parts[kind]
    return part


def check_provided(app: FastAPI, router: APIRouter) -> None:
    """Raises LookupError if a route of ``router`` needs an object that ``app`` was not given."""
    for route in router.routes:
        if not isinstance(route, APIRoute):
            continue
        for dependency in route.dependant.dependencies:
            needed = dependency.call
            if isinstance(needed, _Provided) and needed.kind not in app.state.parts:
                raise LookupError(f"{route.path} needs {needed.kind.__name__}: provide it")
