"""System: versions, processes, health, and the configuration in force."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from starlette.responses import Response

from event_gateway.console.page_group import PageGroup, page
from event_gateway.console.page_request import PageRequest


async def show(request: PageRequest) -> Response:
    """The health of the gateway over all processes."""
    return await request.render("system/show.html", health=await request.gateway.show_health())


async def show_configuration(request: PageRequest) -> Response:
    """Every key of the configuration with the value in force, by section."""
    found = await request.gateway.show_configuration()
    filters = request.filters("search", "set")
    given = tuple(f"{key}." for key in found["given"])
    sections = {}
    for name, settings in found["settings"].items():
        keys = [
            (key, _shown(value), is_set)
            for key, value in keys_of(settings, name)
            if (filters["search"] or "").lower() in key.lower()
            and ((is_set := f"{key}.".startswith(given)) or filters["set"] is None)
        ]
        if keys:
            sections[name] = keys
    return await request.render(
        "system/configuration.html",
        found=found,
        sections=sections,
        filters=filters,
        whole=not any(filters.values()),
    )


def keys_of(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    """The keys below a section, such as ``server.port``, with their values; a list is a value."""
    if isinstance(value, Mapping) and value:
        for name, each in value.items():
            yield from keys_of(each, f"{key}.{name}")
    else:
        yield key, value


def _shown(value: Any) -> str | None:
    """A value as the file would have it; None for none."""
    if value is None or value in ([], {}):
        return None
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


PAGES = PageGroup(
    name="system",
    title="System",
    path="/system",
    section="Installation",
    scope="metrics:read",
    operator=True,
    routes=[page("/system", show), page("/system/configuration", show_configuration)],
)
