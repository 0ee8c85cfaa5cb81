"""System: versions, processes, health, and the configuration in force."""

from starlette.responses import Response

from event_gateway.console.page_group import PageGroup, page
from event_gateway.console.visit import Visit


async def show(visit: Visit) -> Response:
    """The health of the gateway over all processes."""
    return await visit.render("system/show.html", health=await visit.gateway.show_health())


PAGES = PageGroup(
    name="system",
    title="System",
    path="/system",
    section="Installation",
    scope="metrics:read",
    operator=True,
    routes=[page("/system", show)],
)
