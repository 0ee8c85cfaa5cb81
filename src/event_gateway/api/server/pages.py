"""Lists, page by page."""

import base64
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from event_gateway.api.server.problems import Problem
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.streams.definition import StreamDefinition
from event_gateway.core.text.times import parse_time
from event_gateway.core.webhook.webhook import Webhook

T = TypeVar("T")


def registered(known: Mapping[str, Webhook] | Mapping[str, StreamDefinition]) -> list[str]:
    """The names that are listed: what is being deleted is gone, for who deleted it."""
    return [name for name, one in known.items() if not one.deleting]


def page_of(names: Iterable[str], limit: int, cursor: str | None) -> tuple[list[str], str | None]:
    """At most ``limit`` names in order, and the cursor of the page behind them.

    Raises Problem where the cursor is none.
    """
    after = read_cursor(cursor, str) or ""
    behind = sorted(name for name in names if name > after)
    page = behind[:limit]
    return page, cursor_of(page[-1]) if len(behind) > limit else None


def cursor_of(place: Any) -> str | None:
    """The cursor that says where a list goes on; None where it does not."""
    if place is None:
        return None
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode()


def read_cursor(cursor: str | None, kind: type[T]) -> T | None:
    """The place that a cursor names. Raises Problem where it is none of this list."""
    if cursor is None:
        return None
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(cursor), type=kind)
    except (ValueError, msgspec.DecodeError):
        raise Problem(400, "the cursor is not one of this list") from None


def time_of(name: str, text: str | None) -> float | None:
    """Seconds since the epoch of a parameter that is a time. Raises InvalidDefinition."""
    try:
        return None if text is None else parse_time(text)
    except ValueError as error:
        raise InvalidDefinition(name, str(error)) from None
