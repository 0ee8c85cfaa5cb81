"""Refuses query parameters that a route does not have: a misspelled one would count for nothing."""

from fastapi import Request
from fastapi.routing import APIRoute

from event_gateway.config.request_bodies import InvalidBody
from event_gateway.core.text.suggestion import suggestion

MAX_SUGGESTED = 10  # unknown parameters for which a similar one is searched


async def only_known_parameters(request: Request) -> None:
    """A dependency of a router. Raises InvalidBody for parameters that its route does not declare,
    or that are given twice."""
    route = request.scope["route"]
    assert isinstance(route, APIRoute)
    of_route = (route.dependant, *route.dependant.dependencies)
    known = {field.alias for dependant in of_route for field in dependant.query_params}
    problems: list[tuple[str, str]] = []
    seen: set[str] = set()
    for name, _ in request.query_params.multi_items():
        if name not in known:
            problems.append((name, _unknown(name, known, len(problems))))
        elif name in seen:
            problems.append((name, "is given twice"))
        seen.add(name)
    if problems:
        raise InvalidBody(problems)


def _unknown(name: str, known: set[str], before: int) -> str:
    return f"unknown parameter{suggestion(name, known) if before < MAX_SUGGESTED else ''}"
