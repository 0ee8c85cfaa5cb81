"""Groups of pages, and the routes of their pages and actions."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

if TYPE_CHECKING:
    from event_gateway.console.page_request import PageRequest

LIMITS = ("namespaces", "types", "streams")  # what may narrow a caller
Handler = Callable[["PageRequest"], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class PageRoute:
    """``path`` as Starlette writes it; ``changes``: it is an action, which a form sends."""

    path: str
    handler: Handler
    changes: bool


def page(path: str, handler: Handler) -> PageRoute:
    """A page, or data of a page: GET, which changes nothing."""
    return PageRoute(path, handler, False)


def action(path: str, handler: Handler) -> PageRoute:
    """What a form or a button does: POST with the token of the session."""
    return PageRoute(path, handler, True)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageGroup:
    """A subject of the console. ``name``: of its folder of templates; ``title`` and ``path``: of
    its entry in the navigation; ``section``: the heading that the entry is under; ``scope``: what a
    caller needs, empty for nothing; ``operator``: only for callers that nothing narrows."""

    name: str
    title: str
    path: str
    section: str
    scope: str
    routes: Sequence[PageRoute]
    operator: bool = False

    def allows(self, caller: Mapping[str, Any]) -> bool:
        """Whether the caller (as ``/v1/caller`` says it) may use the pages."""
        if self.operator and any(caller[limit] is not None for limit in LIMITS):
            return False
        return not self.scope or self.scope in caller["scopes"]
