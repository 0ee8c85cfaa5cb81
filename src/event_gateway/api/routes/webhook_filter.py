"""Which webhooks a list or a bulk change is about."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from fastapi import Depends, Query

from event_gateway.api.server.definitions import ANY_MANAGER
from event_gateway.api.server.search import EVERY, MAX_SEARCH, Search
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.matching.pattern import check_pattern, overlaps
from event_gateway.core.webhook.webhook import Webhook

State = Literal["active", "disabled", "paused", "unverified", "orphaned", "renamed"]
ManagedBy = Annotated[
    str,
    Query(
        pattern=ANY_MANAGER,
        description="`api`, `file`, `applied`, or `applied/NAME`: who manages the definition.",
    ),
]


class WebhookFilter(msgspec.Struct, frozen=True, kw_only=True):
    """All that are given must hold. ``event``: an event type, or a pattern, which one of the
    webhook's patterns overlaps; ``owner``: a namespace that the webhook belongs to; ``metadata``:
    texts that members of its metadata have; ``search``: in its id, URL and description."""

    state: State | None = None
    event: str | None = None
    owner: str | None = None
    managed_by: str | None = None
    metadata: dict[str, str] | None = None
    search: Search = EVERY

    def check(self) -> None:
        """Raises InvalidDefinition if the pattern is none."""
        if self.event is not None:
            check_pattern(self.event, "event")

    def passes(self, webhook: Webhook, metadata: Mapping[str, Any]) -> bool:
        """Whether a webhook with this metadata is meant; not while it is being deleted."""
        return (
            not webhook.deleting
            and self.state in (None, webhook.state)
            and self.managed_by in (None, webhook.managed_by)
            and (self.owner is None or self.owner in webhook.owner)
            and (self.event is None or any(overlaps(each, self.event) for each in webhook.events))
            and all(metadata.get(name) == value for name, value in (self.metadata or {}).items())
            and self.search.fits(webhook.id, webhook.url, webhook.description)
        )


async def _filter(
    state: State | None = None,
    event: Annotated[
        str | None, Query(description="A type, or a pattern, that a pattern of the webhook fits.")
    ] = None,
    owner: Annotated[str | None, Query(description="A namespace that it belongs to.")] = None,
    managed_by: ManagedBy | None = None,
    metadata: Annotated[
        str | None, Query(description="NAME:TEXT, a member of its metadata.")
    ] = None,
    search: Annotated[
        str | None,
        Query(
            max_length=MAX_SEARCH,
            description="A text that its id, URL or description contains, in "
            "capital or small letters.",
        ),
    ] = None,
) -> WebhookFilter:
    members = None
    if metadata is not None:
        name, colon, text = metadata.partition(":")
        if not colon:
            raise InvalidDefinition("metadata", "must be NAME:TEXT")
        members = {name: text}
    given = WebhookFilter(
        state=state, event=event, owner=owner, managed_by=managed_by, metadata=members,
        search=Search(search),
    )  # fmt: skip
    given.check()
    return given


Filter = Annotated[WebhookFilter, Depends(_filter)]
