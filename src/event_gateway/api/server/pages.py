"""Pages of lists, and the cursors between them."""

import base64
import contextlib
import time
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec
from fastapi import Path, Query, Response
from starlette.convertors import Convertor, register_url_convertor

from event_gateway.api.server import problem_types
from event_gateway.api.server.problems import Problem
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.streams.definition import StreamDefinition
from event_gateway.core.streams.start import MAX_SEQ
from event_gateway.core.text.times import parse_time
from event_gateway.core.text.units import parse_duration
from event_gateway.core.webhook.webhook import Webhook

T = TypeVar("T")
# The parameter of a list: how many items a page has at most.
Limit = Annotated[int, Query(ge=1, le=1000)]
# A sequence in a cursor, in a path, and in a query string or body.
SeqCursor = Annotated[int, msgspec.Meta(ge=0, le=MAX_SEQ)]
SeqPath = Annotated[int, Path(ge=0, le=MAX_SEQ)]


class _Sequence(Convertor[int]):
    """The type ``seq`` of a parameter in a path: an integer. Of very many digits, which Python does
    not convert, the first make a number that is too large as well."""

    regex = "-?[0-9]+"

    def convert(self, value: str) -> int:
        number = int(value.lstrip("-0")[:40] or 0)
        return -number if value.startswith("-") else number

    def to_string(self, value: int) -> str:
        return str(value)


register_url_convertor("seq", _Sequence())


def registered(definitions: Mapping[str, Webhook] | Mapping[str, StreamDefinition]) -> list[str]:
    """The names to list: without definitions that are being deleted."""
    return [name for name, definition in definitions.items() if not definition.deleting]


def page_of(names: Iterable[str], limit: int, cursor: str | None) -> tuple[list[str], str | None]:
    """At most ``limit`` names, sorted, and the cursor of the next page, if there is one.

    Raises a Problem if the cursor is not valid.
    """
    after = read_cursor(cursor, str) or ""
    left = sorted(name for name in names if name > after)
    page = left[:limit]
    return page, cursor_of(page[-1]) if len(left) > limit else None


class Total(NamedTuple):
    """How many items a list has. ``is_estimate``: the list may have fewer, as they were counted
    without reading them. ``number`` None: the caller may not learn it."""

    number: int | None
    is_estimate: bool = False


NOT_TOLD = Total(None, True)
NOT_COUNTED = Total(None, True)  # only reading all of it would tell


def at_most(count: int) -> Total:
    """The total of a list that may have fewer items."""
    return Total(count, True)


def is_whole(cursor: str | None, following: str | None) -> bool:
    """Whether a page is all of its list."""
    return cursor is None and following is None


def page_members(items: Any, following: str | None, total: Total | int) -> dict[str, Any]:
    """The members of the answer with a page, and the cursor of the next one."""
    number, is_estimate = total if isinstance(total, Total) else (total, False)
    return {
        "items": items, "next": following, "total": number, "total_is_estimate": is_estimate,
    }  # fmt: skip


def page_answer(items: list[Any], following: str | None, total: Total | int) -> Response:
    """As :func:`page_members`, encoded here: FastAPI's way costs more than all the rest of a long
    page."""
    content = msgspec.json.encode(page_members(items, following, total))
    return Response(content, media_type="application/json")


def cursor_of(position: Any) -> str | None:
    """The cursor of a list's next page, which starts at this position; None for None."""
    if position is None:
        return None
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).decode()


def read_cursor(cursor: str | None, kind: type[T]) -> T | None:
    """The position in a cursor, None for None. Raises a Problem if it is not of this list."""
    if cursor is None:
        return None
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(cursor), type=kind)
    except (ValueError, msgspec.DecodeError):
        detail = "the cursor is not of this list, or is of a former version: begin without one"
        raise Problem(problem_types.BAD_CURSOR, detail) from None


def time_of(name: str, text: str | None) -> float | None:
    """A parameter that is a time, in seconds since the epoch, or a duration before now, such as
    ``1h``. Raises InvalidDefinition.

    ``name``: the parameter's, for the error.
    """
    if text is None:
        return None
    with contextlib.suppress(ValueError):
        return time.time() - parse_duration(text)
    try:
        return parse_time(text)
    except ValueError as error:
        raise InvalidDefinition(name, f"{error}, or a duration before now, such as 1h") from None
