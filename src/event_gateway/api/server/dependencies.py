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

from collections.abc import Awaitable, Callable
from typing import TypeVar

from fastapi import FastAPI, Request

T = TypeVar("T")


def provide(app: FastAPI, *parts: object) -> None:
    """Stores objects, each under its class, for :func:`provided`."""
    if not hasattr(app.state, "parts"):
        app.state.parts = {}
    app.state.parts |= {type(part): part for part in parts}


def provided(kind: type[T]) -> Callable[[Request], Awaitable[T]]:
    """A dependency: the object of that class which the application was given."""

    # A coroutine function, as FastAPI calls other functions in a thread.
    async def part(request: Request) -> T:
        return part_of(request, kind)

    return part


def part_of(request: Request, kind: type[T]) -> T:
    """The same, for code that is not a FastAPI route."""
    part: T = request.app.state.parts[kind]
    return part
