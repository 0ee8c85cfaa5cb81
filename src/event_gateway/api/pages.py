"""Lists by name, page by page."""

import base64
import binascii
from collections.abc import Iterable, Mapping

from event_gateway.api.problems import Problem
from event_gateway.core.stream import StreamDefinition
from event_gateway.core.webhook import Webhook


def registered(known: Mapping[str, Webhook] | Mapping[str, StreamDefinition]) -> list[str]:
    """The names that are listed: what is being deleted is gone, for who deleted it."""
    return [name for name, one in known.items() if not one.deleting]


def page_of(names: Iterable[str], limit: int, cursor: str | None) -> tuple[list[str], str | None]:
    """At most ``limit`` names in order, and the cursor of the page behind them.

    Raises Problem where the cursor is none.
    """
    after = _decode(cursor)
    behind = sorted(name for name in names if name > after)
    page = behind[:limit]
    more = len(behind) > limit
    return page, base64.urlsafe_b64encode(page[-1].encode()).decode() if more else None


def _decode(cursor: str | None) -> str:
    if cursor is None:
        return ""
    try:
        return base64.urlsafe_b64decode(cursor.encode()).decode()
    except (binascii.Error, UnicodeError):
        raise Problem(400, "the cursor is not one of this list") from None
