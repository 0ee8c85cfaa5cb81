"""``/v1/rejected``: input that the gateway stored because it is not a valid event."""

import base64
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Response

from event_gateway.api.access.audited import audited
from event_gateway.api.access.callers import Operator
from event_gateway.api.access.guarded_route import GuardedRoute
from event_gateway.api.answers.common import Page
from event_gateway.api.answers.deliveries import RejectedAnswer, Taken
from event_gateway.api.openapi.described import answers
from event_gateway.api.server.dependencies import provided
from event_gateway.api.server.pages import (
    NOT_COUNTED,
    Limit,
    SeqCursor,
    SeqPath,
    Total,
    cursor_of,
    is_whole,
    page_answer,
    read_cursor,
)
from event_gateway.api.server.problems import Problem
from event_gateway.api.server.search import Search, Searched
from event_gateway.audit.trail import Call
from event_gateway.broker.rejected import NotCaptured, Rejected, RejectedInput
from event_gateway.core.cloudevents.event import Event
from event_gateway.core.errors import InvalidEvent
from event_gateway.core.text.times import rfc3339

router = APIRouter(prefix="/v1/rejected", tags=["rejected"], route_class=GuardedRoute)


class _Before(msgspec.Struct, frozen=True, array_like=True):
    """The sequence before which a page of the list begins."""

    seq: SeqCursor


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedParts:
    """What the routes use. ``admit`` raises InvalidEvent for events that the catalog rejects."""

    rejected: RejectedInput
    admit: Callable[[Event], None]


Parts = Annotated[RejectedParts, Depends(provided(RejectedParts))]


@router.get("", responses=answers(Page[RejectedAnswer]))
async def list_rejected(
    parts: Parts,
    caller: Operator,
    search: Searched,
    limit: Limit = 100,
    cursor: str | None = None,
) -> Response:
    """Rejected input, the newest first, with its original bytes.

    ``search``: in the reason, the detail, the path, the NATS subject, the values of headers, and
    the data as text. A request reads at most 2,000 messages and 16 MiB: a page may hold fewer than
    ``limit`` items, or none, and have a next page.
    """
    position = read_cursor(cursor, _Before)
    entries, before, count = await parts.rejected.latest(
        None if position is None else position.seq, limit, functools.partial(_fits, search)
    )
    following = cursor_of(None if before is None else _Before(before))
    total: Total | int = count
    if search.text is not None:
        total = len(entries) if is_whole(cursor, following) else NOT_COUNTED
    return page_answer([_shown(entry) for entry in entries], following, total)


@router.get("/{seq}", responses=answers(RejectedAnswer))
async def show_rejected(parts: Parts, caller: Operator, seq: SeqPath) -> dict[str, Any]:
    """Rejected input by its sequence."""
    entry = await parts.rejected.read(max(seq, 1))
    if entry is None or entry.seq != seq:
        raise Problem(404, f"there is no rejected input {seq}")
    return _shown(entry)


@router.post("/{seq}/retry", status_code=202, responses=answers(Taken, 202, 409))
async def retry_rejected(
    parts: Parts,
    caller: Operator,
    call: Annotated[Call, audited("rejected.retry", "rejected/{seq}")],
    seq: SeqPath,
) -> dict[str, int]:
    """Takes the input in again. If it is still not a valid event: 422 with the reason, and the
    input stays here."""
    try:
        taken = {"sequence": await parts.rejected.retry(seq, parts.admit)}
        call.about(after=taken)
        return taken
    except KeyError:
        raise Problem(404, f"there is no rejected input {seq}") from None
    except InvalidEvent as error:
        path: dict[str, Any] = {} if error.path is None else {"path": error.path}
        raise Problem(422, error.detail, reason=error.reason, **path) from None
    except NotCaptured as error:
        raise Problem(409, str(error)) from None


def _fits(search: Search, entry: Rejected) -> bool:
    texts = (entry.reason, entry.detail, entry.path, entry.subject, *entry.headers.values())
    return search.fits(*texts) or search.fits(entry.body.decode(errors="replace"))


def _shown(entry: Rejected) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "seq": entry.seq,
        "time": rfc3339(entry.time),
        "reason": entry.reason,
        "detail": entry.detail,
        "path": entry.path,
        "source": entry.source,
        "subject": entry.subject,
        "stream": entry.stream,
        "sequence": entry.origin_seq,
        "headers": entry.headers,
        "cut": entry.cut,
    }
    try:
        shown["data"] = entry.body.decode()
    except UnicodeDecodeError:
        shown["data_base64"] = base64.b64encode(entry.body).decode()
    return shown
