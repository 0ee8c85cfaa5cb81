"""Templates: every value is text, which is escaped; what is missing is an error."""

from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from event_gateway.console.assets import Assets
from event_gateway.console.formats import FILTERS
from event_gateway.console.page_group import PageGroup


def templates(name: str, assets: Assets, groups: Sequence[PageGroup]) -> Environment:
    """The environment of the pages. ``name``: of this installation; ``groups``: those of the
    navigation."""
    environment = Environment(
        loader=PackageLoader("event_gateway.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(FILTERS)
    environment.globals.update(
        console_name=name,
        asset=assets.url,
        logo=None if assets.logo is None else assets.url(assets.logo),
        groups=groups,
    )
    return environment


def navigation(
    groups: Sequence[PageGroup], caller: Mapping[str, Any]
) -> list[tuple[str, list[PageGroup]]]:
    """The groups of pages that a caller may use, by section, in their order."""
    sections: dict[str, list[PageGroup]] = {}
    for group in groups:
        if group.allows(caller):
            sections.setdefault(group.section, []).append(group)
    return list(sections.items())
