"""The list of sources, and the page of one."""

import asyncio
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from event_gateway.console.page_request import PAGE, PageRequest
from event_gateway.console.pages.sources.captured import KINDS
from event_gateway.console.pages.sources.texts import address, as_yaml

# What came of a request, in words.
OUTCOMES = {
    "accepted": "published",
    "duplicate": "the log had the event already",
    "answered": "a challenge or a confirmation, answered as the provider expects",
    "signature": "not signed by the provider, or with another secret",
    "time": "signed too long ago, or the clocks differ",
    "malformed": "the body cannot be read, or lacks what a template needs",
    "unconfigured": "the secret has no value",
    "not_allowed": "of a topic or sender that the source does not name",
    "rejected": "the type is reserved, or the data breaks an enforced schema",
    "unreachable": "the provider's keys or certificate cannot be fetched now",
}


async def list_sources(request: PageRequest) -> Response:
    """A page of sources, each with how many requests it took and refused."""
    filters = request.filters("search", "type", "managed_by")
    found, types = await asyncio.gather(
        request.gateway.list_sources(
            limit=PAGE, cursor=request.query("cursor"), requests=True, **filters
        ),
        request.gateway.list_source_types(),
    )
    return await request.render(
        "sources/list.html",
        page=found,
        filters=filters,
        titles={each["type"]: each["title"] for each in types["items"]},
    )


async def show_source(request: PageRequest) -> Response:
    """One source: what came in, its definition, and what may be done with it."""
    source, types = await asyncio.gather(
        request.gateway.show_source(request.path("name")), request.gateway.list_source_types()
    )
    provider = next(each for each in types["items"] if each["type"] == source["type"])
    named = (*provider["required"], *provider["optional"])
    return await request.render(
        "sources/show.html",
        source=source,
        provider=provider,
        settings={name: source[name] for name in named if name in source},  # type: ignore[literal-required]
        address=address(source),
        refused_last=_refused_last(source.get("requests")),
        outcomes=OUTCOMES,
        body_kinds=KINDS,
        yaml=as_yaml(source),
    )


def _refused_last(requests: Mapping[str, Any] | None) -> bool:
    """Whether no request was taken after the latest refusal."""
    if not requests or not requests["latest_refusal"]:
        return False
    return str(requests["latest_refusal"]["at"]) >= (requests["taken_at"] or "")
